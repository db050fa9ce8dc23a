"""Blocks: pages of the main chain, one block whole, its bytes, and every branch's tip."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict

from ...core import codec
from ...core.codec import show, show_work
from ...core.types import HEADER_SIZE, Coinbase
from ...service import Node
from ...store import blocks, transactions
from ...store.blocks import INVALID, BlockRow
from ...system.shares import DEAR_READS
from ..endpoint import Binary, Call, OfChain, endpoint
from ..http.errors import NotFound
from ..shapes.render import block_detail, block_summary, confirmations, transactions_of
from ..shapes.v1 import BlockDetail, BlockPage, BlockStanding, BlockTransactions, NextBlock, Tips, TipView
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
    "/v1/blocks/{block}/summary",
    "One block, by hash or height, without its transactions",
    reply=BlockStanding,
    errors=(404,),
    kept=True,
)
def show_block_summary(node: Node, call: Call[None, None]) -> BlockStanding | OfChain[BlockStanding]:
    with node.store.read() as conn:
        row = find_block(conn, call.path["block"])
        after = blocks.by_height(conn, row.height + 1) if row.main_chain else None
        tip = blocks.tip_id(conn)
    content = BlockStanding(
        **asdict(block_summary(node.coin, row)),
        confirmations=confirmations(row, tip.height),
        main_chain=row.main_chain,
        status=status_of(row),
        next_hash=None if after is None else show(after.block_hash),
    )
    return OfChain(content, tip.block_hash) if row.main_chain else content


class PartQuery(Struct):
    start: Annotated[int, Meta(ge=0, le=2**31)] = 0
    """The position of the first one; the coinbase has 0."""
    limit: Limit = 50


@endpoint(
    "GET",
    "/v1/blocks/{block}/transactions",
    "Some of a block's transactions, in their order",
    reply=BlockTransactions,
    query=PartQuery,
    errors=(404,),
    bound=DEAR_READS,
    kept=True,
)
def block_transactions(node: Node, call: Call[PartQuery, None]) -> BlockTransactions | OfChain[BlockTransactions]:
    start, limit = call.query.start, call.query.limit
    with node.store.read() as conn:
        row = find_block(conn, call.path["block"])
        raws = transactions.of_block(conn, row.joined)
        tip = blocks.tip_id(conn)
    end = start + limit
    content = BlockTransactions(
        hash=show(row.block_hash),
        height=row.height,
        tx_count=row.tx_count,
        transactions=transactions_of(node.coin, row, raws[start:end], tip.height, start),
        next=end if end < len(raws) else None,
    )
    return OfChain(content, tip.block_hash) if row.main_chain else content


@endpoint(
    "GET",
    "/v1/blocks/next",
    "The block that would be mined now: its transfers, size, reward and difficulty",
    reply=NextBlock,
    errors=(503,),
    kept=True,
)
def next_block(node: Node, call: Call[None, None]) -> NextBlock:
    template = call.parts.templates.base().template
    coinbase, *transfers = template.block.transactions
    sizes = [codec.transaction_size(each) for each in transfers]
    fees = [each.fee for each in transfers if not isinstance(each, Coinbase)]
    rates = [fee / size for fee, size in zip(fees, sizes, strict=True)]
    count = codec.encode_count(len(template.block.transactions))
    return NextBlock(
        height=template.parent.height + 1,
        prev_hash=show(template.parent.block_hash),
        bits=f"{template.block.header.bits:08x}",
        difficulty=node.coin.difficulty(template.block.header.bits),
        tx_count=len(transfers) + 1,
        size=HEADER_SIZE + len(count) + codec.transaction_size(coinbase) + sum(sizes),
        max_block_bytes=node.coin.max_block_bytes,
        reward=coinbase.amount,
        fees=sum(fees),
        least_fee_rate=min(rates, default=None),
        most_fee_rate=max(rates, default=None),
    )


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
            TipView(show(row.block_hash), row.height, show_work(row.work), status_of(row), fork)
            for row, fork in call.parts.branch_tips.run()
        ]
    )


def status_of(row: BlockRow) -> str:
    """active (on the main chain), side_branch or invalid."""
    if row.main_chain:
        return "active"
    return "invalid" if row.status == INVALID else "side_branch"
