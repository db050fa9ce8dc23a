"""The tree of blocks: its newest heights with every branch, and its leaves."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Integer, bindparam, select

from .. import blocks
from ..backends.statements import Query
from ..blocks import BlockRow
from ..tables import blocks as table

MAX_BLOCKS: Final = 1_000
"""Blocks of a tree that is read, the main chain's among them."""

# By their height alone: an index on blocks off the main chain costs every block that joins (docs/performance.md).
_BESIDE = Query(
    select(table.c.block_hash)
    .where(table.c.height >= bindparam("lowest"), ~table.c.main_chain)
    .order_by(table.c.height.desc())
    .limit(bindparam("at_most", type_=Integer))
)


def newest(conn: Connection, depth: int) -> tuple[list[BlockRow], bool]:
    """The main chain's newest `depth` blocks, and every other block of these heights or above; highest first.

    With it: whether some were left out, since there are more than `MAX_BLOCKS`; the main chain's are always whole.
    """
    lowest = blocks.tip_id(conn).height - depth + 1
    line = blocks.newest_first(conn, None, depth)
    room = MAX_BLOCKS - len(line)
    hashes = [block_hash for (block_hash,) in _BESIDE.rows(conn, lowest=lowest, at_most=room + 1)]
    found = [*line, *blocks.by_hashes(conn, hashes[:room])]
    return sorted(found, key=lambda row: (-row.height, not row.main_chain, row.joined)), len(hashes) > room


_JOINED = Query(
    select(table.c.joined, table.c.block_hash, table.c.prev_hash)
    .where(table.c.joined > bindparam("number"))
    .order_by(table.c.joined)
)
_HASH = Query(select(table.c.block_hash).where(table.c.joined == bindparam("number")))


class Leaves:
    """The blocks without a child, kept in memory: each look reads only what joined the tree since the last one.

    For one thread at a time. The first look reads the whole tree, 0.1 s at 60,000 blocks; the next ones the news.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._last = 0
        """The number of the block that joined last, of those seen."""
        self._last_hash = b""
        self._hashes: set[bytes] = set()

    def look(self, conn: Connection, limit: int = 1000) -> list[BlockRow]:
        """The main chain's tip and every block without a child, most work first."""
        if self._last and _HASH.one(conn, number=self._last) != (self._last_hash,):
            self._forget()  # blocks were taken out, or it is another database
        self._read_news(conn)
        rows = blocks.by_hashes(conn, list(self._hashes))
        if len(rows) < len(self._hashes):  # some were taken out, and their parents may be leaves now
            self._forget()
            self._read_news(conn)
            rows = blocks.by_hashes(conn, list(self._hashes))
        best = blocks.tip(conn)
        if best.block_hash not in self._hashes:  # an invalid block stands on it
            rows.append(best)
        return sorted(rows, key=lambda row: (-row.work, row.joined))[:limit]

    def _read_news(self, conn: Connection) -> None:
        for joined, block_hash, prev_hash in _JOINED.rows(conn, number=self._last):
            self._hashes.add(block_hash)
            self._hashes.discard(prev_hash)
            self._last, self._last_hash = joined, block_hash
