"""A node's SQLite file as a `Backend`: SQLAlchemy's engines, snapshots to read, and copies of an open file.

Two engines a process: one reads snapshots, one writes.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from ....config import Config
from ....system.shares import READERS
from ...errors import StoreFailed, damaged, refused
from ..backend import BUSY_SECONDS, Backend, Readers, Watch
from ..presence import Living, Presence
from ..statements import execute
from . import driver as sqlite
from . import file_presence
from .doorbell import Doorbell
from .driver import DatabaseError, driver, fold_log, journal_mode

_KEPT_READERS = 8
"""Reading connections that stay open: as many as read at once in normal use."""
_PLACE_SECONDS = 30.0
"""How long a reader waits while all of `READERS` read."""
_WRITER_CACHE_KIB = 16_384
"""Of the writing connection, used as far as it is needed: each new hash goes to a page of its own of every index by
hash, and one that is not here is read from the file."""
_READER_CACHE_KIB = 512
"""Of each reading connection. Every commit empties it, and the system keeps the file's pages anyway."""
_LOG_PAGES = 4000
"""Of 4 KiB: the log is folded into the file when it has grown so long. Four times SQLite's own measure: a page that
many commits change is written to the file once (docs/performance.md)."""
_LOG_BYTES = 16 << 20
"""The log is cut back to this when it has grown beyond, because a reader held it for long."""


def open_engine(database: Path, *, write: bool, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """An engine on a file that is there; its transactions begin `IMMEDIATE` (`write`, one connection) or deferred."""
    engine = create_engine(
        "sqlite+pysqlite://",
        module=driver,
        # Of a file that was taken away, none is made in its place.
        creator=lambda: _connect(database, "rw", busy_seconds),
        poolclass=StaticPool if write else QueuePool,
        **({} if write else {"pool_size": _KEPT_READERS, "max_overflow": -1}),
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal_mode}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        cursor.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{_WRITER_CACHE_KIB if write else _READER_CACHE_KIB}")
        cursor.close()

    return _begins_with(engine, "BEGIN IMMEDIATE" if write else "BEGIN")


class FileReaders:
    """Snapshots of one file, in any number of threads; at most `READERS` at once.

    A connection of SQLAlchemy's that is taken from its pool, begins a transaction and goes back costs 22 µs of
    processor; one that stays taken, with BEGIN and ROLLBACK by the driver, 6. Places are counted here, and the pool has
    no bound: it knows nothing of connections that come back to `_idle`, and who waited for it would wait in vain.
    """

    def __init__(self, database: Path, busy_seconds: float) -> None:
        self.engine = open_engine(database, write=False, busy_seconds=busy_seconds)
        self._idle: deque[Connection] = deque()
        self._places = threading.Semaphore(READERS)
        self._closed = False

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection in a read transaction of its own. Raises DBAPIError, sqlalchemy.exc.TimeoutError."""
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise PoolTimeout(f"{READERS} read at once")
        try:
            try:
                conn = self._idle.pop()
            except IndexError:
                conn = self.engine.connect()
            try:
                execute(conn, "BEGIN").close()
                yield conn
            finally:
                self._give_back(conn)
        finally:
            self._places.release()

    def _give_back(self, conn: Connection) -> None:
        try:
            if conn.in_transaction():  # a statement went by way of SQLAlchemy, which keeps account of one too
                conn.rollback()
            else:
                conn.connection.rollback()
        except (DBAPIError, DatabaseError):
            conn.invalidate()  # what was read is whole; whatever is wrong, the next reader opens another
        if conn.invalidated or len(self._idle) >= _KEPT_READERS:
            conn.close()
            return
        self._idle.append(conn)
        if self._closed:
            self.let_go()

    def let_go(self) -> None:
        """Give the connections that nobody reads with now back to SQLAlchemy's pool."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        """Close every connection; one that is in use is closed behind its use."""
        self._closed = True
        self.let_go()
        self.engine.dispose()


def connect_to_look(database: Path) -> Any:
    """A driver's connection that leaves no trace on a sound file: no checkpoint at its close, no change of mode."""
    # A rollback journal that a killed process left must be played back first, and that takes the right to write.
    journal = database.with_name(f"{database.name}-journal")
    mode = "rw" if journal.exists() and journal.stat().st_size else "ro"
    return _connect(database, mode, BUSY_SECONDS)


def _connect(database: Path, mode: str, busy_seconds: float) -> Any:
    """`mode`: as in SQLite's URIs; none of ours makes a file."""
    uri = f"{database.absolute().as_uri()}?mode={mode}"
    return driver.connect(uri, uri=True, isolation_level=None, timeout=busy_seconds, check_same_thread=False)


def open_to_look(database: Path) -> Engine:
    """`connect_to_look` for SQLAlchemy."""
    engine = create_engine(
        "sqlite+pysqlite://", module=driver, creator=lambda: connect_to_look(database), poolclass=NullPool
    )
    return _begins_with(engine, "BEGIN")


def _begins_with(engine: Engine, statement: str) -> Engine:
    # The driver's own transaction control is off (isolation_level None), so that BEGIN is ours alone.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        used: Any = connection.connection.driver_connection
        if not used.in_transaction:  # `Readers` say BEGIN themselves
            execute(connection, statement).close()

    return engine


@contextmanager
def refusing(database: Path) -> Iterator[None]:
    """What SQLite or SQLAlchemy raises about a file that is being opened, as StoreRefused."""
    try:
        yield
    except (DBAPIError, DatabaseError) as error:
        raise refused(database, error) from None
    except UnicodeDecodeError:  # SQLite's own words quote a damaged table's definition
        raise damaged(database, "its tables' definitions are no text") from None


_SLICE_PAGES = 500
"""2 MB: some ten milliseconds."""
_RESTARTS = 3
"""SQLite begins again where another process wrote meanwhile. After so many times the rest is copied in one go."""


class _Overtaken(Exception):
    """Other processes wrote so often that a copy in slices began again too many times."""


def copy_database(source: Any, target: Any) -> None:
    """Copy a driver's open database to another one.

    Where a reader holds writers up (a rollback journal), in slices: between two of them a writer has its turn.
    """
    if sqlite.has_safe_wal:
        source.backup(target)
        return
    least: int | None = None
    restarts = 0

    def look(_status: int, remaining: int, _total: int) -> None:
        nonlocal least, restarts
        if least is not None and remaining > least:
            restarts += 1
            if restarts > _RESTARTS:
                raise _Overtaken
        least = remaining

    try:
        source.backup(target, pages=_SLICE_PAGES, progress=look)
    except _Overtaken:
        source.backup(target)


@contextmanager
def reading_a_copy(database: Path) -> Iterator[Connection]:
    """A snapshot to read for long: of a copy, whose file is removed with it."""
    with tempfile.NamedTemporaryFile(prefix=f".{database.name}.", suffix=".tmp", dir=database.parent) as file:
        copy = driver.connect(file.name, isolation_level=None, check_same_thread=False)
        engine = create_engine("sqlite+pysqlite://", module=driver, creator=lambda: copy, poolclass=StaticPool)
        try:
            with closing(connect_to_look(database)) as source:
                copy_database(source, copy)
            with engine.connect() as conn:
                yield conn
        finally:
            engine.dispose()


class FileBackend(Backend):
    def __init__(self, config: Config) -> None:
        self._config = config
        self._database, self._bells = config.database, config.bells
        self._file = _identity(self._database)

    @property
    def shown(self) -> str:
        return str(self._database)

    def open_readers(self, busy_seconds: float) -> Readers:
        return FileReaders(self._database, busy_seconds)

    def open_writer(self, busy_seconds: float) -> Engine:
        return open_engine(self._database, write=True, busy_seconds=busy_seconds)

    def open_watch(self, on_ring: Callable[[], None], readers: Readers) -> Watch:
        return _FileWatch(readers.engine, self._bells, on_ring)

    def reading_long(self, readers: Readers) -> AbstractContextManager[Connection]:
        """Of a copy where a reader would hold writers up."""
        return readers.snapshot() if sqlite.has_safe_wal else _copied(self._database)

    def hold(self, kind: str, tries: int = 40) -> Presence:
        return file_presence.hold(self._config, kind, tries)

    def join(self, status: bytes, on_turn: Callable[[bool], None] | None) -> Presence:
        """A file has one node, which holds the folder's `node.lock`."""
        if on_turn is not None:
            on_turn(True)
        return file_presence.Alone()

    def living(self, readers: Readers, kind: str) -> list[Living]:
        return file_presence.living(self._config, kind)

    def check_in_place(self) -> None:
        """SQLite would write on into a file that has no name any more, and nobody would find it again."""
        if _identity(self._database) != self._file:
            raise StoreFailed(
                f"{self._database} was moved, deleted or replaced under the node: stop it, and start it again "
                "with the file in its place"
            )

    def let_go(self) -> None:
        fold_log(self._database)


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
