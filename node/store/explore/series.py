"""Figures along the main chain: what stands at some heights, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from ...core import codec
from ..backends.statements import Among
from ..tables import SUM_MASK
from ..tables import blocks as table

_AT_HEIGHTS = Among(
    select(
        *(table.c.height, table.c.header, table.c.work),
        *(table.c.total_tx_count, table.c.total_fees, table.c.total_size),
    ).where(table.c.main_chain),
    table.c.height,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The main chain at a height. `timestamp`: Unix seconds; `work`: cumulative; the sums are modulo SUM_MASK + 1."""

    height: int
    timestamp: int
    bits: int
    work: int
    tx_count: int
    fees: int
    size: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """The blocks behind `start` up to and including `end`: how many, and their sums. `fees` in base units, `size` in
    bytes; transfers are transactions that are no coinbase."""

    seconds: int
    blocks: int
    work: int
    transfers: int
    fees: int
    size: int


def samples(conn: Connection, heights: Sequence[int]) -> list[Sample]:
    """The main chain at `heights`, lowest first; heights above the tip are left out. One row each, by an index."""
    found = []
    for height, header, work, *sums in _AT_HEIGHTS.rows(conn, heights):
        decoded = codec.decode_header(header)
        found.append(Sample(height, decoded.timestamp, decoded.bits, int.from_bytes(work, "big"), *sums))
    return sorted(found, key=lambda sample: sample.height)


def between(start: Sample, end: Sample) -> Stretch:
    """What lies between two samples of one chain."""
    count = end.height - start.height
    return Stretch(
        seconds=end.timestamp - start.timestamp,
        blocks=count,
        work=end.work - start.work,
        transfers=((end.tx_count - start.tx_count) & SUM_MASK) - count,
        fees=(end.fees - start.fees) & SUM_MASK,
        size=(end.size - start.size) & SUM_MASK,
    )


_parent = table.alias("parent")


def odd_sum(conn: Connection) -> int | None:
    """Height of a block whose sums do not follow from its parent's; None for none. For checks: it reads every row."""
    wrong = [
        # In this order: what is below 2**63, less what is too, has 64 bits whatever is wrong.
        (table.c[f"total_{name}"] - func.coalesce(_parent.c[f"total_{name}"], 0)).bitwise_and(SUM_MASK) != table.c[name]
        for name in ("tx_count", "fees", "size")
    ]
    joined = table.outerjoin(_parent, _parent.c.block_hash == table.c.prev_hash)
    found: int | None = conn.execute(select(table.c.height).select_from(joined).where(or_(*wrong)).limit(1)).scalar()
    return found
