"""Who is alive on a server: locks of sessions, which the server frees with whoever held them, and rows that tell more.

A process has a connection of its own for this, and a thread that asks the server something every second. The server
ends a session that asks nothing for some seconds, so that a machine that is gone, or a process that is held still, is
not alive for long; and whoever is not answered within two seconds takes itself for lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from secrets import randbits
from typing import Any, Final

import psycopg
from sqlalchemy import BigInteger, LargeBinary, String, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...errors import log, words
from ..presence import MOST_SAID, PEER, Living, Presence
from .pg_connection import ALIVE_CLASS, PEER_LOCK, ClosedConnection
from .pg_engines import ServerReaders

_BEAT_SECONDS: Final = 1.0
"""Between two questions to the server."""
_STANDBY_SECONDS: Final = 0.5
"""Between two tries of a node to be the one that speaks to others."""
_ANSWER_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 4
"""A session that has asked nothing for so long is ended by the server: longer than a question and its answer may take,
so that a node has stopped before another begins."""
_AGAIN_SECONDS: Final = 0.5
"""Between two tries to reach a server that is gone."""
_ROW_SECONDS: Final = 3600.0
"""How often the row is written where nothing is new, so that it is not taken for one of a process that is gone."""
_STOP_SECONDS: Final = 3.0
"""How long `release` waits for the thread."""
_SETTINGS: Final = (
    # No answer tells that this is written, and no counter: a row that is lost with the server is written again.
    "SET synchronous_commit = off; SET default_transaction_read_only = off; "
    f"SET idle_session_timeout = '{_SILENT_SECONDS}s'; SET tcp_user_timeout = '{_SILENT_SECONDS}s'; "
    "SET tcp_keepalives_idle = 1; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3"
).encode()
_SAY: Final = (
    "INSERT INTO processes (number, kind, status, committed, started_at, seen_at) "
    "VALUES (%s, %s, %s, 0, extract(epoch FROM now())::bigint, extract(epoch FROM now())::bigint) "
    "ON CONFLICT (number) DO UPDATE SET kind = excluded.kind, status = excluded.status, seen_at = excluded.seen_at"
)


class _Session(ClosedConnection):
    """A connection that is answered soon, or is lost."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, _ANSWER_SECONDS if timeout is None else timeout)


class ServerPresence(Presence):
    """Says it in its row of `processes`, as soon as the server can be reached."""

    def __init__(
        self,
        conninfo: str,
        kind: str,
        status: bytes = b"",
        on_turn: Callable[[bool], None] | None = None,
    ) -> None:
        """`on_turn`: as of `Backend.join`; such a process is of kind PEER while it has the turn."""
        self._conninfo = conninfo
        self._process = randbits(30) + 1
        """Of a row of its own: that of the process's commits is locked for as long as a commit takes."""
        self._kind = kind
        self._status = status
        self._on_turn = on_turn
        self._has_turn = False
        self._trouble = ""
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()

    def say(self, status: bytes) -> None:
        if len(status) <= MOST_SAID:
            self._status = status
            self._wake.set()

    def release(self) -> None:
        self._closed.set()
        self._wake.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with _Session.connect(self._conninfo, autocommit=True) as connection:
                    try:
                        self._live(connection)
                    finally:  # before the connection is closed, which may take a while where it is lost
                        self._lost()
            except (psycopg.Error, OSError) as error:
                self._say_trouble(error)
                self._closed.wait(_AGAIN_SECONDS)

    def _live(self, connection: _Session) -> None:
        """Until the end, or until the session is lost: then it raises psycopg.Error."""
        connection.execute(_SETTINGS)
        # Shared: of a session that was lost, the server may not know yet.
        connection.execute(f"SELECT pg_advisory_lock_shared({ALIVE_CLASS}, {self._process})")
        said: tuple[str, bytes] | None = None
        said_at = 0.0
        is_told = False
        while not self._closed.is_set():
            self._wake.clear()
            has_turn = self._has_turn or (self._on_turn is not None and _takes_turn(connection))
            now, saying = time.monotonic(), (PEER if has_turn else self._kind, self._status)
            if saying != said or now - said_at > _ROW_SECONDS:
                connection.execute(_SAY, (self._process, *saying))
                said, said_at = saying, now
            elif has_turn == self._has_turn:
                connection.execute("SELECT 1")
            if has_turn != self._has_turn or (not is_told and self._on_turn is not None):
                self._tell_turn(has_turn)
                is_told = True
            self._say_well()
            self._wake.wait(_STANDBY_SECONDS if self._on_turn is not None and not has_turn else _BEAT_SECONDS)

    def _lost(self) -> None:
        if self._has_turn:
            self._tell_turn(False)

    def _tell_turn(self, has_turn: bool) -> None:
        self._has_turn = has_turn
        assert self._on_turn is not None  # noqa: S101 - else it takes no turn
        with suppress(Exception):
            self._on_turn(has_turn)

    def _say_trouble(self, error: BaseException) -> None:
        """Once, not at every try."""
        if not self._trouble and not self._closed.is_set():
            log.info("the database does not know that this process lives (%s): trying again", words(error))
        self._trouble = words(error)

    def _say_well(self) -> None:
        if self._trouble:
            self._trouble = ""
            log.info("the database knows again that this process lives")


def _takes_turn(connection: _Session) -> bool:
    row = connection.execute(f"SELECT pg_try_advisory_lock({PEER_LOCK[0]}, {PEER_LOCK[1]})").fetchone()
    return bool(row and row[0])


_KEPT_SECONDS: Final = 0.25
"""For which one look at who lives counts."""
_FAILURE_SECONDS: Final = 1.0
"""The same of a look that failed."""
_MOST_LIVING: Final = 500
"""Processes of a kind that are told of."""
_LIVING: Final = (
    text(
        "SELECT status FROM processes WHERE kind = :kind AND number IN ("
        "SELECT CAST(objid AS bigint) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
        "AND CAST(classid AS bigint) = :class "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ") ORDER BY started_at, number LIMIT :most"
    )
    .bindparams(
        bindparam("kind", type_=String),
        bindparam("class", ALIVE_CLASS, type_=BigInteger),
        bindparam("most", _MOST_LIVING, type_=BigInteger),
    )
    .columns(status=LargeBinary)
)


class LivingProcesses:
    """Looks who lives, by the primary's locks: a thousand requests a second are not as many looks.

    Callers wait for one another's look. So one that fails counts, too, for a while and for every kind: else each of
    them would in turn wait for a server that does not answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, list[Living]]] = {}
        self._failure: DBAPIError | PoolTimeout | None = None
        self._failed_until = 0.0
        """By the monotonic clock."""

    def of(self, readers: ServerReaders, kind: str) -> list[Living]:
        """Raises DBAPIError, sqlalchemy.exc.TimeoutError."""
        with self._lock:
            until, found = self._found.get(kind, (0.0, []))
            if time.monotonic() >= until:
                found = self._look(readers, kind)
                self._found[kind] = time.monotonic() + _KEPT_SECONDS, found
            return found

    def _look(self, readers: ServerReaders, kind: str) -> list[Living]:
        if self._failure is not None and time.monotonic() < self._failed_until:
            raise self._failure.with_traceback(None)
        try:
            with readers.soon() as conn:
                found = [Living(bytes(row.status)) for row in conn.execute(_LIVING, {"kind": kind})]
        except (DBAPIError, PoolTimeout) as error:
            self._failure, self._failed_until = error, time.monotonic() + _FAILURE_SECONDS
            raise
        self._failure = None
        return found
