"""File locks that a process holds while it lives: the kernel knows which, so they never lie."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from ..core.errors import MoneyerError

_TRIES = 40
"""A probe (`is_held`) or a waiter (`wait_released`) has the lock for an instant, so that `hold` has to try again."""
_PAUSE = 0.05
"""Seconds between two tries."""


class Held(MoneyerError):
    """Another process holds the lock."""

    code = "held"


class LockFile:
    """An exclusive lock that ends with `release` or with the process, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int:
        """A process that is forked from this one must close it, else it would hold the lock on."""
        return self._descriptor

    def write(self, content: bytes) -> None:
        """Replace the file's content in place, in one call, so that a reader never sees the end of an older one.

        Shorter content is padded with blanks, which JSON ignores. Keep it small.
        """
        os.pwrite(self._descriptor, content.ljust(os.fstat(self._descriptor).st_size), 0)

    def release(self) -> None:
        """Let others have it."""
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

    Raises OSError where that cannot be known (no descriptor is left, say): a living process must not count as dead.
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
    """Block until no process holds the lock at `path`. Costs nothing while it waits. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
