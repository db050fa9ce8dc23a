"""Blocks: pages of the main chain, one block whole, its bytes, and every branch's tip."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...core.codec import show, show_work
from ...service import Node
from ...store import blocks, transactions
from ...store.blocks import INVALID, BlockRow
from ...system.shares import DEAR_READS
from ..endpoint import Binary, Call, OfChain, endpoint
from ..http.errors import NotFound
from ..shapes.render import block_detail, block_summary
from ..shapes.v1 import BlockDetail, BlockPage, Tips, TipView
from .identify import find_block

MAX_PAGE = 1_000
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Height = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class BlockQuery(Struct):
    before: Height | None = None
    """Only blocks below this height."""
    limit: Limit = 20


@endpoint(
    "GET",
    "/v1/blocks",
    "A page of the main chain, newest first",
    reply=BlockPage,
    query=BlockQuery,
    bound=DEAR_READS,
    kept=True,
)
def list_blocks(node: Node, call: Call[BlockQuery, None]) -> OfChain[BlockPage]:
    with node.store.read() as conn:
        rows = blocks.newest_first(conn, call.query.before, call.query.limit)
        tip = blocks.tip_id(conn)
    return OfChain(BlockPage([block_summary(node.coin, row) for row in rows]), tip.block_hash)


@endpoint(
    "GET",
    "/v1/blocks/{block}",
    "One block, by hash or height, with its transactions",
    reply=BlockDetail,
    errors=(404,),
    bound=DEAR_READS,
    kept=True,
)
def show_block(node: Node, call: Call[None, None]) -> BlockDetail | OfChain[BlockDetail]:
    with node.store.read() as conn:
        row = find_block(conn, call.path["block"])
        raws = transactions.of_block(conn, row.joined)
        tip = blocks.tip_id(conn)
    detail = block_detail(node.coin, row, raws, tip.height)
    # Off the main chain it may turn out invalid while the tip stays.
    return OfChain(detail, tip.block_hash) if row.main_chain else detail


@endpoint(
    "GET",
    "/v1/blocks/{block}/raw",
    "The block's bytes, as on the wire",
    reply=Binary("one block"),
    errors=(404,),
    bound=DEAR_READS,
)
def raw_block(node: Node, call: Call[None, None]) -> bytes:
    with node.store.read() as conn:
        row = find_block(conn, call.path["block"])
        raw = blocks.raw(conn, row.block_hash)
    if raw is None:
        raise NotFound("that block is invalid, and its body is not kept", hash=show(row.block_hash))
    return raw


@endpoint("GET", "/v1/tips", "The tip of every branch, most work first", reply=Tips, bound=DEAR_READS)
def tips(node: Node, call: Call[None, None]) -> Tips:
    return Tips(
        [
            TipView(show(row.block_hash), row.height, show_work(row.work), _status(row), fork)
            for row, fork in call.parts.branch_tips.run()
        ]
    )


def _status(row: BlockRow) -> str:
    if row.main_chain:
        return "active"
    return "invalid" if row.status == INVALID else "side_branch"
