"""The connection that a process writes by: the right to write, the counter of changes, and COMMIT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import psycopg

from ...errors import StoreFailed
from ..backend import CommitUnknown
from .pg_connection import (
    ADAPTERS,
    CHANNEL,
    COUNTER,
    SETTINGS,
    WRITERS_LOCK,
    BinaryCursor,
    Rows,
    ServerConnection,
    number_in,
)

_NOW: Final = b"extract(epoch FROM now())::bigint"
"""Unix seconds by the server's clock: one machine's wrong clock must not make others' rows look old."""
_SAFE: Final = "current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')"
_WRITE: Final = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
    f"SELECT pg_advisory_xact_lock({WRITERS_LOCK[0]}, {WRITERS_LOCK[1]}); "
    + COUNTER.replace("value", f"value, {_SAFE}")
).encode()
_HAS_CHANGED: Final = b"SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
"""Whether this transaction has changed any row."""
COMMIT_SECONDS: Final = 30.0
"""How long a COMMIT may take before its answer is taken for lost: it waits for a disk, and for a replica's."""
_BEGIN_SECONDS: Final = 5.0
"""How long the beginning of a transaction may take beside the wait for the right to write."""
_CHANGES_NOTHING: Final = re.compile(
    r"\s*(SELECT|SAVEPOINT|RELEASE|ROLLBACK|DECLARE|FETCH|CLOSE|SET|SHOW)\b", re.ASCII | re.IGNORECASE
)
_BEGINS_WITH: Final = re.compile(r"\s*WITH\b", re.ASCII | re.IGNORECASE)
_CHANGES: Final = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", re.ASCII | re.IGNORECASE)
_WRITING: Final = (
    f"{SETTINGS}SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '{{busy}}ms'; "
    "SET statement_timeout = '600s'; "
    # As it is now: a setting that is changed while the node runs must not change what a commit means.
    "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false); "
    # A writer whose machine is gone holds the lock until the server finds out.
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2"
)
_KEPT_SECONDS: Final = 30 * 86_400
_FORGET: Final = b"DELETE FROM processes WHERE seen_at < %b - %d" % (_NOW, _KEPT_SECONDS)
"""How long the row of a process stays that has neither committed nor said anything."""


class _WritingCursor(BinaryCursor):
    """Counts what changes rows."""

    def execute(self, query: Any, *args: Any, **given: Any) -> Any:
        self.connection.touched += may_change(query)  # type: ignore[attr-defined] # of `WritingConnection` alone
        return super().execute(query, *args, **given)

    def executemany(self, query: Any, *args: Any, **given: Any) -> None:
        self.connection.touched += may_change(query)  # type: ignore[attr-defined]
        super().executemany(query, *args, **given)


@lru_cache(1_000)
def may_change(sql: Any) -> bool:
    """Whether a statement may change rows, by how it is written. What a function does that it calls is not seen."""
    if not isinstance(sql, str):
        return True
    if _BEGINS_WITH.match(sql):
        return _CHANGES.search(sql) is not None
    return _CHANGES_NOTHING.match(sql) is None


class WritingConnection(ServerConnection):
    """The connection that a process writes by. `process`: the process's number in `processes`; `busy_seconds`: how long
    it waits for the right to write; `unsafe`: whether it takes a server that may forget."""

    process = 0
    busy_seconds = 0.0
    unsafe = False
    touched = 0
    """Statements that may have changed rows, since it was opened."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.seen = 0
        """The counter of changes, as it was last read or raised here."""
        self._counter = 0
        """The same, when the transaction began."""
        self._own = 0
        """Of those, the commits of this connection."""
        self._touched_before = 0
        self._warnings: list[str] | None = None
        self.add_notice_handler(self._note)

    def run(self, sql: str, values: Sequence[Any]) -> Rows:
        """`ServerConnection.run`, counted where it may change rows."""
        self.touched += may_change(sql)
        return super().run(sql, values)

    @property
    def changes(self) -> tuple[int, int]:
        """Equal to an earlier value only where no process and no statement of this connection changed anything."""
        return self._counter - self._own, self.touched

    def begin_writing(self) -> None:
        """Waits for the right to write. Raises psycopg.Error (LockNotAvailable where that takes too long), and
        StoreFailed for a server that may forget: its settings can be changed while a node runs."""
        result = self.message(_WRITE, self.busy_seconds + _BEGIN_SECONDS)
        self._counter = self.seen = number_in(result)
        if not self.unsafe and b"off" in (result.get_value(0, 1), result.get_value(0, 2), result.get_value(0, 3)):
            raise StoreFailed(
                "the database's server may forget now what it has acknowledged (synchronous_commit, fsync or "
                "full_page_writes is off there), so nothing is written: turn that on again"
            )
        self._touched_before = self.touched

    def commit_changes(self) -> None:
        """Raises psycopg.Error where nothing was committed, CommitUnknown, StoreFailed."""
        if self.touched == self._touched_before:
            if self.message(_HAS_CHANGED).get_value(0, 0) != b"t":
                self.message(b"COMMIT")
                return
            self.touched += 1  # by a function, say
        number = self._counter + 1
        # The first part can only fail as a whole; only behind it is the end in doubt.
        self.message(
            b"UPDATE meta SET value = '\\x%016x' WHERE key = 'changes'; "
            b"INSERT INTO processes VALUES (%d, 'store', '', %d, %b, %b) "
            b"ON CONFLICT (number) DO UPDATE SET committed = excluded.committed, seen_at = excluded.seen_at; "
            b"NOTIFY %s, '%d'" % (number, self.process, number, _NOW, _NOW, CHANNEL.encode(), self.process)
        )
        self._warnings = []
        try:
            result = self.message(b"COMMIT", COMMIT_SECONDS)
        except psycopg.Error as error:
            # A server that goes down over a COMMIT (PANIC: its log cannot be written) may find it done when it is up.
            if error.sqlstate is None or error.diag.severity_nonlocalized in ("FATAL", "PANIC"):
                raise CommitUnknown(number) from error
            raise
        finally:
            warnings, self._warnings = self._warnings, None
        if result.command_status != b"COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("the transaction was rolled back at its end")
        self._own += 1
        self.seen = number
        if warnings:
            raise StoreFailed(
                "the database has written it, but did not wait until its replica has, too: look whether it is there "
                "before it is sent again"
            )

    def _note(self, notice: Any) -> None:
        # A server that stops waiting for a synchronous replica warns, and calls the transaction committed.
        if self._warnings is not None and notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "")


def connect_to_write(conninfo: str, process: int, busy_seconds: float, *, unsafe: bool = False) -> WritingConnection:
    """A connection to write by. Raises psycopg.Error."""
    connection = WritingConnection.connect(conninfo, autocommit=True, context=ADAPTERS, cursor_factory=_WritingCursor)
    connection.process, connection.busy_seconds, connection.unsafe = process, busy_seconds, unsafe
    connection.prepare_threshold = None  # statements by SQLAlchemy's own way are planned each time: they are rare
    connection.message(_WRITING.format(busy=max(1, round(busy_seconds * 1000))).encode())
    connection.message(_FORGET)
    return connection
