"""How hard a connection's shares are: so that each brings one every few seconds, a CPU as well as an ASIC."""

from __future__ import annotations

from worker.stratum.protocol import MAX_DIFFICULTY, MIN_DIFFICULTY

SPACING = 5.0
"""Seconds wanted between two shares of a connection."""
_ENOUGH = 16
"""Shares after which a judgement is made, however short the time."""
_PERIOD = 30.0
"""Seconds after which one is made, however few the shares."""
_LEAST_SECONDS = 0.1
_STEP_UP, _STEP_DOWN = 16.0, 0.25
_DEAD_ZONE = (0.6, 1.6)
"""Chance alone moves sixteen shares by a quarter: what stays within is left as it is."""


class Vardiff:
    """Judges by what came since the last judgement. Times: seconds of any clock that only goes forward."""

    def __init__(self, start: float, now: float) -> None:
        self.difficulty = _bounded(start)
        self.minimum = MIN_DIFFICULTY
        self._begin(now)

    def set(self, difficulty: float, now: float) -> None:
        """A miner asks for a difficulty to begin with."""
        self.difficulty = max(self.minimum, _bounded(difficulty))
        self._begin(now)

    def share(self, difficulty: float, now: float) -> bool:
        """Count a share; True when the difficulty has changed."""
        self._count += 1
        self._sum += difficulty
        return self._count >= _ENOUGH and self._judge(now)

    def look(self, now: float) -> bool:
        """To be called now and then: True when the difficulty has changed because too little came."""
        return now - self._since >= _PERIOD and self._judge(now)

    def _judge(self, now: float) -> bool:
        elapsed = max(now - self._since, _LEAST_SECONDS)
        # Half a share on top: no share at all is no proof of a miner that stands still.
        wanted = (self._sum + self.difficulty / 2) / elapsed * SPACING
        self._begin(now)
        ratio = max(_STEP_DOWN, min(wanted / self.difficulty, _STEP_UP))
        if _DEAD_ZONE[0] <= ratio <= _DEAD_ZONE[1]:
            return False
        before, self.difficulty = self.difficulty, max(self.minimum, _bounded(self.difficulty * ratio))
        return self.difficulty != before

    def _begin(self, now: float) -> None:
        self._since, self._count, self._sum = now, 0, 0.0


def _bounded(difficulty: float) -> float:
    return float(f"{max(MIN_DIFFICULTY, min(difficulty, MAX_DIFFICULTY)):.6g}")
