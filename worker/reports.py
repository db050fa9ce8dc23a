"""The worker's lines on the terminal: one an event, never a flood."""

from __future__ import annotations

import logging
import sys
from time import monotonic

from ..node.core.hashing import show

log = logging.getLogger("moneyer.worker")

_PAUSE = 1.0
_PULSE = 10.0
_MINUTE = 60.0


class Summary:
    """A line a mined block; where they come faster than one a second, one for several."""

    def __init__(self, logger: logging.Logger = log, what: str = "mined") -> None:
        """`what` happened to a block, in the line about it."""
        self._log = logger
        self._what = what
        self._said = 0.0
        self._count = 0
        self._height = 0
        self._hash = b""
        self._late = 0

    def late(self) -> None:
        """A block was solved on a tip that had moved on meanwhile: lost, and said so."""
        self._late += 1
        self.flush()

    def block(self, height: int, block_hash: bytes) -> None:
        self._count += 1
        self._height, self._hash = height, block_hash
        self.flush()

    def flush(self, *, now: bool = False) -> None:
        """Say what has not been said, if the last line is a second old (or `now`)."""
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
    """A line an event; where they come as a flood, a few, and then one a minute for all others."""

    def __init__(self, logger: logging.Logger, few: int = 1, level: int = logging.INFO) -> None:
        """`few`: lines a minute that are said as they come."""
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
        """Say what is held back once its minute is over; to be called now and then."""
        if now - self._began < _MINUTE:
            return
        if self._held:
            self._log.log(self._level, "%d more like it within a minute, the last: %s", self._held, self._last)
        # The line for the others was the next minute's first.
        self._said, self._began = (self._few, now) if self._held else (0, self._began)
        self._held = 0


class Trouble:
    """Says what keeps the worker from its work: once, not at every try."""

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
    """For a person at the terminal: every ten seconds, how the search goes."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._said = monotonic()

    def say(self, hashrate: float, blocks: int, stale: int) -> None:
        if self._watched and monotonic() - self._said >= _PULSE:
            self._said = monotonic()
            log.info("%s, %d blocks, %.1f %% stale", shown_rate(hashrate), blocks, 100 * stale_share(blocks, stale))


def stale_share(blocks: int, stale: int) -> float:
    """Of the blocks that were found, those that came too late: 0 to 1."""
    return stale / (blocks + stale) if stale else 0.0


def shown_rate(hashes: float) -> str:
    """A hash rate for a person."""
    for unit in ("", "k", "M", "G", "T"):
        if hashes < 1000:
            return f"{hashes:.3g} {unit}H/s"
        hashes /= 1000
    return f"{hashes:.3g} PH/s"
