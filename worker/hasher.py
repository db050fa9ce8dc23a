"""A hashing process, and the messages that it and its supervisor exchange through a pipe.

It takes units of work, searches them and reports; it knows engines and bytes, no database and no coin, and imports
little, so that it starts quickly. Between slices of some 5 ms it looks whether the pipe holds other work. The pipe's
end of file tells it that its supervisor is gone, and it ends too.

    supervisor -> process   Unit (search this) · None (wait) · Pace (hash for this share of the time)
    process -> supervisor   Ready (once) · Report (several times a second)
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

from .engines import registry

SLICE = 0.005
"""Seconds between two looks at the pipe: after a new tip, an old template is hashed for half of that on average."""
REPORT = 0.25
"""Seconds between two reports."""
_FIRST_SLICE = 1 << 12
"""Nonces of a first slice, which also measures the speed."""
_LAST_SLICE = 1 << 28
_REST = 1.0
"""Seconds without a report, at most, while the pace asks for a longer rest: the pool takes silence for a stop."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of nonces to try on one header."""

    template_id: int
    """Which template the header belongs to; grows with every new one."""
    header: bytes
    """80 bytes; its nonce is not looked at."""
    target: int
    """The greatest hash, as a number, that solves the header."""
    start: int
    """The first nonce."""
    count: int
    """Nonces to try."""

    def rest(self, position: int) -> Unit:
        """The part that is left when every nonce below `position` has been tried."""
        return replace(self, start=position, count=self.start + self.count - position)


@dataclass(frozen=True, slots=True)
class Pace:
    """To a hashing process: the share of the time in which it hashes from now on."""

    share: float
    """Above 0, at most 1."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a hashing process, once: its engine is made, and it reads its pipe from now on."""


@dataclass(frozen=True, slots=True)
class Report:
    """From a hashing process, several times a second while it searches, and when it finds or ends.

    While it rests for long to keep its pace, it sends one with no hashes to show that it lives.
    """

    unit: Unit
    position: int
    """Nonces of the unit below this one have been tried."""
    hashes: int
    """Hashes tried since the last report, of this unit or of one before."""
    nonce: int | None
    """The nonce that solves; the process waits for another unit then, as it does at the unit's end."""


def main(connection: Connection, engine_name: str, cache: Path | None = None, nice: int = 0) -> None:
    """The process: serve units from `connection` until that closes."""
    # Ctrl-C reaches every process of the terminal; the supervisor decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if nice:
        with contextlib.suppress(OSError):
            os.nice(nice)
    try:
        engine = registry.make(engine_name, cache)
    except registry.EngineFailed as error:
        print(f"worker: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    # EOFError, OSError: the supervisor is gone, so this process ends.
    with contextlib.suppress(EOFError, OSError):
        Hasher(connection, engine).serve()


class Hasher:
    """Searches one unit at a time, and keeps to its pace."""

    def __init__(self, connection: Connection, engine: registry.Engine) -> None:
        self._connection = connection
        self._engine = engine
        self._unit: Unit | None = None
        self._position = 0
        """Every nonce of the unit below this one has been tried."""
        self._untold = 0
        """Hashes tried since the last report."""
        self._share = 1.0
        self._slice = _FIRST_SLICE
        self._speed = registry.speed(engine, _FIRST_SLICE)

    def serve(self) -> None:
        """Raises EOFError or OSError once the supervisor is gone."""
        self._connection.send(Ready())
        while True:
            said: Unit | Pace | None = self._connection.recv()
            if isinstance(said, Pace):
                self._share = said.share  # the search goes on
            else:
                self._unit, self._position = said, said.start if said else 0
            if self._unit is not None and self._search(self._unit):
                self._unit = None

    def _search(self, unit: Unit) -> bool:
        """Search until a nonce is found or the unit ends (True), or until the pipe holds a message (False)."""
        position, end = self._position, unit.start + unit.count
        # A new unit begins with a small slice that is reported at once: the supervisor sees that it is searched.
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
            else:  # how many it tried of the slice is estimated by its time
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
        """Rest, but no longer than until the pipe holds a message; a long rest shows now and then that it lives."""
        while not self._connection.poll(min(seconds, _REST)) and seconds > _REST:
            self._connection.send(sign_of_life)
            seconds -= _REST

    def _fit_slice(self, count: int, seconds: float) -> None:
        """Make the next slice take SLICE seconds, by the time that one of `count` nonces took."""
        if count == self._slice:
            self._speed = count / max(seconds, 1e-6)
            wanted = int(count * SLICE / max(seconds, 1e-6))
            self._slice = max(_FIRST_SLICE, min(wanted, 2 * count, _LAST_SLICE))
