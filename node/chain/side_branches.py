"""Bounds the bytes of unasked side branches, and chooses which of their blocks are forgotten first.

A block that nobody asked for costs its sender one proof of work, and would cost this node its bytes for ever. Of those
that never were on the main chain, the ends of the branches with the least work go first, of equals the oldest. What is
lost may come again: by headers first, once its branch has more work than the tip.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

MAX_SIDE_BYTES = 64_000_000
ROW_BYTES = 1_000
"""That a block takes beside its own: its row, and its entries in the indexes."""


class SideBlock(NamedTuple):
    """`work`: cumulative; `size`: bytes of the whole block."""

    block_hash: bytes
    prev_hash: bytes
    work: int
    size: int


class SideBranches:
    """Accounts of what is stored; the rows are the caller's to delete. May be used by several threads.

    A block that was connected or marked invalid since is still counted until its turn comes: then it is named, and the
    caller leaves its row alone.
    """

    def __init__(self, most: int = MAX_SIDE_BYTES) -> None:
        self.most = most
        self.is_seeded = False
        """Whether what an earlier run stored is counted."""
        self.size = 0
        self._lock = threading.Lock()
        self._blocks: dict[bytes, SideBlock] = {}
        self._children: Counter[bytes] = Counter()
        self._ends: list[tuple[int, int, bytes]] = []
        """A heap of work, order of arrival and hash. Some are no ends any more, or gone."""
        self._order: dict[bytes, int] = {}
        self._arrived = 0

    def seed(self, stored: Iterable[SideBlock]) -> None:
        """Count what is stored, in the order in which it came."""
        for each in stored:
            self.add(each)
        self.is_seeded = True

    def add(self, block: SideBlock) -> None:
        with self._lock:
            if block.block_hash in self._blocks:
                return
            self._arrived += 1
            self._blocks[block.block_hash] = block
            self._order[block.block_hash] = self._arrived
            self._children[block.prev_hash] += 1
            self.size += block.size + ROW_BYTES
            self._push(block)

    def take_surplus(self) -> list[bytes]:
        """Hashes of the blocks that have to go, children before their parents; they are no longer counted."""
        gone = []
        with self._lock:
            while self.size > self.most and self._ends:
                block = self._blocks.get(heapq.heappop(self._ends)[2])
                if block is not None and not self._children[block.block_hash]:
                    self._drop(block)
                    gone.append(block.block_hash)
        return gone

    def _push(self, block: SideBlock) -> None:
        heapq.heappush(self._ends, (block.work, self._order[block.block_hash], block.block_hash))

    def _drop(self, block: SideBlock) -> None:
        del self._blocks[block.block_hash], self._order[block.block_hash], self._children[block.block_hash]
        self.size -= block.size + ROW_BYTES
        self._children[block.prev_hash] -= 1
        if not self._children[block.prev_hash]:
            del self._children[block.prev_hash]
            if (parent := self._blocks.get(block.prev_hash)) is not None:
                self._push(parent)
