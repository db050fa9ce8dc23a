"""Variable difficulty: sets how hard a connection's shares are, so that each brings one every few seconds.

Times are seconds of any clock that only goes forward, and are passed in. The rate of shares is taken from the seconds
that had none (a Poisson process), so that a burst of shares counts as little as one. A large change is made as soon as
it is certain, a small one at most four times an hour, none where chance may be the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from .protocol import MAX_DIFFICULTY, MIN_DIFFICULTY

SPACING = 5.0
"""Seconds wanted between two shares of a connection."""
FLOOR = 1e-5
"""The lowest difficulty that is set by itself: a share every five seconds of 9 kH/s. A miner may ask for less."""
STEP = 4.0
"""The factor of one change, at most."""

_ENOUGH = 16
"""Seconds with a share in them before the rate is judged; a burst fills one or two seconds, however many it holds."""
_LEAST_SECONDS = 60.0
"""Seconds of observation before the rate is judged."""
_SLOW_SECONDS = 240.0
"""Seconds after which fewer shares are judged too: they are less than a third of what is wanted."""
_FAR_OFF = 3.0
"""A rate that is wrong by this factor is corrected as soon as it is known."""
_FINE_SECONDS = 900.0
"""Seconds after which a smaller error is corrected: four times an hour at most."""
_DEAD_ZONE = (0.75, 1.33)
"""Ratios that are left as they are: chance alone moves the 180 shares of 900 seconds by a thirteenth."""
_DENSE = 16
"""Shares in one second that are a flood."""
_DENSE_SECONDS = 3
"""Seconds with a flood after which it is no single burst."""


@dataclass(slots=True)
class _Window:
    """The shares of a span of time that began at `since`."""

    since: float
    occupied: int = 0
    """Seconds that had a share."""
    dense: int = 0
    """Seconds that had a flood of them."""
    _second: int = -1
    _in_second: int = 0

    def add(self, now: float) -> None:
        """Count a share."""
        second = int(now - self.since)
        if second != self._second:
            self._second, self._in_second = second, 0
            self.occupied += 1
        self._in_second += 1
        self.dense += self._in_second == _DENSE

    def ratio(self, now: float) -> float:
        """The rate of shares divided by the wanted rate; infinite where each second had a share."""
        seconds = int(now - self.since) + 1
        empty = 1 - self.occupied / seconds
        return -log(empty) * SPACING if empty > 0 else float("inf")


class Vardiff:
    """The difficulty of one connection, judged by the shares of the present difficulty alone."""

    def __init__(self, start: float, now: float) -> None:
        self.stretch = 0
        """Counts the changes of `difficulty`."""
        self._minimum = MIN_DIFFICULTY
        self._heard = now
        """When the last share came."""
        self._silences = 0
        """How many of the last shares came after a minute without one, in a row."""
        self.set(start, now)

    def set(self, difficulty: float, now: float) -> None:
        """Begin anew with a difficulty that the miner asks for."""
        self.difficulty = max(self._minimum, _bounded(difficulty))
        self._floor = min(FLOOR, self.difficulty)
        self._known = 0.0
        """The difficulty that the shares last proved right; 0 until enough have come."""
        self._begin(now)

    def require(self, minimum: float, now: float) -> None:
        """Never set less than `minimum`, now and later: the miner asks for that."""
        self._minimum = _bounded(minimum)
        if self.difficulty < self._minimum:
            self.set(minimum, now)

    def share(self, difficulty: float, stretch: int, now: float) -> bool:
        """Count a share of a job that was given in `stretch`; True when the difficulty has changed."""
        if stretch != self.stretch:
            return False
        silence, self._heard = now - self._heard, now
        self._silences = self._silences + 1 if silence > _LEAST_SECONDS else 0
        # A share counts less where a block is easier than the difficulty: then nothing can be judged by it.
        tells_nothing = difficulty < self.difficulty
        if tells_nothing or self._silences == 1:
            self._short, self._long = _Window(now), _Window(now)  # after a silence the judgement begins anew
        if tells_nothing:
            return False
        self._short.add(now)
        self._long.add(now)
        return self._judge(now)

    def look(self, now: float) -> bool:
        """To be called now and then: True when the difficulty has changed because no share came."""
        if now - self._heard < _LEAST_SECONDS:
            return False
        # A miner that stands still proves nothing about its rate: go no lower than one step below what was proved.
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
        """The factor of a large correction; None where the error is small, or not known yet."""
        seen = self._short
        seconds = now - seen.since
        if seen.dense >= _DENSE_SECONDS:
            return STEP
        if self._silences >= 2:  # a single one may be a miner that stood still
            return 1 / STEP
        if seconds < (_LEAST_SECONDS if seen.occupied >= _ENOUGH else _SLOW_SECONDS):
            return None
        ratio = seen.ratio(now)
        if 1 / _FAR_OFF < ratio < _FAR_OFF:
            self._short, self._known = _Window(now), self.difficulty
            return None
        return ratio

    def _fine(self, now: float) -> float | None:
        """The factor of a small correction; None where none is due."""
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
