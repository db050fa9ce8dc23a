"""SQLAlchemy on a node's SQLite file: statements that are compiled once, engines, and copies of an open file.

Two engines a process: one reads snapshots, one writes. `Query`, `Many` and `Among` are for statements that run over
many rows, or very often: SQLAlchemy writes the SQL once, and the driver gets tuples. `Connection.execute` with a
dictionary a row spends several microseconds on each, and compiles a long IN list anew for every length: most of the
time of connecting a full block (docs/performance.md).
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Delete,
    Dialect,
    Engine,
    Insert,
    Select,
    Update,
    bindparam,
    create_engine,
    event,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool, StaticPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningDelete
from sqlalchemy.sql.elements import ColumnElement

from ...system.shares import READERS
from ..errors import damaged, refused
from . import driver as sqlite
from .driver import DatabaseError, driver, journal_mode

Values = tuple[Any, ...]

_LENGTHS = (1, 4, 16, 64, 250, 1000)
"""IN lists are padded to one of these, so that there are few statements; SQLite's own cache keeps them prepared."""


class Many:
    """An INSERT, UPDATE or DELETE that is run once a row.

    `names`: of the bound parameters, as they stand in the SQL from left to right. Values go to the driver as they are:
    integers, text, bytes, None.
    """

    def __init__(self, statement: Insert | Update | Delete, *names: str) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, str] = {}

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        if rows:
            execute(conn, self._sql(conn.dialect), rows, many=True)

    def _sql(self, dialect: Dialect) -> str:
        if dialect.name not in self._compiled:
            keys = self._names if isinstance(self._statement, Insert) else None
            self._compiled[dialect.name] = _positional(
                self._statement.compile(dialect=dialect, column_keys=keys), self._names
            )
        return self._compiled[dialect.name]


class Query:
    """A SELECT with named parameters. Values and columns are the driver's own."""

    def __init__(self, statement: Select[*Values] | CompoundSelect[*Values]) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str], dict[str, Any]]] = {}

    def one(self, conn: Connection, **values: Any) -> Values | None:
        """The first row."""
        sql, names, constants = self._sql(conn.dialect)
        bound = constants | values
        cursor = execute(conn, sql, tuple([bound[name] for name in names]))
        row: Values | None = cursor.fetchone()
        cursor.close()
        return row

    def rows(self, conn: Connection, **values: Any) -> Generator[Values, None, None]:
        """Every row, one after the other: what is large need not be there at once."""
        sql, names, constants = self._sql(conn.dialect)
        bound = constants | values
        cursor = execute(conn, sql, tuple([bound[name] for name in names]))
        try:
            yield from cursor
        except conn.dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(sql, None, error, conn.dialect.loaded_dbapi.Error) from error
        finally:
            cursor.close()

    def _sql(self, dialect: Dialect) -> tuple[str, list[str], dict[str, Any]]:
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect)
            assert isinstance(compiled, SQLCompiler)  # noqa: S101
            names = list(compiled.positiontup or ())
            self._compiled[dialect.name] = (_positional(compiled, names), names, dict(compiled.params))
        return self._compiled[dialect.name]


class Among:
    """`statement` where `column` is one of any number of values, in chunks. The statement has no other parameter."""

    def __init__(
        self, statement: Select[*Values] | Delete | ReturningDelete[*Values], column: ColumnElement[Any]
    ) -> None:
        self._statement = statement
        self._column = column
        self._compiled: dict[tuple[str, int], str] = {}

    def rows(self, conn: Connection, values: Sequence[Any]) -> Iterator[Values]:
        """The rows that the statement gives, chunk after chunk; values and columns are the driver's own."""
        for start in range(0, len(values), _LENGTHS[-1]):
            chunk = tuple(values[start : start + _LENGTHS[-1]])
            length = next(length for length in _LENGTHS if length >= len(chunk))
            padded = chunk + chunk[-1:] * (length - len(chunk))
            cursor = execute(conn, self._sql(conn.dialect, length), padded)
            yield from cursor.fetchall()
            cursor.close()

    def _sql(self, dialect: Dialect, length: int) -> str:
        key = (dialect.name, length)
        if key not in self._compiled:
            names = [f"value_{i}" for i in range(length)]
            statement = self._statement.where(self._column.in_([bindparam(name) for name in names]))
            self._compiled[key] = _positional(statement.compile(dialect=dialect), names)
        return self._compiled[key]


def execute(conn: Connection, sql: str, values: Sequence[Any] = (), *, many: bool = False) -> Any:
    """The driver's own cursor after `sql`; errors are SQLAlchemy's.

    `exec_driver_sql` spends some 35 microseconds a statement on a result that knows its columns' names and types.
    """
    cursor = conn.connection.cursor()
    base = conn.dialect.loaded_dbapi.Error
    try:
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
    except base as error:
        cursor.close()
        raise DBAPIError.instance(sql, None, error, base) from error
    return cursor


def _positional(compiled: Any, names: Sequence[str]) -> str:
    """The SQL, sure to take its parameters in the order of `names`."""
    assert isinstance(compiled, SQLCompiler)  # noqa: S101
    if compiled.positiontup is None or list(compiled.positiontup) != list(names):
        raise ValueError(f"parameters are {compiled.positiontup}, not {list(names)}")
    return str(compiled)


BUSY_SECONDS = 10
"""How long a writer waits for another process's transaction before the request fails with 503."""

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


class Readers:
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
