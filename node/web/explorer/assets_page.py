"""Assets (rules 2): the list of them, by issuer or symbol; and one with its terms, holders and history."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from ...api.calls.assets.v1_assets import (
    AssetQuery,
    HolderQuery,
    Number,
    asset_history,
    asset_holders,
    list_assets,
    show_asset,
)
from ...api.calls.v1_accounts import HistoryQuery
from ...api.shapes.assets import AssetSummary
from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, content_of, page

PER_PAGE: Final = 50
HOLDERS: Final = 20
"""On a page."""
NO_CONTENT: Final = "0" * 64
"""The `content` of an asset that names no document or picture."""


class AssetsQuery(Struct):
    issuer: Annotated[str, Meta(max_length=100)] = ""
    """Only assets of this address; empty, as a form sends it, for all."""
    symbol: Annotated[str, Meta(max_length=12)] = ""
    """Only assets of this symbol, in any case; empty for all."""
    before: Number | None = None
    """The place that a page before ended at."""


class OneAssetQuery(Struct):
    before: Annotated[str, Meta(max_length=40)] | None = None
    """The place in the history that a page before ended at."""
    holders: Annotated[str, Meta(max_length=40)] | None = None
    """The place among the holders that a page before ended at."""


@page("/assets", query=AssetsQuery, bound=DEAR_READS)
def asset_list(visit: Visit[AssetsQuery]) -> Page:
    """Raises NotFound under rules 1."""
    query = visit.query
    issuer, symbol = query.issuer.strip(), query.symbol.strip().upper()
    asked = AssetQuery(issuer=issuer or None, symbol=symbol or None, before=query.before, limit=PER_PAGE)
    found, tip = content_of(visit.ask(list_assets, asked))
    content = {"found": found, "issuer": issuer, "symbol": symbol, "before": query.before}
    return Page("assets.html", content, tip=tip)


@page("/assets/{asset}", query=OneAssetQuery, bound=DEAR_READS)
def one_asset(visit: Visit[OneAssetQuery]) -> Page:
    """Raises NotFound, where its issue was undone too; BadField."""
    asset, query = visit.call.path["asset"], visit.query
    found, tip = content_of(visit.ask(show_asset, asset=asset))
    holders, _ = content_of(visit.ask(asset_holders, HolderQuery(before=query.holders, limit=HOLDERS), asset=asset))
    history, _ = content_of(visit.ask(asset_history, HistoryQuery(before=query.before, limit=PER_PAGE), asset=asset))
    content = {
        "asset": found,
        "holders": holders,
        "history": history,
        "query": query,
        "has_content": found.content != NO_CONTENT,
        "like_coin": is_like_coin(found, visit.node.coin.symbol, visit.node.coin.name),
    }
    return Page("asset.html", content, tip=tip)


def is_like_coin(asset: AssetSummary, symbol: str, name: str) -> bool:
    """Whether an asset has the coin's own symbol or name, and so could be taken for it."""
    return asset.symbol.upper() == symbol.upper() or asset.name.strip().casefold() == name.strip().casefold()
