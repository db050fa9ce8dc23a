"""psycopg's connections as a node uses them: in autocommit, with BEGIN, COMMIT and ROLLBACK of its own.

Those three are messages by libpq itself: psycopg's cursors take twice as long for what has no parameters.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

import psycopg
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper, NumericBinaryLoader, NumericLoader

from ...errors import StoreFailed

CHANNEL: Final = "moneyer"
WRITERS_LOCK: Final = (0x4D4F4E45, 1)
"""The advisory lock that is the right to write (two 32-bit numbers; the first one is "MONE")."""
OPENING_LOCK: Final = (0x4D4F4E45, 2)
"""Held while the schema is made or upgraded."""
PEER_LOCK: Final = (0x4D4F4E45, 3)
"""Held by a session of the one node that speaks to other nodes."""
ALIVE_CLASS: Final = 0x4D4F4E46
"""First number of the locks by which processes are known to live; the second is a process's in `processes`."""
COUNTER: Final = "SELECT value FROM meta WHERE key = 'changes'"
"""The number of commits that changed something, 8 bytes big-endian."""
_READ: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_READ_COUNTED: Final = _READ + b"; " + COUNTER.encode()
_READ_LONG: Final = _READ + (
    b"; SET LOCAL statement_timeout = '600s'; SET LOCAL idle_in_transaction_session_timeout = '600s'; "
    + COUNTER.encode()
)
_READ_REPLICA: Final = _READ + b"; SELECT value, pg_is_in_recovery() FROM meta WHERE key = 'changes'"
_FINE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_ANSWER_SECONDS: Final = 60.0
"""A statement that takes longer has lost its server: each reads a bounded number of rows."""
_LONG_SECONDS: Final = 600.0
"""The same of what reads a whole chain."""
_REPLICA_SECONDS: Final = 2.0
"""How long a replica may take to begin a snapshot: the primary has one, too."""
_UNPREPARED: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK")
"""Statements that have no plan to keep."""
_UNASKED: Final = 10
"""Reads of what a server says unasked, at most, before a snapshot."""
_SOON_SECONDS: Final = 5.0
"""How long the server may take over each statement of a look that many wait for."""
_PLAN_SECONDS: Final = 10.0
"""How long a plan is kept. One that was made while a table was nearly empty reads all of it, and PostgreSQL keeps it
until the table is next analyzed: with 100,000 transfers waiting, 140 ms for what takes one (docs/performance.md)."""
_NO_PLAN: Final = (b"", 0.0)
_PREPARED: Final = 500
"""Statements that stay prepared in a connection: there are some 150, each with or without arrays."""


class _IntLoader(NumericLoader):
    """`sum` of 64-bit numbers is `numeric`: here whole, always."""

    def load(self, data: Any) -> Any:
        return int(super().load(data))


class _IntBinaryLoader(NumericBinaryLoader):
    def load(self, data: Any) -> Any:
        return int(super().load(data))


def adapters() -> AdaptersMap:
    """Whole numbers are of one type, whatever their size, so that a statement is prepared once."""
    found = AdaptersMap(psycopg.adapters)
    for dumper in (Int8Dumper, Int8BinaryDumper):
        found.register_dumper(int, dumper)
    for loader in (_IntLoader, _IntBinaryLoader):
        found.register_loader("numeric", loader)
    return found


ADAPTERS: Final = adapters()


class BinaryCursor(psycopg.Cursor[Any]):
    """Takes rows in binary form: a hash as text would be twice as long."""

    def __init__(self, connection: Any, **given: Any) -> None:
        super().__init__(connection, **given)
        self.format = Format.BINARY

    def execute(self, *args: Any, **given: Any) -> Any:
        _made_ready(self.connection)
        return super().execute(*args, **given)


class _NamedCursor(psycopg.ServerCursor[Any]):
    """For many rows, a portion at a time."""

    def execute(self, *args: Any, **given: Any) -> Any:
        _made_ready(self.connection)
        return super().execute(*args, **given)


def _made_ready(connection: Any) -> None:
    if isinstance(connection, ServerConnection):
        connection.make_ready()


class Rows:
    """What a statement gave, as the driver's cursor would hand it out."""

    __slots__ = ("_next", "_transformer", "count")

    def __init__(self, transformer: Any, count: int) -> None:
        """`transformer`: psycopg's `Transformer` on the result; None where there are no rows."""
        self._transformer = transformer
        self.count = count
        self._next = 0

    def fetchone(self) -> Any:
        if self._next >= self.count or self._transformer is None:
            return None
        self._next += 1
        return self._transformer.load_row(self._next - 1, tuple)

    def fetchall(self) -> list[Any]:
        if self._transformer is None:
            return []
        first, self._next = self._next, self.count
        rows: list[Any] = self._transformer.load_rows(first, self.count, tuple)
        return rows

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        """Forget the rows."""
        self._transformer, self.count = None, 0


class ClosedConnection(psycopg.Connection[Any]):
    """One whose `with` closes it, and no more: psycopg would say ROLLBACK to a server that is lost, and log that in its
    own words."""

    def __exit__(self, *about: object) -> None:
        self.close()


class ServerConnection(ClosedConnection):
    """A connection that a node reads by. `run` and `message` go by libpq itself, prepared: a cursor of psycopg's takes
    four times as much processor (docs/performance.md)."""

    answer_seconds: float = _ANSWER_SECONDS

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._plans: dict[tuple[str, Any], tuple[bytes, float]] = {}
        """Prepared statements by their SQL and their parameters' types: name, and when they are prepared anew."""
        self._count = 0
        """Of statements that were ever prepared."""
        self._dumper = Transformer(self)
        self.server_cursor_factory = _NamedCursor
        self._is_ending = False
        """Whether a ROLLBACK was sent whose answer nobody has waited for."""
        self._is_beginning = False
        """Whether a snapshot is begun with the next statement, in one message."""
        self._poll = select.poll()
        self._poll.register(self.pgconn.socket, select.POLLIN)

    def run(self, sql: str, values: Sequence[Any]) -> Rows:
        """The rows of a statement with `%s` for its parameters. Raises psycopg.Error."""
        if sql.startswith(_UNPREPARED):
            return _rows(self, self.message(sql.encode()))
        dumper = self._dumper
        parameters = dumper.dump_sequence(values, [PyFormat.AUTO] * len(values))
        formats = dumper.formats
        key = (sql, dumper.types)
        name, ends_at = self._plans.get(key, _NO_PLAN)
        if time.monotonic() >= ends_at:
            name = self._prepare(key, name)
        if self._is_beginning:
            return _rows(self, self._begin_with(name, parameters, formats))
        self._settle()
        self.pgconn.send_query_prepared(name, parameters, formats, Format.BINARY)
        return _rows(self, self._answer())

    def _begin_with(self, name: bytes, parameters: Any, formats: Any) -> PGresult:
        """BEGIN and a statement at once, as libpq's pipeline: half the way. Raises psycopg.Error."""
        self._is_beginning = False
        pgconn = self.pgconn
        pgconn.enter_pipeline_mode()
        try:
            pgconn.send_query_params(_READ, None)
            pgconn.send_query_prepared(name, parameters, formats, Format.BINARY)
            pgconn.pipeline_sync()
            return self._answer(ExecStatus.PIPELINE_SYNC)
        finally:
            with suppress(psycopg.Error):  # of a connection that is lost
                pgconn.exit_pipeline_mode()

    def _prepare(self, key: tuple[str, Any], old: bytes) -> bytes:
        """Prepare a statement, or have it planned anew. `old`: its name until now, if any."""
        sql, types = key
        self._settle()
        if not old and len(self._plans) >= _PREPARED:
            self._plans.clear()
            self.pgconn.send_query(b"DEALLOCATE ALL")
            self._answer()
        parts = [part.replace("%%", "%") for part in sql.split("%s")]
        numbered = "".join(f"{part}${i}" for i, part in enumerate(parts[:-1], 1)) + parts[-1]
        self._count += 1
        name = b"moneyer_%d" % self._count
        self.pgconn.send_prepare(name, numbered.encode(), types)
        self._answer()
        self._plans[key] = name, time.monotonic() + _PLAN_SECONDS
        if old:  # last: where a new one could not be prepared, the old one is still there
            self.pgconn.send_query(b"DEALLOCATE " + old)
            self._answer()
        return name

    def message(self, sql: bytes, seconds: float | None = None) -> PGresult:
        """libpq's result of statements without parameters, the last one's. Raises psycopg.Error.

        `seconds`: how long the answer is waited for, where it isn't as long as any.
        """
        before = self.answer_seconds
        try:
            self.answer_seconds = before if seconds is None else seconds
            self.make_ready()
            self.pgconn.send_query(sql)
            return self._answer()
        finally:
            self.answer_seconds = before

    def wait(self, generator: Any, *args: Any, **given: Any) -> Any:  # type: ignore[override] # whatever they are
        """psycopg's own way to wait, which would wait for ever for a server that says nothing."""
        return super().wait(self._bounded(generator), *args, **given)

    def _bounded(self, generator: Any) -> Any:
        ends_at = time.monotonic() + self.answer_seconds
        try:
            wanted = next(generator)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > ends_at:
                    self._give_up()
                wanted = generator.send(ready)
        except StopIteration as ended:
            return ended.value

    def make_ready(self) -> None:
        """Say and hear what was put off, so that any statement may follow. Raises psycopg.Error."""
        self._settle()
        if self._is_beginning:
            self._is_beginning = False
            self.pgconn.send_query(_READ)
            self._answer()

    def _settle(self) -> None:
        if self._is_ending:
            self._is_ending = False
            self._answer()

    def _answer(self, end: ExecStatus | None = None) -> PGresult:
        """The last result of what was sent, or the first error. `end`: what ends the results, where None does not.

        Raises psycopg.Error; the connection is closed where no answer comes.
        """
        pgconn = self.pgconn
        while pgconn.flush():  # what is longer than the socket takes at once
            self._poll.modify(pgconn.socket, select.POLLIN | select.POLLOUT)
            self._wait()
            self._poll.modify(pgconn.socket, select.POLLIN)
            pgconn.consume_input()
        last: PGresult | None = None
        while True:
            while pgconn.is_busy():
                self._wait()
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                if end is None:
                    break
            elif result.status == end:
                break
            elif last is None or last.status in _FINE:
                last = result
        assert last is not None  # noqa: S101 - each statement has a result
        if last.status not in _FINE:
            raise error_from_result(last)
        return last

    def _wait(self) -> None:
        if not self._poll.poll(self.answer_seconds * 1000):
            self._give_up()

    def _give_up(self) -> NoReturn:
        seconds = self.answer_seconds
        self.close()
        raise psycopg.OperationalError(f"the server has not answered for {seconds:g} s")

    def begin_reading(self, *, counted: bool) -> int:
        """Begin a snapshot; the counter of changes in it where it is `counted`, else 0. Raises psycopg.Error."""
        self._hear_the_end()
        if counted:
            return number_in(self.message(_READ_COUNTED))
        self._is_beginning = True
        return 0

    def begin_reading_long(self) -> int:
        """`begin_reading`, counted, of what reads a whole chain: statements may take longer."""
        self._hear_the_end()
        counter = number_in(self.message(_READ_LONG))
        self.answer_seconds = _LONG_SECONDS
        return counter

    def begin_reading_soon(self) -> int:
        """`begin_reading`, counted, of a look that many wait for: the server answers soon, or is lost."""
        self._hear_the_end()
        counter = number_in(self.message(_READ_COUNTED, _SOON_SECONDS))
        self.answer_seconds = _SOON_SECONDS
        return counter

    def begin_reading_replica(self) -> int:
        """`begin_reading`, counted; soon, and of a server that still follows another. Raises psycopg.Error."""
        self.answer_seconds = _REPLICA_SECONDS
        self._hear_the_end()
        result = self.message(_READ_REPLICA, _REPLICA_SECONDS)
        counter = number_in(result)
        if result.get_value(0, 1) != b"t":
            raise psycopg.OperationalError("the replica follows no other server any more")
        self.answer_seconds = type(self).answer_seconds
        return counter

    def _hear_the_end(self) -> None:
        """Most often a server that ends has said so unasked. Raises psycopg.Error."""
        self._settle()
        self.answer_seconds = type(self).answer_seconds
        for _ in range(_UNASKED):
            if not self._poll.poll(0):
                break
            self.pgconn.consume_input()

    def end_reading(self) -> None:
        """End the snapshot, and wait for no answer: the next statement does. Raises psycopg.Error."""
        if self._is_beginning:  # nothing was read
            self._is_beginning = False
            return
        self._settle()
        self.pgconn.send_query(b"ROLLBACK")
        self.pgconn.flush()
        self._is_ending = True


def _rows(connection: ServerConnection, result: PGresult) -> Rows:
    count = result.ntuples
    if not count:
        return Rows(None, 0)
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    return Rows(transformer, count)


class PatientConnection(ServerConnection):
    """One whose statements may take hours: to copy a chain, or to prove it."""

    answer_seconds = 86_400.0


def number_in(result: Any) -> int:
    """The counter of changes, from a result as text. Raises StoreFailed where there is none."""
    found = result.get_value(0, 0) if result.ntuples else None
    if found is None:
        raise StoreFailed("the database is no longer one of Moneyer's: its counter of changes is gone")
    return int(found[2:], 16)


SETTINGS: Final = (
    # Whatever a role's or a database's own settings are: how bytes are written as text, and that a server which did
    # not wait for its replica says so (a warning).
    "SET jit = off; SET bytea_output = hex; SET standard_conforming_strings = on; SET client_min_messages = warning; "
)
_EACH: Final = (
    f"{SETTINGS}SET statement_timeout = '60s'; SET lock_timeout = '60s'; "
    "SET idle_in_transaction_session_timeout = '60s'"
).encode()


def connect(conninfo: str) -> ServerConnection:
    """A connection to read by. Raises psycopg.Error."""
    connection = ServerConnection.connect(conninfo, autocommit=True, context=ADAPTERS, cursor_factory=BinaryCursor)
    connection.prepare_threshold = None  # statements by SQLAlchemy's own way are planned each time: they are rare
    connection.message(_EACH)
    return connection


_PATIENT: Final = b"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET jit = off"


def connect_patiently(conninfo: str) -> PatientConnection:
    """A connection without bounds of time: a server that is gone is found out by its keepalives alone.

    Raises psycopg.Error.
    """
    connection = PatientConnection.connect(conninfo, autocommit=True, context=ADAPTERS, cursor_factory=BinaryCursor)
    connection.message(_PATIENT)
    return connection
