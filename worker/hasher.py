"""A hashing process: takes units of work from its supervisor, searches them, reports.

It knows engines and bytes: no database, no coin. Between slices of some 5 ms it looks whether there is other work,
and ends when its supervisor is gone, however that went: the pipe says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from . import engines

# What the supervisor and its hashing processes say to each other. Imports little: hashing processes start quickly.


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of nonces to try on one header."""

    template_id: int
    """Which template the header belongs to; grows with every new one."""
    header: bytes
    """80 bytes; its nonce is not looked at."""
    target: int
    start: int
    count: int

    def rest(self, position: int) -> Unit:
        """What is left of it when everything below the nonce `position` has been tried."""
        return replace(self, start=position, count=self.start + self.count - position)


@dataclass(frozen=True, slots=True)
class Pace:
    """To a hashing process: from now on, hash for this share of the time (above 0, at most 1)."""

    share: float


@dataclass(frozen=True, slots=True)
class Ready:
    """From a hashing process, once: its engine is made, and it reads what it is told from now on."""


@dataclass(frozen=True, slots=True)
class Report:
    """From a hashing process, several times a second while it searches, and when it finds or ends.

    While it rests for long to keep its pace, one with no hashes says that it lives.
    """

    unit: Unit
    position: int
    """Nonces of the unit below this one have been tried."""
    hashes: int
    """Tried since the last report, of this unit or of one before."""
    nonce: int | None
    """What it found; it waits for another unit then, as it does at the unit's end."""


SLICE = 0.005
"""Seconds between two looks at the pipe: for half as long, a new tip is not hashed on."""
REPORT = 0.25
"""Seconds between two reports."""
_FIRST_SLICE = 1 << 12
_LAST_SLICE = 1 << 28
_REST = 1.0
"""Seconds without a word, at most, while the pace asks for a longer rest: silence stands for a stopped process."""


def main(connection: Connection, engine_name: str, cache: Path | None = None, nice: int = 0) -> None:
    """Serve units from `connection` until it closes. A None means: wait for more."""
    # Ctrl-C reaches every process of the terminal; the supervisor decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if nice:
        with contextlib.suppress(OSError):
            os.nice(nice)
    try:
        engine = engines.make(engine_name, cache)
    except engines.EngineFailed as error:
        print(f"worker: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    # EOFError, OSError: the supervisor is gone, and so is the reason for this process.
    with contextlib.suppress(EOFError, OSError):
        Hasher(connection, engine).serve()


class Hasher:
    def __init__(self, connection: Connection, engine: engines.Engine) -> None:
        self._connection = connection
        self._engine = engine
        self._unit: Unit | None = None
        self._position = 0
        """Of the unit, all below it has been tried."""
        self._untold = 0
        """Hashes that no report has told."""
        self._share = 1.0
        self._slice = _FIRST_SLICE
        self._speed = engines.speed(engine, _FIRST_SLICE)

    def serve(self) -> None:
        """Raises EOFError or OSError once the supervisor is gone."""
        self._connection.send(Ready())
        while True:
            said: Unit | Pace | None = self._connection.recv()
            if isinstance(said, Pace):
                self._share = said.share  # and on with what is searched
            else:
                self._unit, self._position = said, said.start if said else 0
            if self._unit is not None and self._search(self._unit):
                self._unit = None

    def _search(self, unit: Unit) -> bool:
        """True when something was found or the unit has ended; False when the pipe holds a message."""
        position, end = self._position, unit.start + unit.count
        # A new unit begins with a small slice that is told at once: so who waits knows that it is searched.
        begins = position == unit.start
        since = perf_counter()
        while not self._connection.poll():
            count = min(_FIRST_SLICE if begins else self._slice, end - position)
            began = perf_counter()
            nonce = self._engine.search(unit.header, unit.target, position, count)
            now = perf_counter()
            if nonce is None:
                self._fit_slice(count, now - began)
                self._untold += count
            else:  # how far it got in the slice, only its time tells
                self._untold += min(count, int(self._speed * (now - began)))
            position += count
            if nonce is not None or position == end or begins or now - since >= REPORT:
                self._connection.send(Report(unit, position, self._untold, nonce))
                self._untold, since, begins = 0, now, False
            if nonce is not None or position == end:
                return True
            if self._share < 1:
                self._sleep((now - began) * (1 / self._share - 1), Report(unit, position, 0, None))
        self._position = position
        return False

    def _sleep(self, seconds: float, sign_of_life: Report) -> None:
        """Unless there is news."""
        while not self._connection.poll(min(seconds, _REST)) and seconds > _REST:
            self._connection.send(sign_of_life)
            seconds -= _REST

    def _fit_slice(self, count: int, seconds: float) -> None:
        if count == self._slice:
            self._speed = count / max(seconds, 1e-6)
            wanted = int(count * SLICE / max(seconds, 1e-6))
            self._slice = max(_FIRST_SLICE, min(wanted, 2 * count, _LAST_SLICE))
