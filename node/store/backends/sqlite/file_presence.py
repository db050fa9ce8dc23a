"""Who is alive on a node's file: locks of files in its data folder, which the kernel frees with whoever held them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ....config import Config
from ....system import locks
from ....system.files import sweep, write_whole
from ..presence import STRATUM, WORKER, Living, Presence

_MOST_READ: Final = 262_144


def hold(config: Config, kind: str, tries: int) -> Presence:
    """Be the folder's worker or Stratum server. Raises locks.Held where it has one, OSError."""
    lock = locks.hold(_lock_of(config, kind), tries=tries)
    return _InLock(lock) if kind == WORKER else _BesideLock(lock, config.stratum_status)


def living(config: Config, kind: str) -> list[Living]:
    """One at most. Raises OSError where the system refuses to tell."""
    if kind not in (WORKER, STRATUM) or not locks.is_held(_lock_of(config, kind)):
        return []
    said = config.worker_lock if kind == WORKER else config.stratum_status
    try:
        with said.open("rb") as file:
            return [Living(file.read(_MOST_READ))]
    except OSError:
        return [Living(b"")]


def _lock_of(config: Config, kind: str) -> Path:
    return config.worker_lock if kind == WORKER else config.stratum_lock


class _InLock(Presence):
    """Says it in the locked file itself, which is small."""

    def __init__(self, lock: locks.LockFile) -> None:
        self._lock: locks.LockFile | None = lock

    def say(self, status: bytes) -> None:
        if self._lock is not None:
            self._lock.write(status)

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class _BesideLock(Presence):
    """Says it in another file, which is replaced as a whole and goes with it."""

    def __init__(self, lock: locks.LockFile, path: Path) -> None:
        self._lock: locks.LockFile | None = lock
        self._path = path
        sweep(path)

    def say(self, status: bytes) -> None:
        write_whole(self._path, status, mode=0o600, durable=False)

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        finally:
            lock.release()


class Alone(Presence):
    """The node of a file: there is no other one that could ask."""

    def say(self, status: bytes) -> None:
        """Its lock file has said it."""

    def release(self) -> None:
        """Its lock file does."""
