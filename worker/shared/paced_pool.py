"""A pool of a set hash rate, in this process: tries nonces ahead of time, and reports a find when its moment has come.

The nonces of a unit are searched in stretches. One begins when the last one's time is over, and stands for `count /
rate` seconds; what is found in it waits until so many nonces would have been tried. A tip that changes meanwhile makes
the rest of the stretch worthless, as if it had not been tried: so every nonce has the same chance, and each node gets
blocks in proportion to its rate.

Nonces are tried in an order of their own (`nonce_of`): those that have the lowest byte in common come one after the
other, so that a stretch of a few hundred shares one SHA-256 state. It takes two thirds of the time that
`engines.hashlib_engine` needs, which is made for millions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256
from math import inf
from time import monotonic
from typing import ClassVar

from ..hasher import Report, Unit

AHEAD = 1.0
"""Seconds that a stretch stands for, at most. More means fewer steps, and more hashes for nothing at a new tip."""
_MOST = 1 << 14
"""Nonces of a stretch, at most: some 20 ms, for which other nodes wait."""
_LATE = 1.0
"""Seconds; a stretch that should have begun longer ago begins now: a machine that was asleep makes up for nothing."""


def nonce_of(number: int) -> int:
    """The nonce that is tried as the one of this number, both below 2**32: its lowest byte is the number's highest."""
    return (number & 0xFF_FFFF) << 8 | number >> 24


def first_solution(header: bytes, target: int, start: int, count: int) -> int | None:
    """The lowest number of `start … start + count - 1` whose nonce solves the header, or None."""
    # The digest's last byte is the top of the number that is compared, and rules out nearly every nonce.
    top = target >> 248
    low, copy = -1, sha256().copy
    for number in range(start, start + count):
        if number >> 24 != low:
            low = number >> 24
            copy = sha256(header[:76] + bytes((low,))).copy
        hasher = copy()
        hasher.update((number & 0xFF_FFFF).to_bytes(3, "little"))
        digest = sha256(hasher.digest()).digest()
        if digest[31] <= top and int.from_bytes(digest, "little") <= target:
            return number
    return None


class PacedPool:
    """A `worker.pool.Pool` of a set rate. Not for use by two threads."""

    is_paced: ClassVar[bool] = True
    is_ready: ClassVar[bool] = True
    engine: ClassVar[str] = "hashlib"

    def __init__(self, hashes: float, clock: Callable[[], float] = monotonic) -> None:
        """`hashes`: a second, 0 for none. `clock`: seconds that only go forward."""
        self._wanted = hashes
        self._share = 1.0
        self._clock = clock
        self._hashed = 0
        """Nonces of stretches that are over."""
        self._unit: Unit | None = None
        self._start = 0
        """Number of the present stretch's first nonce."""
        self._count = 0
        """Nonces of the present stretch; 0 where it has not been searched yet."""
        self._began = 0.0
        """When its first nonce is due, in seconds of the clock."""
        self._found: int | None = None
        """The first of the stretch that solves the unit."""
        self._part = 0.0
        """Of a nonce, 0 to 1: the time that had passed when the last search was broken off."""

    @property
    def rate(self) -> float:
        """Hashes a second."""
        return self._wanted * self._share

    @property
    def hashed(self) -> int:
        """Nonces whose time has come, of all units."""
        return self._hashed + self._passed()

    @property
    def rest(self) -> float:
        """Seconds until a find is due, or the next stretch; infinite where nothing is searched."""
        if self._unit is None or self.rate <= 0:
            return inf
        return max(0.0, self._due() - self._clock())

    def set_hashes(self, hashes: float) -> None:
        """Another rate from now on."""
        if hashes != self._wanted:
            self._break_off()
            self._wanted = hashes

    def set_share(self, share: float) -> None:
        """See `Pool`."""
        if share != self._share:
            self._break_off()
            self._share = share

    def start(self) -> None:
        """Nothing has to come up."""

    def change_engine(self, engine: str) -> None:
        """There is one engine only."""

    def idle(self, template_id: int) -> int:
        """1, unless it searches a unit of that template."""
        return 0 if self._unit is not None and self._unit.template_id == template_id else 1

    def feed(self, units: Collection[Unit]) -> None:
        """Search the last of them from now on; `collect` does the work."""
        self.pause()
        for unit in units:
            self._unit, self._start = unit, unit.start
            self._began = self._clock() - (self._part / self.rate if self.rate else 0.0)

    def pause(self) -> None:
        """See `Pool`."""
        self._break_off()
        self._unit = None

    def collect(self) -> tuple[list[Report], list[Unit]]:
        """Report a find that is due, or search the next stretch where that is. No unit is ever lost."""
        unit = self._unit
        if unit is None or self.rate <= 0 or self._clock() < self._due():
            return [], []
        if self._found is not None:
            position = self._found + 1
            report = Report(unit, position, position - self._start, nonce_of(self._found))
            self.pause()
            return [report], []
        self._hashed += self._count
        self._began = max(self._due(), self._clock() - _LATE)
        self._start += self._count
        self._count = min(max(1, int(self.rate * AHEAD)), _MOST, unit.start + unit.count - self._start)
        if self._count == 0:
            self._unit = None
        else:
            self._found = first_solution(unit.header, unit.target, self._start, self._count)
        return [], []

    def _due(self) -> float:
        """When the stretch is over, or its find's moment has come; in seconds of the clock."""
        tried = self._count if self._found is None else self._found + 1 - self._start
        return self._began + tried / self.rate

    def _passed(self) -> int:
        """Nonces of the stretch whose time has come."""
        tried = self._count if self._found is None else self._found + 1 - self._start
        return min(tried, int((self._clock() - self._began) * self.rate))

    def _break_off(self) -> None:
        """End the stretch here; the unit goes on from the first nonce whose time has not come."""
        passed = self._passed()
        if self._count:
            self._part = min(max(0.0, (self._clock() - self._began) * self.rate - passed), 1.0)
        self._hashed += passed
        self._start += passed
        self._count, self._found, self._began = 0, None, self._clock()
