"""Held file locks: who is alive, known to the kernel and so always true."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from ..core.errors import MoneyerError

# A probe (`is_held`) or a waiter (`wait_released`) has the lock for an instant; a newcomer tries again past that.
_TRIES = 40
_PAUSE = 0.05


class Held(MoneyerError):
    code = "held"


class LockFile:
    """An exclusive lock that ends with `release` or with the process, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        """Replace the file's content in place, in one call: a reader sees no end of an older, longer one.

        What is shorter than that has blanks behind it, which are nothing to JSON. Keep it small.
        """
        os.pwrite(self._descriptor, content.ljust(os.fstat(self._descriptor).st_size), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def hold(path: Path, tries: int = _TRIES) -> LockFile:
    """Take the lock at `path`, trying for about two seconds. Raises Held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for attempt in range(tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return LockFile(path, descriptor)
        except BlockingIOError:
            if attempt + 1 < tries:
                time.sleep(_PAUSE)
    os.close(descriptor)
    raise Held(f"{path} is held by another process", path=str(path))


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at `path`.

    Raises OSError where that cannot be seen (no descriptor is left, say): nobody may take a living process for dead.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_released(path: Path) -> None:
    """Block until nobody holds the lock at `path`. Costs nothing while it waits. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
