"""Whether a block is to be searched now: decided from what the database says, the mode, and a timer for `interval`.

Jobs (`moneyer mine`, `/mine_block`) are served in every mode. Beside them `demand` mines nothing, `instant` as soon as
a transfer is ready, `continuous` always, and `interval` when its timer is due.

**The timer of `interval`.** A block is due by chance, in proportion to hash rate, as if it was hashed for. A worker
waits half of the interval after each tip, and then as long as it would search at some pretended difficulty. That
difficulty is computed from the chain's last timestamps alone, so every worker of a network has the same; it rises while
blocks come faster than the interval and falls while they come slower. So a worker with a third of the network's hash
rate finds a third of the blocks, and the network keeps the interval however many workers it has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from time import monotonic

from ..node.store import blocks, mining
from ..node.store.engine import Store
from ..node.store.mining import JobRow, Kind, Mode
from ..node.store.unconfirmed import entries

SPACINGS = 64
"""Spacings between the chain's last blocks, from which the pretended difficulty is computed."""
USUAL_HASHRATE = 2e7
"""Hashes a second of a network that needs no correction: some three cores with a fast engine."""
_GAIN = 0.4
_MOST = 12.0
"""A block that took no time makes the next ones harder by a factor of e^0.4, and no run of them by more than e^12."""
_LONG = 4.0
"""Intervals; a longer pause is not counted as search: the network was switched off."""
_LONGEST_WAIT = 2.0
"""Intervals that a block is waited for: blocks of jobs make the difficulty rise, and must not stop mining for days."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database says to the worker, read in one transaction."""

    version: int
    """`data_version` before it was read: another one means that this may be out of date."""
    tip_hash: bytes
    height: int
    job: JobRow | None
    """The oldest job that is open."""
    pool_count: int
    """Transfers in the mempool, ready or waiting."""
    mode: Mode | None
    """The mode that was set last, by an option or by the API; None: none ever was."""


def read_snapshot(store: Store) -> Snapshot:
    """Raises StoreUnavailable."""
    version = store.data_version()
    with store.read() as conn:
        tip = blocks.tip(conn)
        pool_count = entries.totals(conn)[0]
        return Snapshot(version, tip.block_hash, tip.height, mining.next_open(conn), pool_count, mining.mode(conn))


def last_timestamps(store: Store) -> list[int]:
    """Timestamps of the chain's last blocks, the oldest first. Raises StoreUnavailable."""
    with store.read() as conn:
        return [row.header.timestamp for row in reversed(blocks.newest_first(conn, None, SPACINGS + 1))]


def wants_block(mode: Mode, seen: Snapshot, timer: IntervalTimer) -> bool:
    """Whether a block is to be searched. For `instant` True is a maybe: no transfer of the mempool may be ready."""
    if seen.job is not None or mode.kind is Kind.CONTINUOUS:
        return True
    if mode.kind is Kind.INTERVAL:
        return timer.wait == 0
    return mode.kind is Kind.INSTANT and seen.pool_count > 0


class IntervalTimer:
    """When one worker's next block of `interval` is due; drawn anew at each tip."""

    def __init__(
        self,
        seconds: float,
        hashrate: float,
        clock: Callable[[], float] = monotonic,
        chance: random.Random | None = None,
    ) -> None:
        """`seconds`: the interval. `hashrate`: hashes a second that this worker could reach."""
        self._seconds = seconds
        self._hashrate = hashrate
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - no secret
        self._tip: bytes | None = None
        self._due = clock() + seconds

    def see(self, tip_hash: bytes, timestamps: Callable[[], Sequence[int]]) -> None:
        """Take note of the tip; the one that is known changes nothing. `timestamps`: of its branch's last blocks."""
        if tip_hash != self._tip:
            self._tip = tip_hash
            self._due = self._clock() + draw_wait(
                self._seconds, self._hashrate, hashes_of_block(self._seconds, timestamps()), self._chance
            )

    @property
    def wait(self) -> float:
        """Seconds until the next block is due; 0 when it is."""
        return max(0.0, self._due - self._clock())


def hashes_of_block(seconds: float, timestamps: Sequence[int]) -> float:
    """How many hashes a block pretends to take. `timestamps`: of the chain's last blocks, the oldest first."""
    longest = max(_LONG * seconds, 2.0)  # timestamps are whole seconds
    early = sum(1 - min(after - before, longest) / seconds for before, after in pairwise(timestamps[-SPACINGS - 1 :]))
    return USUAL_HASHRATE * seconds / 2 * exp(max(-_MOST, min(_GAIN * early, _MOST)))


def draw_wait(seconds: float, hashrate: float, hashes: float, chance: random.Random) -> float:
    """Seconds until a worker of `hashrate` finds a block that pretends to take so many `hashes`."""
    search = chance.expovariate(max(hashrate, 1.0) / hashes)
    longest = seconds * (_LONGEST_WAIT - 0.5)
    if search > longest:  # pressed together, and still in the order in which they would have been found
        search = longest + seconds * (1 - 1 / (1 + log(search / longest)))
    return seconds / 2 + search
