"""How hard a connection's shares are: so that each brings one every few seconds, a CPU as well as an ASIC.

Times are seconds of any clock that only goes forward, and are passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from .protocol import MAX_DIFFICULTY, MIN_DIFFICULTY

SPACING = 5.0
"""Seconds wanted between two shares of a connection."""
FLOOR = 1e-5
"""No lower by itself: a share every five seconds of 9 kH/s. A slower miner may ask for less."""
STEP = 4.0
"""What one change multiplies or divides by, at most."""

_ENOUGH = 16
"""Seconds with a share in them that a judgement takes; a burst fills one or two seconds, whatever it holds,"""
_LEAST_SECONDS = 60.0
"""and the time that it takes at least."""
_SLOW_SECONDS = 240.0
"""After these, fewer are judged too: they are less than a third of what is wanted."""
_FAR_OFF = 3.0
"""So far off is put right as soon as it is known;"""
_FINE_SECONDS = 900.0
"""what is less far off, after these: four times an hour at most."""
_DEAD_ZONE = (0.75, 1.33)
"""Chance moves the 180 shares of these 900 seconds by a thirteenth: what stays within is left as it is."""
_DENSE = 16
"""Shares in one second that are a flood; in so many seconds of a stretch the flood is no burst:"""
_DENSE_SECONDS = 3


@dataclass(slots=True)
class _Window:
    """The shares of a span of time, counted by the seconds that had any."""

    since: float
    occupied: int = 0
    dense: int = 0
    _second: int = -1
    _in_second: int = 0

    def add(self, now: float) -> None:
        second = int(now - self.since)
        if second != self._second:
            self._second, self._in_second = second, 0
            self.occupied += 1
        self._in_second += 1
        self.dense += self._in_second == _DENSE

    def ratio(self, now: float) -> float:
        """Of the rate of shares to the wanted one; where each second had one nobody can say: infinite."""
        seconds = int(now - self.since) + 1
        empty = 1 - self.occupied / seconds
        return -log(empty) * SPACING if empty > 0 else float("inf")


class Vardiff:
    """Judges by shares of the difficulty that is in force; those of an older one change nothing."""

    def __init__(self, start: float, now: float) -> None:
        self.stretch = 0
        """Counts the changes of `difficulty`."""
        self._minimum = MIN_DIFFICULTY
        self._heard = now
        """When the last share came; `_silences`: how many came each after a minute without one, to the last."""
        self._silences = 0
        self.set(start, now)

    def set(self, difficulty: float, now: float) -> None:
        """A miner asks for a difficulty to begin with."""
        self.difficulty = max(self._minimum, _bounded(difficulty))
        self._floor = min(FLOOR, self.difficulty)
        self._known = 0.0
        """The difficulty that shares have last spoken for; 0 until enough have come."""
        self._begin(now)

    def require(self, minimum: float, now: float) -> None:
        """A miner asks for no less than `minimum`, now and later."""
        self._minimum = _bounded(minimum)
        if self.difficulty < self._minimum:
            self.set(minimum, now)

    def share(self, difficulty: float, stretch: int, now: float) -> bool:
        """Count a share of a job that was given in `stretch`; True when the difficulty has changed."""
        if stretch != self.stretch:
            return False
        silence, self._heard = now - self._heard, now
        self._silences = self._silences + 1 if silence > _LEAST_SECONDS else 0
        # It counts less where a block is easier: nobody can be told anything harder than that, and nothing is judged.
        tells_nothing = difficulty < self.difficulty
        if tells_nothing or self._silences == 1:
            self._short, self._long = _Window(now), _Window(now)  # who is back is judged by what comes now
        if tells_nothing:
            return False
        self._short.add(now)
        self._long.add(now)
        return self._judge(now)

    def look(self, now: float) -> bool:
        """To be called now and then: True when the difficulty has changed because nothing came."""
        if now - self._heard < _LEAST_SECONDS:
            return False
        # A miner that stands still tells nothing of its rate: what its shares told once holds, within one step.
        lowest = max(self._floor, self._minimum, self._known / STEP)
        return self.difficulty > lowest and self._change(max(lowest, self.difficulty / STEP), now)

    def _judge(self, now: float) -> bool:
        ratio = self._far_off(now)
        if ratio is None:
            ratio = self._fine(now)
        if ratio is None:
            return False
        wanted = _bounded(self.difficulty * max(1 / STEP, min(ratio, STEP)))
        self._known = max(self._floor, self._minimum, wanted)
        return self._change(self._known, now)

    def _far_off(self, now: float) -> float | None:
        """What to multiply by where that is much; None where it isn't, or isn't known yet."""
        seen = self._short
        seconds = now - seen.since
        if seen.dense >= _DENSE_SECONDS:
            return STEP
        if self._silences >= 2:  # one alone may be a miner that stood still
            return 1 / STEP
        if seconds < (_LEAST_SECONDS if seen.occupied >= _ENOUGH else _SLOW_SECONDS):
            return None
        ratio = seen.ratio(now)
        if 1 / _FAR_OFF < ratio < _FAR_OFF:
            self._short, self._known = _Window(now), self.difficulty
            return None
        return ratio

    def _fine(self, now: float) -> float | None:
        """What to multiply by where that is little, now and then."""
        seen = self._long
        if now - seen.since < _FINE_SECONDS or seen.occupied < _ENOUGH:
            return None
        ratio = seen.ratio(now)
        self._long = _Window(now)
        return None if _DEAD_ZONE[0] <= ratio <= _DEAD_ZONE[1] else ratio

    def _change(self, difficulty: float, now: float) -> bool:
        before, self.difficulty = self.difficulty, _bounded(difficulty)
        self._begin(now)
        return self.difficulty != before

    def _begin(self, now: float) -> None:
        self.stretch += 1
        self._short, self._long = _Window(now), _Window(now)
        self._heard, self._silences = now, 0


def _bounded(difficulty: float) -> float:
    return float(f"{max(MIN_DIFFICULTY, min(difficulty, MAX_DIFFICULTY)):.6g}")
