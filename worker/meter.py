"""How fast is hashed now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

_WINDOW = 10.0
"""Seconds over which the rate is an average."""
_STEP = 0.25
"""Seconds between two counts that are kept."""
_FRESH = 1.5
"""Seconds for which the newest count stands for the present: reports come several times a second."""


class Meter:
    """From how many hashes have been tried in all, by whomever, to hashes a second.

    A block that is found in between changes nothing about it: what is counted is the time, not the search.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._counts: deque[tuple[float, int]] = deque()
        self._seen = 0

    def see(self, hashes: int) -> None:
        """`hashes`: tried in all until now; never less than before."""
        # It begins with the first hashes, not with the wish for them: processes come up, an engine is compiled.
        if hashes == self._seen:
            return
        self._seen = hashes
        counts, now = self._counts, self._clock()
        if len(counts) > 1 and now - counts[-2][0] < _STEP:
            counts.pop()
        counts.append((now, hashes))
        while now - counts[0][0] > _WINDOW and len(counts) > 2:
            counts.popleft()

    def rest(self) -> None:
        """Nothing is searched any more."""
        self._counts.clear()

    @property
    def rate(self) -> float:
        """Hashes a second; 0 until there are two counts."""
        if len(self._counts) < 2:
            return 0.0
        (began, before), (newest, after) = self._counts[0], self._counts[-1]
        now = self._clock()
        seconds = (newest if now - newest < _FRESH else now) - began
        return (after - before) / seconds if seconds > 0 else 0.0
