"""What a worker tells about itself: its hash rate, and lines of its log, one an event and never a flood."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from collections.abc import Callable
from time import monotonic

from ..node.core.codec import show
from ..node.store.backends.presence import Presence

log = logging.getLogger("moneyer.worker")

_PAUSE = 1.0
"""Seconds between two lines about mined blocks."""
_PULSE = 10.0
"""Seconds between two lines about the search."""
_MINUTE = 60.0
_WINDOW = 10.0
"""Seconds over which a hash rate is an average."""
_STEP = 0.25
"""Seconds between two counts that are kept."""
_FRESH = 1.5
"""Seconds for which the newest count stands for the present: reports come several times a second."""
STATUS_SECONDS = 1.0
"""Seconds between two writes of a status, at least."""


class StatusReport:
    """What a worker says of itself, where the API reads it: written when it has changed."""

    def __init__(self, presence: Presence) -> None:
        """`presence`: as a WORKER."""
        self._presence = presence
        self._said: dict[str, object] = {}
        self._said_at = -STATUS_SECONDS

    def say(self, status: dict[str, object]) -> bool:
        """Write a changed status; False where that has to wait."""
        if status == self._said:
            return True
        if monotonic() - self._said_at < STATUS_SECONDS:
            return False
        self._said_at = monotonic()
        try:
            self._presence.say(json.dumps(status).encode())
        except OSError:
            return False  # a full disk: its presence still says that this worker lives
        self._said = status
        return True


class HashrateMeter:
    """Hashes a second, from how many hashes have been tried in all.

    Time is counted, not searches: a block that is found in between changes nothing about the rate.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._counts: deque[tuple[float, int]] = deque()
        """(seconds of the clock, hashes tried in all until then), the oldest first."""
        self._seen = 0

    def see(self, hashes: int) -> None:
        """`hashes`: tried in all until now; never less than before."""
        # The time begins with the first hashes: processes have to come up before, and an engine to be compiled.
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
        """Forget the past: nothing is searched any more."""
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


class Summary:
    """Logs a line for each mined block; where blocks come faster than one a second, one line for several."""

    def __init__(self, logger: logging.Logger = log, what: str = "mined") -> None:
        """`what`: the verb of the line, `mined` or `miners found`."""
        self._log = logger
        self._what = what
        self._said = 0.0
        self._count = 0
        self._height = 0
        self._hash = b""
        self._late = 0

    def late(self) -> None:
        """Count a block that was solved too late: the tip had changed meanwhile."""
        self._late += 1
        self.flush()

    def block(self, height: int, block_hash: bytes) -> None:
        """Count a block that the chain took."""
        self._count += 1
        self._height, self._hash = height, block_hash
        self.flush()

    def flush(self, *, now: bool = False) -> None:
        """Log what has not been told yet, if the last line is a second old (or `now`)."""
        if not (self._count or self._late) or (monotonic() - self._said < _PAUSE and not now):
            return
        if self._count == 1:
            self._log.info("%s block %d, %s", self._what, self._height, show(self._hash))
        elif self._count:
            self._log.info("%s %d blocks, the last is %d, %s", self._what, self._count, self._height, show(self._hash))
        if self._late:
            self._log.info("came too late, another block was first: %d", self._late)
        self._count, self._late, self._said = 0, 0, monotonic()


class Sparing:
    """Logs a line for each event; where they come as a flood, a few, then one a minute for all others.

    Unlike the filter of `node.system.logs`, a few may be one, which is what a stranger at a port deserves.
    """

    def __init__(self, logger: logging.Logger, few: int = 1, level: int = logging.INFO) -> None:
        """`few`: lines a minute that are logged as they come."""
        self._log = logger
        self._few = few
        self._level = level
        self._began = -_MINUTE
        self._said = self._held = 0
        self._last = ""

    def say(self, sentence: str, now: float) -> None:
        """`now`: seconds of a clock that only goes forward."""
        self.flush(now)
        if self._said == 0:
            self._began = now
        if self._said < self._few:
            self._said += 1
            self._log.log(self._level, "%s", sentence)
        else:
            self._held += 1
            self._last = sentence

    def flush(self, now: float) -> None:
        """Log what was held back once its minute is over; to be called now and then."""
        if now - self._began < _MINUTE:
            return
        if self._held:
            self._log.log(self._level, "%d more like it within a minute, the last: %s", self._held, self._last)
        # The line for the others was the next minute's first.
        self._said, self._began = (self._few, now) if self._held else (0, self._began)
        self._held = 0


class Trouble:
    """Logs what keeps the worker from its work: once, not at every try."""

    def __init__(self) -> None:
        self._said = ""

    def say(self, sentence: str) -> None:
        # The same sentence with other numbers in it is the same trouble.
        kind = "".join(letter for letter in sentence if not letter.isdigit())
        if kind != self._said:
            log.warning("%s", sentence)
            self._said = kind

    def over(self) -> None:
        if self._said:
            log.info("all well again")
            self._said = ""


class Pulse:
    """Logs how the search goes, every ten seconds, where a person watches the terminal."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._said = monotonic()

    def say(self, hashrate: float, blocks: int, stale: int) -> None:
        if self._watched and monotonic() - self._said >= _PULSE:
            self._said = monotonic()
            log.info("%s, %d blocks, %.1f %% stale", shown_rate(hashrate), blocks, 100 * stale_share(blocks, stale))


def stale_share(blocks: int, stale: int) -> float:
    """Share of the found blocks that came too late: 0 to 1."""
    return stale / (blocks + stale) if stale else 0.0


def shown_rate(hashes: float) -> str:
    """A hash rate for a person."""
    for unit in ("", "k", "M", "G", "T"):
        if hashes < 1000:
            return f"{hashes:.3g} {unit}H/s"
        hashes /= 1000
    return f"{hashes:.3g} PH/s"
