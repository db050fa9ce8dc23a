"""What the node wants of its worker now: read from the database, and decided by the mode."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from node.store import blocks, jobs, mempool, mining
from node.store.engine import Store
from node.store.jobs import JobRow
from node.store.mining import Kind, Mode


@dataclass(frozen=True, slots=True)
class Look:
    """One snapshot of the database."""

    version: int
    """`data_version` before the snapshot was taken: another one means that this may be old."""
    tip_hash: bytes
    height: int
    job: JobRow | None
    """The oldest job that is open."""
    pool_count: int
    """Transfers in the mempool, ready or waiting."""
    mode: Mode | None
    """What was set last, by whomever."""


def look(store: Store) -> Look:
    """Raises StoreUnavailable."""
    version = store.data_version()
    with store.read() as conn:
        tip = blocks.tip(conn)
        pool_count = mempool.totals(conn)[0]
        return Look(version, tip.block_hash, tip.height, jobs.next_open(conn), pool_count, mining.mode(conn))


class Rhythm:
    """When the next block of `interval` is due.

    A block is due `seconds` after the last one. After one that another node mined it is due a little later than that,
    by chance: of several workers on one network the last winner goes on, and they don't fork the chain at each beat.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._tip: bytes | None = None
        self.due = clock() + seconds

    def see(self, tip_hash: bytes, *, ours: bool) -> None:
        """A new tip stands; one that is known already changes nothing."""
        if tip_hash == self._tip:
            return
        if self._tip is not None:
            late = 0.0 if ours else self._seconds * random.uniform(0.05, 0.25)  # noqa: S311 - no secret
            self.due = self._clock() + self._seconds + late
        self._tip = tip_hash

    @property
    def wait(self) -> float:
        """Seconds until the next block is due; 0 when it is."""
        return max(0.0, self.due - self._clock())


def wants_block(mode: Mode, seen: Look, rhythm: Rhythm) -> bool:
    """Whether a block shall be searched. For `instant` only a maybe: the pool may hold nothing that can be mined."""
    if seen.job is not None or mode.kind is Kind.CONTINUOUS:
        return True
    if mode.kind is Kind.INTERVAL:
        return rhythm.wait == 0
    return mode.kind is Kind.INSTANT and seen.pool_count > 0
