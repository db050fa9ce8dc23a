"""A hashing process: takes units of work from its supervisor, searches them, reports.

It knows engines and bytes: no database, no coin. Between slices of some 30 ms it looks whether there is other work,
and ends when its supervisor is gone, however that went: the pipe says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from worker import engines
from worker.messages import Report, Unit

SLICE = 0.03
"""Seconds between two looks at the pipe."""
REPORT = 0.25
"""Seconds between two reports."""
_FIRST_SLICE = 1 << 12
_LAST_SLICE = 1 << 28


def main(connection: Connection, engine_name: str, cache: Path | None = None) -> None:
    """Serve units from `connection` until it closes. A None means: wait for more."""
    # Ctrl-C reaches every process of the terminal; the supervisor decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
        self._slice = _FIRST_SLICE
        self._speed = engines.speed(engine, _FIRST_SLICE)

    def serve(self) -> None:
        """Raises EOFError or OSError once the supervisor is gone."""
        while True:
            work: Unit | None = self._connection.recv()
            if work is not None:
                self._search(work)

    def _search(self, unit: Unit) -> None:
        """Until something is found, the unit ends, or the pipe holds other work."""
        position, end = unit.start, unit.start + unit.count
        reported, hashes = perf_counter(), 0
        while not self._connection.poll():
            count = min(self._slice, end - position)
            began = perf_counter()
            nonce = self._engine.search(unit.header, unit.target, position, count)
            now = perf_counter()
            if nonce is None:
                self._fit_slice(count, now - began)
                hashes += count
            else:  # how far it got in the slice, only its time tells
                hashes += min(count, int(self._speed * (now - began)))
            position += count
            if nonce is not None or position == end or now - reported >= REPORT:
                self._connection.send(Report(unit, position, hashes, now - reported, nonce))
                reported, hashes = now, 0
            if nonce is not None or position == end:
                return

    def _fit_slice(self, count: int, seconds: float) -> None:
        if count == self._slice:
            self._speed = count / max(seconds, 1e-6)
            wanted = int(count * SLICE / max(seconds, 1e-6))
            self._slice = max(_FIRST_SLICE, min(wanted, 2 * count, _LAST_SLICE))
