"""SQLAlchemy on a PostgreSQL server: engines to read and to write, and snapshots, of a replica where there is one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, Pool, StaticPool

from ...errors import StoreFailed, log, words
from .pg_connection import PatientConnection, ServerConnection, connect
from .pg_replica import ReplicaOf
from .pg_writing import connect_to_write

_KEPT_READERS: Final = 8
"""Reading connections that stay open, to each server."""
MOST_READERS: Final = 16
"""Connections that read at once, in a process: a server takes a hundred of all processes together unless told."""
_PLACE_SECONDS: Final = 30.0
"""How long a reader waits while all of these read."""
_REPLICA_PAUSE: Final = 1.0
"""Seconds for which a replica that could not be reached is left alone."""
_REPLICA_LOOK: Final = 20.0
"""The same at most while somebody looks whether it is back."""


def engine_of(creator: Callable[[], psycopg.Connection[Any]], pool: type[Pool] = NullPool) -> Engine:
    """SQLAlchemy on connections of ours, each of which is kept by whoever opened it."""
    return create_engine(
        "postgresql+psycopg://",
        creator=creator,
        poolclass=pool,
        pool_reset_on_return=None,  # it is closed then; a lost one would be met with a traceback in the log
        paramstyle="format",
        use_native_hstore=False,
    )


def open_writing(
    conninfo: str, process: int, busy_seconds: float, saw: Callable[[int], None], *, unsafe: bool = False
) -> Engine:
    """An engine whose transactions have the only right to write. See `WritingConnection`.

    `saw`: told of the counter of changes when one begins, and when it has committed.
    """
    engine = engine_of(lambda: connect_to_write(conninfo, process, busy_seconds, unsafe=unsafe))

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        with as_sqlalchemy(b"BEGIN"):
            _driver(conn).begin_writing()
        saw(_driver(conn).seen)

    @event.listens_for(engine, "commit")
    def commit(conn: Connection) -> None:
        with as_sqlalchemy(b"COMMIT"):
            _driver(conn).commit_changes()
        saw(_driver(conn).seen)

    return engine


def open_plainly(
    conninfo: str, begin: str = "BEGIN", connecting: Callable[[str], ServerConnection] = connect
) -> Engine:
    """An engine for what is done before the database is used. `begin`: the statements that begin a transaction."""
    # One connection: a start that opens four takes 40 ms more.
    engine = engine_of(lambda: connecting(conninfo), StaticPool)

    @event.listens_for(engine, "begin")
    def begin_transaction(conn: Connection) -> None:
        with as_sqlalchemy(b"BEGIN"):
            _driver(conn).message(begin.encode())

    return engine


def take_time(conn: Connection) -> None:
    """Statements of this transaction may take hours: the schema of a large chain is upgraded."""
    driver = _driver(conn)
    with as_sqlalchemy(b"SET"):
        driver.message(b"SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
    driver.answer_seconds = PatientConnection.answer_seconds


def _driver(conn: Connection) -> Any:
    return conn.connection.driver_connection


@contextmanager
def as_sqlalchemy(sql: bytes) -> Iterator[None]:
    """psycopg's errors as SQLAlchemy's, as of a statement that went by way of it."""
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(sql.decode(), None, error, psycopg.Error) from error


_Beginning = Callable[[ServerConnection], int]
"""Begins a snapshot, and tells its counter of changes."""
_PLAINLY: Final[_Beginning] = partial(ServerConnection.begin_reading, counted=False)
_COUNTED: Final[_Beginning] = partial(ServerConnection.begin_reading, counted=True)
_LONG: Final[_Beginning] = ServerConnection.begin_reading_long
_SOON: Final[_Beginning] = ServerConnection.begin_reading_soon


class _Server:
    """Connections to one server that stay open, for readers."""

    def __init__(self, creator: Callable[[], ServerConnection]) -> None:
        self.engine = engine_of(creator)
        self._idle: deque[Connection] = deque()
        self.is_closed = False

    def begin(self, how: _Beginning) -> tuple[Connection, int]:
        """A connection with a snapshot begun, and its counter. One that the server has closed meanwhile is replaced.

        Raises DBAPIError, StoreFailed.
        """
        while True:
            try:
                conn = self._idle.pop()
            except IndexError:
                break
            try:
                return conn, _begin(conn, how)
            except DBAPIError:  # of an idle connection: the server was restarted, say
                self.drop(conn)
                self.let_go()
        conn = self.engine.connect()
        try:
            return conn, _begin(conn, how)
        except BaseException:
            self.drop(conn)
            raise

    def end(self, conn: Connection) -> None:
        try:
            if conn.in_transaction():  # a statement went by way of SQLAlchemy, which keeps account of one too
                conn.rollback()
            else:
                _driver(conn).end_reading()
        except (DBAPIError, psycopg.Error):
            self.drop(conn)  # what was read is whole; whatever is wrong, the next reader opens another
            return
        if conn.invalidated or len(self._idle) >= _KEPT_READERS:
            self.drop(conn)
            return
        self._idle.append(conn)
        if self.is_closed:
            self.let_go()

    @staticmethod
    def drop(conn: Connection) -> None:
        """Close it, without a word to a server that may not answer."""
        with suppress(Exception):
            conn.invalidate()
        with suppress(Exception):
            conn.close()

    def let_go(self) -> None:
        with suppress(IndexError):
            while True:
                self.drop(self._idle.pop())

    def close(self) -> None:
        self.is_closed = True
        self.let_go()
        self.engine.dispose()


def _begin(conn: Connection, how: _Beginning) -> int:
    with as_sqlalchemy(b"BEGIN"):
        return how(_driver(conn))


class ServerReaders:
    """Snapshots of the primary; or of a replica, where that is as new as all that this process has seen."""

    def __init__(self, primary: str, replica: str | None = None) -> None:
        """Both: libpq's words for a connection."""
        self._primary = _Server(lambda: connect(primary))
        self._replica = None if replica is None else _Server(ReplicaOf(primary, replica).connect)
        self._plainly = _PLAINLY if replica is None else _COUNTED
        self.engine = self._primary.engine
        self._places = threading.Semaphore(MOST_READERS)
        self._seen = 0
        """The highest counter of changes that this process knows."""
        self._lock = threading.Lock()
        self._replica_rests_until = 0.0
        """By the monotonic clock."""
        self._is_replica_lost = False

    def saw(self, counter: int) -> None:
        """This process knows of a commit: what it reads from now on is not older."""
        if counter > self._seen:
            with self._lock:
                self._seen = max(self._seen, counter)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection in a read transaction of its own. Raises DBAPIError, sqlalchemy.exc.TimeoutError."""
        with self._place():
            server, conn = self._begin()
            try:
                yield conn
            finally:
                server.end(conn)

    def of_primary(self) -> AbstractContextManager[Connection]:
        """`snapshot`, never of the replica: there a long read may be ended for the sake of what is replayed."""
        return self._of_primary(_LONG)

    def soon(self) -> AbstractContextManager[Connection]:
        """`snapshot` of the primary, for a look that many wait for: given up after seconds, where others get longer."""
        return self._of_primary(_SOON)

    @contextmanager
    def _of_primary(self, how: _Beginning) -> Iterator[Connection]:
        with self._place():
            conn, counter = self._primary.begin(how)
            self.saw(counter)
            try:
                yield conn
            finally:
                self._primary.end(conn)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise PoolTimeout(f"{MOST_READERS} read at once")
        try:
            yield
        finally:
            self._places.release()

    def _begin(self) -> tuple[_Server, Connection]:
        if self._replica is not None and (conn := self._of_replica(self._replica)) is not None:
            return self._replica, conn
        conn, counter = self._primary.begin(self._plainly)
        self.saw(counter)
        return self._primary, conn

    def _of_replica(self, replica: _Server) -> Connection | None:
        """A snapshot of the replica's; None where that is behind what this process has seen, or cannot be had."""
        if time.monotonic() < self._replica_rests_until:
            return None
        if self._is_replica_lost:  # one looks whether it is back: the others don't wait for that
            self._replica_rests_until = time.monotonic() + _REPLICA_LOOK
        least = self._seen
        try:
            conn, counter = replica.begin(ServerConnection.begin_reading_replica)
        except (DBAPIError, StoreFailed) as error:
            if not self._is_replica_lost:
                cause = getattr(error, "orig", None) or error
                log.warning("the replica cannot be read now (%s): reads go to the primary", words(cause))
            self._is_replica_lost = True
            self._replica_rests_until = time.monotonic() + _REPLICA_PAUSE
            return None
        if self._is_replica_lost:
            log.info("the replica is read again")
            self._is_replica_lost, self._replica_rests_until = False, 0.0
        if counter < least:
            replica.end(conn)
            return None
        self.saw(counter)
        return conn

    def let_go(self) -> None:
        """Close the connections that nobody reads with now."""
        for server in self._servers():
            server.let_go()

    def close(self) -> None:
        """Close every connection; one that is in use is closed behind its use."""
        for server in self._servers():
            server.close()

    def _servers(self) -> list[_Server]:
        return [self._primary] if self._replica is None else [self._primary, self._replica]
