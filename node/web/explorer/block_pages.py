"""Blocks: a page of the main chain, and one block field by field."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from ...api.calls.v1_blocks import BlockQuery, Height, PartQuery, block_transactions, list_blocks, show_block_summary
from ...core import pow
from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, content_of, page

PER_PAGE: Final = 50


class BlocksQuery(Struct):
    before: Height | None = None
    """Only blocks below this height."""


@page("/blocks", query=BlocksQuery, bound=DEAR_READS)
def block_list(visit: Visit[BlocksQuery]) -> Page:
    before = visit.query.before
    found, tip = content_of(visit.ask(list_blocks, BlockQuery(before=before, limit=PER_PAGE)))
    return Page("blocks.html", {"blocks": found.blocks, "before": before, "per_page": PER_PAGE}, tip=tip)


class BlockPartQuery(Struct):
    start: Annotated[int, Meta(ge=0, le=2**31)] = 0
    """The position of the first transaction that is listed."""


@page("/block/{block}", query=BlockPartQuery, bound=DEAR_READS)
def block(visit: Visit[BlockPartQuery]) -> Page:
    name, start = visit.call.path["block"], visit.query.start
    summary, tip = content_of(visit.ask(show_block_summary, block=name))
    part, _ = content_of(visit.ask(block_transactions, PartQuery(start=start, limit=PER_PAGE), block=summary.hash))
    content = {
        "block": summary,
        "part": part,
        "start": start,
        "per_page": PER_PAGE,
        "target": f"{pow.decode_bits(int(summary.bits, 16)):064x}",
        "difficulty": visit.node.coin.difficulty(int(summary.bits, 16)),
    }
    return Page("block.html", content, tip=tip)
