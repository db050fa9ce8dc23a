"""What is worked out of the chain for many callers at once: the tips of its branches, whether all of it is valid, and
Merkle trees.

A reorg needs no clean-up here: a Merkle tree never changes, tips and verdicts are computed anew from the rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from ...chain.verify import ChainBroken, Verified, verify_chain
from ...store import blocks
from ...store.blocks import BlockRow
from ...store.engine import Store
from ...store.explore.tree import Leaves
from ...system.threads import OneAtATime

CHECK_SECONDS: Final = 60.0
"""The verdict of a check of the chain holds for so long, unless the tip has changed."""
MAX_TIPS: Final = 1_000
TREE_BYTES: Final = 16_000_000
"""Of Merkle trees in memory: some twenty blocks of 4,900 transfers. Hashing one anew takes 10 ms."""
_NODE_BYTES: Final = 73
"""What a hash of a tree takes in memory: a Python object of 65 bytes, and the list's pointer to it."""


def branch_tips(store: Store) -> OneAtATime[list[tuple[BlockRow, int]]]:
    """The tip of every branch, most work first, and the height at which it left the main chain.

    However many callers ask, the tree is looked at once at a time, and that holds one connection.
    """
    leaves = Leaves()

    def look() -> list[tuple[BlockRow, int]]:
        with store.read() as conn:
            rows = leaves.look(conn, MAX_TIPS)
            return list(zip(rows, blocks.fork_heights(conn, rows), strict=True))

    return OneAtATime(look)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the whole chain found."""

    height: int
    """Of the tip, or of the block that is not valid."""
    problem: str | None
    """Why that block is not valid."""


class ChainChecks:
    """Checks of the whole chain: one at a time for all callers, and not again while the verdict still holds."""

    def __init__(
        self,
        store: Store,
        *,
        check: Callable[[Store], Verified] = verify_chain,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`check`: raises ChainBroken; `clock`: seconds."""
        self._store = store
        self._verify = check
        self._clock = clock
        # It reads one snapshot to its end: were there always one, SQLite could never take its log back into the file.
        self._runs = OneAtATime(self._check, rests=True)
        self._last: tuple[bytes, float, Verdict] | None = None
        """The tip that was checked, until when the verdict holds, and the verdict."""

    def verdict(self) -> Verdict:
        """The verdict of a new check, or the last one while it holds. Raises StoreUnavailable."""
        return self._standing(self._tip()) or self._runs.run()

    def _standing(self, tip: bytes) -> Verdict | None:
        last = self._last
        return last[2] if last is not None and last[0] == tip and self._clock() < last[1] else None

    def _check(self) -> Verdict:
        tip, began = self._tip(), self._clock()
        if (known := self._standing(tip)) is not None:  # of a caller that came a moment before
            return known
        try:
            verdict = Verdict(self._verify(self._store).height, None)
        except ChainBroken as error:
            verdict = Verdict(int(error.details.get("height", 0)), error.message)
        self._last = tip, began + CHECK_SECONDS, verdict
        return verdict

    def _tip(self) -> bytes:
        with self._store.read() as conn:
            return blocks.tip(conn).block_hash


class MerkleTrees:
    """The trees of the blocks of which a proof was asked last, by block hash. May be used by several threads.

    A tree never changes, so nothing has to be undone; `TREE_BYTES` bounds what is kept.
    """

    def __init__(self, most_bytes: int = TREE_BYTES) -> None:
        self._most = most_bytes // _NODE_BYTES
        self._lock = threading.Lock()
        self._trees: OrderedDict[bytes, list[Sequence[bytes]]] = OrderedDict()
        self._nodes = 0

    def get(self, block_hash: bytes) -> list[Sequence[bytes]] | None:
        with self._lock:
            found = self._trees.get(block_hash)
            if found is not None:
                self._trees.move_to_end(block_hash)
            return found

    def keep(self, block_hash: bytes, tree: list[Sequence[bytes]]) -> None:
        with self._lock:
            if block_hash in self._trees:
                return
            self._trees[block_hash] = tree
            self._nodes += _size_of(tree)
            while self._nodes > self._most:
                _, oldest = self._trees.popitem(last=False)
                self._nodes -= _size_of(oldest)


def _size_of(tree: list[Sequence[bytes]]) -> int:
    return sum(map(len, tree))
