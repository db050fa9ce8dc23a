"""Wakes a node's other processes after a commit: one FIFO a process, in the folder `bells`.

A ring carries no news: who hears it looks at `data_version`. FIFOs have file permissions, no port and no limit on
the length of a path; one that nobody reads any more is removed by whoever rings it.
"""

from __future__ import annotations

import errno
import os
import selectors
import threading
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

_SUFFIX = ".bell"


class Doorbell:
    """This process's bell. `on_ring` runs in the bell's own thread."""

    def __init__(self, folder: Path, on_ring: Callable[[], None]) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        hidden = folder / f"{os.getpid()}-{token_hex(4)}"
        os.mkfifo(hidden, 0o600)
        # Read and write: a FIFO whose last writer has gone would otherwise be readable for ever.
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        # Named only now: a bell that nobody reads yet would be taken for a dead one and removed.
        self._path = hidden.rename(hidden.with_suffix(_SUFFIX))
        self._on_ring = on_ring
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="doorbell", daemon=True)
        self._thread.start()

    def ring_others(self) -> None:
        """Ring every other process's bell; never blocks."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - after every commit: a Path each would cost as much again
            if name.endswith(_SUFFIX) and name != self._path.name:
                ring(self._folder / name)

    def close(self) -> None:
        os.write(self._stop_write, b".")
        self._thread.join()
        for descriptor in (self._descriptor, self._stop_read, self._stop_write):
            os.close(descriptor)
        self._path.unlink(missing_ok=True)

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            selector.register(self._stop_read, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select()]
                if self._stop_read in ready:
                    return
                os.read(self._descriptor, 4096)
                self._on_ring()


def ring(path: Path) -> None:
    """Wake whoever reads this FIFO; never waits. A FIFO that nobody reads or empties is taken away."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # its reader is dead
            path.unlink(missing_ok=True)
        return
    try:
        os.write(descriptor, b".")
    except OSError:
        pass  # full: it has rings enough
    finally:
        os.close(descriptor)
