"""An address: its balance now and over time, its history by pages, and a code for whoever wants to pay to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from ...api.calls.v1_accounts import HistoryQuery, history, show_account
from ...api.shapes.v1 import TransactionView
from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, content_of, page

PER_PAGE: Final = 50
CHARTED: Final = 200
"""Transactions that the picture of the balance goes back to: read anew only where something was committed."""


class AddressQuery(Struct):
    before: Annotated[str, Meta(max_length=40)] | None = None
    """The place in the history that a page before ended at."""


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
        "balances": balances(account.address, account.balance, recent),
        "is_whole": len(recent) < CHARTED,
    }
    return Page("address.html", content)


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
