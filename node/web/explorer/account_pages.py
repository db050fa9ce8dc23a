"""An address: its balance now and over time, its history by pages, and a code for whoever wants to pay to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from ...api.calls.assets.v1_assets import AssetQuery, HeldQuery, Number, held_assets, list_assets
from ...api.calls.assets.v1_policies import next_moment
from ...api.calls.v1_accounts import HistoryQuery, history, show_account
from ...api.shapes.v1 import TransactionView
from ...core.types import POLICY_KIND
from ...system.shares import DEAR_READS
from ..frame.drawn_policy import draw_policy, key_names
from ..frame.pages import Page, Visit, content_of, page

PER_PAGE: Final = 50
CHARTED: Final = 200
"""Transactions that the picture of the balance goes back to: read anew only where something was committed."""

HELD: Final = 20
"""Assets on a page: anybody can send an address any number of them."""
LOOKED_THROUGH: Final = 1_000
"""Transactions of a contract among which a spend is looked for, which shows its policy."""


class AddressQuery(Struct):
    before: Annotated[str, Meta(max_length=40)] | None = None
    """The place in the history that a page before ended at."""
    after: Number = 0
    """The place among the assets that a page before ended at."""


@page("/address/{address}", query=AddressQuery, bound=DEAR_READS)
def address(visit: Visit[AddressQuery]) -> Page:
    named, before = visit.call.path["address"], visit.query.before
    account, _ = content_of(visit.ask(show_account, address=named))
    shown, _ = content_of(visit.ask(history, HistoryQuery(before=before, limit=PER_PAGE), address=named))
    recent: list[TransactionView] = []
    if before is None:
        found, _ = content_of(visit.ask(history, HistoryQuery(limit=CHARTED), address=named))
        recent = found.transactions
    content = {
        "account": account,
        "history": shown,
        "before": before,
        "after": visit.query.after,
        "balances": balances(account.address, account.balance, recent),
        "is_whole": len(recent) < CHARTED,
        "held": None,
        "policy": None,
        "contract": None,
        "issues": False,
    }
    if visit.node.coin.rules > 1:
        content |= beyond_coins(visit, account.address, recent)
    return Page("address.html", content)


def beyond_coins(visit: Visit[AddressQuery], address: str, recent: Sequence[TransactionView]) -> dict[str, object]:
    """What the page has under rules 2: assets that the address holds, whether it issued any, its policy if known."""
    held, _ = content_of(visit.ask(held_assets, HeldQuery(after=visit.query.after, limit=HELD), address=address))
    issued, _ = content_of(visit.ask(list_assets, AssetQuery(issuer=address, limit=1)))
    is_first = visit.query.before is None and not visit.query.after
    kept = visit.viewer.names.contracts.get(address)
    raw = policy_of(visit, address, recent) if is_first else None
    if is_first and raw is None and kept is not None:
        raw = kept.raw_policy
    drawn = None
    if raw is not None:
        name_of = key_names(visit.node.coin, visit.viewer.names, kept)
        drawn = draw_policy(visit.node.coin, raw, next_moment(visit.node), name_of)
    return {"held": held, "issues": bool(issued.assets), "policy": drawn, "contract": kept}


def policy_of(visit: Visit[AddressQuery], address: str, recent: Sequence[TransactionView]) -> bytes | None:
    """The bytes of a contract's policy, as a spend of it shows them; None where none is found.

    Looks through the latest `LOOKED_THROUGH` transactions of the address: whoever pays it often can hide its spends.
    """
    if visit.node.coin.payload(address)[0] != POLICY_KIND:
        return None
    found = _revealed(address, recent)
    account, _ = content_of(visit.ask(show_account, address=address))
    if found is None and account.sequence and len(recent) == CHARTED:
        asked = HistoryQuery(before="{0.height}.{0.position}".format(recent[-1]), limit=LOOKED_THROUGH - CHARTED)
        more, _ = content_of(visit.ask(history, asked, address=address))
        found = _revealed(address, more.transactions)
    return found


def _revealed(address: str, among: Sequence[TransactionView]) -> bytes | None:
    policies = (each.policy for each in among if each.sender == address and each.policy)
    return next((bytes.fromhex(policy) for policy in policies), None)


def balances(address: str, now: int, recent: Sequence[TransactionView]) -> list[tuple[float, float]]:
    """(Unix seconds, base units) after each of the latest transactions, the oldest first; `recent`: the newest first.

    Counted back from what the address has now. The first point is what it had before the oldest of them.
    """
    points: list[tuple[float, float]] = []
    for each in recent:
        points.append((each.timestamp or 0, now))
        now -= change(address, each)
    if points:
        points.append((points[-1][0], now))
    return points[::-1]


def change(address: str, each: TransactionView) -> int:
    """Base units of the coin by which a confirmed transaction changed the balance of an address."""
    amount = 0 if each.asset else each.amount  # units of an asset are no coins
    received = amount if each.receiver == address else 0
    spent = amount + each.fee if each.sender == address else 0
    return received - spent
