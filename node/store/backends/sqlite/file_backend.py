"""SQLite as a `Backend`: a node's file, and a FIFO for each of its processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ....config import Config
from ...errors import StoreFailed
from ..backend import Backend, Readers, Watch
from . import driver as sqlite
from .doorbell import Doorbell
from .driver import DatabaseError, fold_log
from .engines import FileReaders, open_engine, reading_a_copy


class FileBackend(Backend):
    def __init__(self, config: Config) -> None:
        self._config = config
        self._file = _identity(config.database)

    @property
    def shown(self) -> str:
        return str(self._config.database)

    def open_readers(self, busy_seconds: float) -> Readers:
        return FileReaders(self._config.database, busy_seconds)

    def open_writer(self, busy_seconds: float) -> Engine:
        return open_engine(self._config.database, write=True, busy_seconds=busy_seconds)

    def open_watch(self, on_ring: Callable[[], None], readers: Readers) -> Watch:
        return _FileWatch(readers.engine, self._config.bells, on_ring)

    def reading_long(self, readers: Readers) -> AbstractContextManager[Connection]:
        """Of a copy where a reader would hold writers up."""
        return readers.snapshot() if sqlite.has_safe_wal else _copied(self._config.database)

    def check_in_place(self) -> None:
        """SQLite would write on into a file that has no name any more, and nobody would find it again."""
        if _identity(self._config.database) != self._file:
            raise StoreFailed(
                f"{self._config.database} was moved, deleted or replaced under the node: stop it, and start it again "
                "with the file in its place"
            )

    def let_go(self) -> None:
        fold_log(self._config.database)


class _FileWatch:
    """`PRAGMA data_version` of a connection that does nothing else, and the doorbell."""

    def __init__(self, engine: Engine, bells: Path, on_ring: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._connection = engine.raw_connection()
        self._bell = Doorbell(bells, on_ring)

    def version(self) -> int:
        with self._lock:
            cursor = self._connection.cursor()
            try:
                (version,) = cursor.execute("PRAGMA data_version").fetchone()
            except DatabaseError as error:
                raise DBAPIError.instance("PRAGMA data_version", None, error, DatabaseError) from error
            finally:
                cursor.close()
        return int(version)

    def ring_others(self) -> None:
        self._bell.ring_others()

    def close(self) -> None:
        with self._lock:
            self._connection.close()
        self._bell.close()


@contextmanager
def _copied(database: Path) -> Iterator[Connection]:
    with reading_a_copy(database) as conn:
        yield conn


def _identity(database: Path) -> tuple[int, int] | None:
    """What tells this file from another of its name; None where there is none."""
    try:
        seen = database.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino
