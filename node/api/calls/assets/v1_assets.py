"""Assets: pages of them, one whole, who holds it, what happened to it; and what an account holds."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import Connection

from ....core.codec import sha256d, show
from ....service import Node
from ....store import blocks
from ....store.assets import asset_pages
from ....store.assets.asset_pages import AssetRow, Holder
from ....store.errors import StoreDamaged
from ....system.shares import DEAR_READS
from ...endpoint import Call, OfChain, endpoint
from ...http.errors import BadField, NotFound
from ...shapes.assets import AssetPage, AssetSummary, AssetView, HeldPage, HolderPage, HolderView
from ...shapes.render import address, asset_summary, held_asset
from ...shapes.v1 import History
from ..identify import parse_asset
from ..v1_accounts import HistoryQuery, parse_cursor
from ..v1_blocks import Limit
from ..v1_transactions import confirmed_view

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
MAX_HOLDERS = 500
"""On a page: most of it is strangers' addresses, which take 15 µs each to compute (docs/performance.md)."""
_HOLDER_CURSOR = re.compile(r"([0-9]{1,16})\.([0-9]{1,16})", re.ASCII)


class AssetQuery(Struct):
    issuer: Annotated[str, Meta(max_length=100)] | None = None
    """Only assets of this address."""
    symbol: Annotated[str, Meta(max_length=12, pattern="^[A-Z0-9]+$")] | None = None
    """Only assets of this symbol."""
    before: Number | None = None
    """A page's `next`."""
    limit: Limit = 50


class HolderQuery(Struct):
    before: Annotated[str, Meta(max_length=40)] | None = None
    """A page's `next`."""
    limit: Annotated[int, Meta(ge=1, le=MAX_HOLDERS)] = 50


class HeldQuery(Struct):
    after: Number = 0
    """A page's `next`."""
    limit: Limit = 50


@endpoint(
    "GET",
    "/v1/assets",
    "Assets, the newest first; of one issuer, or of one symbol",
    reply=AssetPage,
    query=AssetQuery,
    errors=(404,),
    bound=DEAR_READS,
    kept=True,
)
def list_assets(node: Node, call: Call[AssetQuery, None]) -> OfChain[AssetPage]:
    _check_rules(node)
    query = call.query
    issuer = None if query.issuer is None else node.coin.payload(query.issuer)
    before = asset_pages.MAX_NUMBER if query.before is None else query.before
    with node.store.read() as conn:
        found = asset_pages.newest(conn, query.limit + 1, before=before, issuer=issuer, symbol=query.symbol)
        tip = blocks.tip_id(conn)
    page = found[: query.limit]
    content = AssetPage(
        assets=[asset_summary(node.coin, row) for row in page],
        next=page[-1].number if len(found) > query.limit else None,
    )
    return OfChain(content, tip.block_hash)


@endpoint(
    "GET", "/v1/assets/{asset}", "One asset, by its id", reply=AssetView, errors=(404,), bound=DEAR_READS, kept=True
)
def show_asset(node: Node, call: Call[None, None]) -> OfChain[AssetView]:
    with node.store.read() as conn:
        row = _find(node, conn, call.path["asset"])
        issue = asset_pages.issue_of(conn, row.asset)
        tip = blocks.tip_id(conn)
    if issue is None:
        raise StoreDamaged(f"the database has no issue of asset {row.asset.hex()}")
    summary = asset_summary(node.coin, row)
    fields = {name: getattr(summary, name) for name in summary.__struct_fields__}
    return OfChain(AssetView(**fields, txid=show(sha256d(issue.raw)), timestamp=issue.timestamp), tip.block_hash)


@endpoint(
    "GET",
    "/v1/assets/{asset}/holders",
    "Who holds an asset, the largest first",
    reply=HolderPage,
    query=HolderQuery,
    errors=(404,),
    bound=DEAR_READS,
    kept=True,
)
def asset_holders(node: Node, call: Call[HolderQuery, None]) -> OfChain[HolderPage]:
    query = call.query
    before = None if query.before is None else _parse_holder(query.before)
    with node.store.read() as conn:
        row = _find(node, conn, call.path["asset"])
        found = asset_pages.holders(conn, row.asset, query.limit + 1, before)
        tip = blocks.tip_id(conn)
    page = found[: query.limit]
    content = HolderPage(
        holders=[HolderView(address(node.coin, each.payload), each.amount) for each in page],
        next=f"{page[-1].amount}.{page[-1].account_id}" if len(found) > query.limit else None,
    )
    return OfChain(content, tip.block_hash)


@endpoint(
    "GET",
    "/v1/assets/{asset}/transactions",
    "The confirmed transactions that issued, moved, minted or burned an asset, newest first",
    reply=History,
    query=HistoryQuery,
    errors=(404,),
    bound=DEAR_READS,
    kept=True,
)
def asset_history(node: Node, call: Call[HistoryQuery, None]) -> OfChain[History]:
    query = call.query
    before = None if query.before is None else parse_cursor(query.before)
    with node.store.read() as conn:
        row = _find(node, conn, call.path["asset"])
        found = asset_pages.history(conn, row.asset, before, query.limit + 1)
        tip = blocks.tip_id(conn)
    page = found[: query.limit]
    content = History(
        transactions=[confirmed_view(node.coin, each, tip.height) for each in page],
        next="{}.{}".format(*page[-1].place) if len(found) > query.limit else None,
    )
    return OfChain(content, tip.block_hash)


@endpoint(
    "GET",
    "/v1/accounts/{address}/assets",
    "What an address holds of assets, in the order of issue",
    reply=HeldPage,
    query=HeldQuery,
    errors=(404,),
    bound=DEAR_READS,
    kept=True,
)
def held_assets(node: Node, call: Call[HeldQuery, None]) -> OfChain[HeldPage]:
    _check_rules(node)
    payload, query = node.coin.payload(call.path["address"]), call.query
    with node.store.read() as conn:
        found = asset_pages.held(conn, payload, query.limit + 1, query.after)
        tip = blocks.tip_id(conn)
    page = found[: query.limit]
    following = page[-1].number if len(found) > query.limit else None
    return OfChain(HeldPage([held_asset(each) for each in page], following), tip.block_hash)


def terms_of(node: Node, asset: str) -> AssetSummary | None:
    """An asset of the main chain by its id, 64 hex digits; None where there is none."""
    with node.store.read() as conn:
        row = asset_pages.get(conn, bytes.fromhex(asset))
    return None if row is None else asset_summary(node.coin, row)


def _check_rules(node: Node) -> None:
    """Raises NotFound where the coin has no assets."""
    if node.coin.rules < 2:
        raise NotFound(
            f"{node.coin.name} has rules {node.coin.rules}: there are assets under rules 2 only", rules=node.coin.rules
        )


def _find(node: Node, conn: Connection, text: str) -> AssetRow:
    """Raises NotFound, BadField."""
    _check_rules(node)
    asset = parse_asset(text)
    row = asset_pages.get(conn, asset)
    if row is None:
        raise NotFound(
            "the main chain has no asset of this id: none was issued, or the block with its issue was left by a reorg",
            asset=asset.hex(),
        )
    return row


def _parse_holder(text: str) -> Holder:
    match = _HOLDER_CURSOR.fullmatch(text)
    if not match:
        raise BadField("before: give what `next` of a page said", field="before", expected="AMOUNT.NUMBER", found=text)
    return Holder(int(match[2]), b"", int(match[1]))
