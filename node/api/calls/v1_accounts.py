"""Accounts: what an address has, and its history."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import UNSET, Meta, Struct

from ...service import Node
from ...store import accounts, blocks
from ...store.assets import asset_pages
from ...store.transactions import Place
from ...store.unconfirmed import entries
from ...system.shares import DEAR_READS
from ..endpoint import Call, OfChain, endpoint
from ..http.errors import BadField
from ..shapes.explore import Rich, RichAccount
from ..shapes.render import address, held_asset
from ..shapes.v1 import AccountView, History, Pending
from .v1_blocks import Limit
from .v1_transactions import confirmed_view

_CURSOR = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})", re.ASCII)
_SHOWN = 20
"""Assets in the answer about an account: anybody can send it any number of them."""


class HistoryQuery(Struct):
    before: Annotated[str, Meta(max_length=40)] | None = None
    """A page's `next`."""
    limit: Limit = 50


@endpoint(
    "GET", "/v1/accounts/{address}", "What an address has; zeros for one never used", reply=AccountView, kept=True
)
def show_account(node: Node, call: Call[None, None]) -> AccountView:
    payload = node.coin.payload(call.path["address"])
    with node.store.read() as conn:
        view = entries.view(conn, payload, 0)
        incoming = entries.incoming(conn, payload)
        held = asset_pages.held(conn, payload, _SHOWN + 1) if node.coin.rules > 1 else None
    return AccountView(
        address=address(node.coin, payload),
        balance=view.account.balance,
        sequence=view.account.sequence,
        pending=Pending(incoming, view.pool_cost, view.run_end),
        assets=UNSET if held is None else [held_asset(each) for each in held[:_SHOWN]],
        more=UNSET if held is None else len(held) > _SHOWN,
    )


@endpoint(
    "GET",
    "/v1/accounts/{address}/transactions",
    "The confirmed transactions that touch an address, newest first",
    reply=History,
    query=HistoryQuery,
    bound=DEAR_READS,
    kept=True,
)
def history(node: Node, call: Call[HistoryQuery, None]) -> OfChain[History]:
    payload = node.coin.payload(call.path["address"])
    query = call.query
    before = None if query.before is None else parse_cursor(query.before)
    with node.store.read() as conn:
        found = accounts.history(conn, payload, before, query.limit + 1)
        tip = blocks.tip_id(conn)
    page = found[: query.limit]
    content = History(
        transactions=[confirmed_view(node.coin, each, tip.height) for each in page],
        next="{}.{}".format(*page[-1].place) if len(found) > query.limit else None,
    )
    return OfChain(content, tip.block_hash)


class RichQuery(Struct):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


@endpoint("GET", "/v1/rich", "The largest accounts", reply=Rich, query=RichQuery, kept=True)
def rich(node: Node, call: Call[RichQuery, None]) -> OfChain[Rich]:
    with node.store.read() as conn:
        tip = blocks.tip_id(conn)
        largest = accounts.richest(conn, call.query.limit)
        count = accounts.count_known(conn)
    issued = node.coin.issued(tip.height)
    found = [
        RichAccount(address(node.coin, payload), each.balance, each.sequence, each.balance * 1_000_000 // issued)
        for payload, each in largest
    ]
    return OfChain(Rich(found, count, issued), tip.block_hash)


def parse_cursor(text: str) -> Place:
    """What `next` of a history's page says. Raises BadField."""
    match = _CURSOR.fullmatch(text)
    if not match or max(int(match[1]), int(match[2])) >= 2**32:
        raise BadField(
            "before: give what `next` of a page said", field="before", expected="HEIGHT.POSITION", found=text
        )
    return Place(int(match[1]), int(match[2]))
