"""What a block's ancestors ask of it: the bits of the retarget, the median of their times."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection

from ..core import pow
from ..core.coin import Coin
from ..core.rules import MEDIAN_SPAN, HeaderContext
from ..core.types import Header
from ..store import blocks

_REMEMBERED = 4096


class Ancestor(NamedTuple):
    """The part of a header that its descendants look back on."""

    prev_hash: bytes
    height: int
    timestamp: int
    bits: int


class Ancestry:
    """Looks back along any branch. A header's facts never change, so they are kept by hash and nothing is undone."""

    def __init__(self, coin: Coin) -> None:
        self._coin = coin
        self._facts: dict[bytes, Ancestor] = {}

    def context_after(self, conn: Connection, parent_hash: bytes) -> HeaderContext:
        """The context of a child of a block of the tree."""
        return self.context(parent_hash, lambda block_hash: self._load(conn, block_hash))

    def context(self, parent_hash: bytes, look_up: Callable[[bytes], Ancestor]) -> HeaderContext:
        """The same for headers from anywhere: `look_up` knows what is not remembered here."""
        coin = self._coin
        newest = self._facts.get(parent_hash) or look_up(parent_hash)
        height = newest.height + 1
        window = pow.retarget_window(height, coin.difficulty_window) + 1 if coin.retarget else 0
        rows: list[Ancestor] = [newest]
        while len(rows) < max(window, MEDIAN_SPAN) and rows[-1].height > 0:
            block_hash = rows[-1].prev_hash
            rows.append(self._facts.get(block_hash) or look_up(block_hash))
        timed = [pow.TimedBits(row.timestamp, row.bits) for row in reversed(rows)]
        median = pow.median_time_past([row.timestamp for row in rows[:MEDIAN_SPAN]])
        return HeaderContext(height, coin.next_bits(timed, height), median)

    def _load(self, conn: Connection, block_hash: bytes) -> Ancestor:
        row = blocks.by_hash(conn, block_hash)
        if row is None:
            raise LookupError(f"no block {block_hash.hex()}")
        return self.remember(block_hash, ancestor(row.header, row.height))

    def remember(self, block_hash: bytes, fact: Ancestor) -> Ancestor:
        """Keep a header's facts, also of one that is not in the tree yet; the oldest go first."""
        if len(self._facts) >= _REMEMBERED:
            for old in list(self._facts)[: _REMEMBERED // 4]:
                self._facts.pop(old, None)
        self._facts[block_hash] = fact
        return fact


def ancestor(header: Header, height: int) -> Ancestor:
    """The facts of a header at a height."""
    return Ancestor(header.prev_hash, height, header.timestamp, header.bits)
