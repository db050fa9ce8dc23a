"""SQLAlchemy engines on a node's SQLite file (one to read snapshots, one to write), and copies of an open file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from ...system.shares import READERS
from ..errors import damaged, refused
from . import driver as sqlite
from .driver import DatabaseError, driver, journal_mode
from .statements import execute

BUSY_SECONDS = 10
"""How long a writer waits for another process's transaction before the request fails with 503."""

_KEPT_READERS = 8
_WRITER_CACHE_KIB = 4096
_READER_CACHE_KIB = 512
"""Of each reading connection. Every commit empties it, and the system keeps the file's pages anyway."""
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
        **({} if write else {"pool_size": _KEPT_READERS, "max_overflow": READERS - _KEPT_READERS}),
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal_mode}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{_WRITER_CACHE_KIB if write else _READER_CACHE_KIB}")
        cursor.close()

    return _begins_with(engine, "BEGIN IMMEDIATE" if write else "BEGIN")


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
