"""A PostgreSQL server's database as the source or the target of a copy. Rows travel by COPY, in binary form."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from sqlalchemy import Boolean, Connection, Engine, LargeBinary, String, Table, text
from sqlalchemy.exc import DBAPIError

from ...core.coin import Coin
from ...system.advice import typed
from ..backends.postgres.pg_address import conninfo, shown
from ..backends.postgres.pg_connection import OPENING_LOCK, WRITERS_LOCK, connect_patiently
from ..backends.postgres.pg_engines import open_plainly
from ..errors import Fault, StoreDamaged, StoreLost, StoreRefused, cause_of, damaged, not_taken, refused
from ..opening import schema
from ..opening.check import Look, look_at
from ..opening.server_database import check_server, own_revision
from ..tables import SCHEMA_REVISION, metadata
from .copy_chain import coin_in
from .copy_ends import NUMBERED, End, Making, Reading, Values, check_schema, names_of, selecting

_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ODD: Final = (TypeError, ValueError, AttributeError, OverflowError, psycopg.DataError, psycopg.IntegrityError)
"""What psycopg or the server raises about a value that cannot stand in its column."""
_LOOK_SECONDS: Final = 20.0
"""How long a server that was lost during COMMIT is waited for."""
_TUNED: Final = (
    # A key of a million rows is sorted in memory.
    ("maintenance_work_mem", "256MB"),
    # Whoever copies may be killed while an index is made: the server finds out, and lets go of its locks.
    ("client_connection_check_interval", "2s"),
)
_CONSTRAINTS: Final = """
SELECT quote_ident(r.relname), quote_ident(c.conname), pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
WHERE r.relnamespace = current_schema()::regnamespace AND c.contype IN ('p', 'u', 'f')
ORDER BY c.contype = 'f', r.relname, c.conname
"""
_INDEXES: Final = """
SELECT quote_ident(i.relname), pg_get_indexdef(x.indexrelid)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE i.relnamespace = current_schema()::regnamespace
AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = x.indexrelid)
ORDER BY i.relname
"""
_AMCHECK: Final = """
SELECT extnamespace::regnamespace::text AS room, has_schema_privilege(extnamespace, 'USAGE') AS may_enter
FROM pg_extension WHERE extname = 'amcheck'
"""
_ROLE: Final = "SELECT quote_ident(rolname) AS name, rolsuper AS is_super FROM pg_roles WHERE rolname = current_user"
_FUNCTIONS: Final = """
SELECT p.proname || '(' || oidvectortypes(p.proargtypes) || ')', has_function_privilege(p.oid, 'EXECUTE')
FROM pg_proc p JOIN pg_extension e ON e.extnamespace = p.pronamespace AND e.extname = 'amcheck'
"""
"""By their numbers: a role that may not enter the schema may not ask by their names."""
_OF_TABLES: Final = "verify_heapam(regclass, boolean, boolean, text, bigint, bigint)"
_OF_INDEXES: Final = "bt_index_check(regclass, boolean)"
_CHECKED_INDEXES: Final = """
SELECT {room}.bt_index_check(x.indexrelid, true) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE i.relnamespace = current_schema()::regnamespace AND i.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
"""
_NUMBER_OF: Final = f"pg_get_serial_sequence('{NUMBERED.name}', '{NUMBERED.primary_key.columns[0].name}')"


class ServerEnd(End):
    """`making` waits for no other process for more than ten seconds."""

    def __init__(self, url: str, *, unsafe: bool = False) -> None:
        """`unsafe`: a server that may forget what it acknowledges is written to. Raises StoreRefused for no URL."""
        self._conninfo = conninfo(url)
        self._shown = shown(url)
        self._unsafe = unsafe

    @property
    def shown(self) -> str:
        return self._shown

    @property
    def to_upgrade(self) -> str:
        return f"`moneyer db upgrade --database {typed(self._shown)}` first"

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        with self._refusing("cannot be read"), self._connected(_SNAPSHOT) as conn, conn.begin():
            check_schema(own_revision(conn, self._shown), self.shown, self.to_upgrade)
            yield _ServerReading(conn, self._shown)

    def check(self) -> list[str]:
        """Check what is in it, pages and indexes too; or else the statements of a superuser that it takes for those.

        Raises StoreRefused (damaged).
        """
        try:
            with self.reading() as read:
                look_at(read.conn, coin_in(read.conn, self), Look.WHOLE, self._shown)
                return _check_pages(read.conn)
        except StoreDamaged as error:
            raise damaged(self._shown, error.message) from None

    def check_free(self) -> None:
        with self._refusing("cannot be used"), self._connected() as conn:
            check_server(conn, self.shown, unsafe=self._unsafe)
            self._check_empty(conn)

    @contextmanager
    def making(self, coin: Coin) -> Iterator[Making]:
        with self._refusing("cannot be written"), self._connected() as conn:
            with _broken_off(conn):
                transaction = conn.begin()
                self._take(conn)
                made = _ServerMaking(conn)
                yield made
            self._commit(conn, transaction.commit, coin)

    @contextmanager
    def _connected(self, begin: str = "BEGIN") -> Iterator[Connection]:
        engine: Engine = open_plainly(self._conninfo, begin, connect_patiently)
        try:
            with engine.connect() as conn:
                yield conn
        finally:
            engine.dispose()

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, psycopg.Error) as error:
            cause = cause_of(error)
            if cause.fault in (Fault.DAMAGE, Fault.UNKNOWN):
                raise refused(self._shown, error) from None
            raise not_taken(f"{self._shown} {what}", cause) from None

    def _check_empty(self, conn: Connection) -> bool:
        """Whether it has our tables, without a row. Raises StoreRefused where there is more."""
        found = own_revision(conn, self._shown)
        if found is None:
            return False
        if found != SCHEMA_REVISION or conn.execute(text("SELECT 1 FROM meta WHERE key = 'chain_id'")).first():
            raise StoreRefused(
                f"{self._shown} has a chain already, and nothing is written over: make an empty database (CREATE "
                "DATABASE …) and name that"
            )
        return True

    def _take(self, conn: Connection) -> None:
        """Nobody else makes it, or writes to it, until the transaction ends; then make its tables."""
        check_server(conn, self._shown, unsafe=self._unsafe)
        conn.execute(text("SET LOCAL lock_timeout = '10s'"))
        for lock in (OPENING_LOCK, WRITERS_LOCK):
            conn.execute(text(f"SELECT pg_advisory_xact_lock({lock[0]}, {lock[1]})"))
        if self._check_empty(conn):
            metadata.drop_all(conn)
            conn.execute(text("DROP TABLE alembic_version"))
        for name, value in _TUNED:
            with suppress(DBAPIError), conn.begin_nested():  # an older server, or one on another system
                conn.execute(text(f"SET LOCAL {name} = '{value}'"))
        metadata.create_all(conn)
        schema.write_revision(conn)

    def _commit(self, conn: Connection, commit: Callable[[], None], coin: Coin) -> None:
        try:
            commit()
        except (DBAPIError, psycopg.Error) as error:
            if cause_of(error).fault is not Fault.LOST:
                raise
            if not self._was_kept(coin):
                raise

    def _was_kept(self, coin: Coin) -> bool:
        """Whether a COMMIT came about whose answer was lost: with the locks held, that transaction has ended."""
        ends_at = time.monotonic() + _LOOK_SECONDS
        while True:
            try:
                with self._connected() as conn, conn.begin():
                    conn.execute(text("SET LOCAL lock_timeout = '10s'"))
                    conn.execute(text(f"SELECT pg_advisory_xact_lock({OPENING_LOCK[0]}, {OPENING_LOCK[1]})"))
                    if schema.revision_of(conn) is None:
                        return False
                    found = conn.execute(text("SELECT value FROM meta WHERE key = 'chain_id'")).scalar()
                    return found == coin.chain_id
            except (DBAPIError, psycopg.Error) as error:
                if time.monotonic() > ends_at:
                    raise StoreLost(
                        f"{self._shown} was lost at the very end of the copy, and may have it or not: "
                        f"`moneyer db check --database {typed(self._shown)}` says which, once it is back"
                    ) from error
            time.sleep(0.2)


class _ServerReading:
    def __init__(self, conn: Connection, shown: str) -> None:
        self.conn = conn
        self._shown = shown

    def rows(self, table: Table) -> Generator[Values, None, None]:
        statement = f"COPY ({selecting(table)}) TO STDOUT (FORMAT BINARY)"
        try:
            with _driver(self.conn).cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(_types(table))
                yield from copy.rows()
        except psycopg.Error as error:
            raise StoreRefused(f"{self._shown} cannot be read ({cause_of(error).words}). Nothing was copied") from None

    def last_number(self) -> int:
        name = self.conn.execute(text(f"SELECT {_NUMBER_OF}")).scalar_one()
        given = self.conn.execute(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}"))  # noqa: S608
        key = NUMBERED.primary_key.columns[0].name
        greatest = self.conn.execute(text(f"SELECT coalesce(max({key}), 0) FROM {NUMBERED.name}"))  # noqa: S608
        return int(max(given.scalar_one(), greatest.scalar_one()))


class _ServerMaking:
    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._constraints = [tuple(row) for row in conn.execute(text(_CONSTRAINTS))]
        self._indexes = [tuple(row) for row in conn.execute(text(_INDEXES))]
        for table, name, _ in reversed(self._constraints):
            conn.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        for name, _ in self._indexes:
            conn.execute(text(f"DROP INDEX {name}"))

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        # FREEZE: the table is of this transaction, so its rows need no later visit that marks them as old.
        statement = f"COPY {table.name} ({names_of(table.columns)}) FROM STDIN (FORMAT BINARY, FREEZE)"
        try:
            with _driver(self.conn).cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(_types(table))
                write = copy.write_row
                for row in rows:
                    write(row)
        except _ODD as error:
            raise StoreDamaged(f"a row of {table.name} has a value that cannot stand there") from error

    def finish(self, last_number: int) -> None:
        try:
            for table, name, definition in self._constraints:
                self._run(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            for _, definition in self._indexes:
                self._run(definition)
        except psycopg.IntegrityError as error:
            raise StoreDamaged("its rows contradict each other") from error
        self.conn.execute(text(f"SELECT setval({_NUMBER_OF}, {max(last_number, 1)}, {last_number > 0})"))
        self._run("SELECT setval(pg_get_serial_sequence('jobs', 'number'), max(number)) FROM jobs")
        self._run("ANALYZE")  # the first queries cannot wait until the server does so by itself

    def _run(self, statement: str) -> None:
        """By the driver, which Ctrl-C interrupts."""
        _driver(self.conn).execute(statement)


def _check_pages(conn: Connection) -> list[str]:
    """As `ServerEnd.check`, by the server's extension amcheck. A damage is the server's own error."""
    extension = conn.execute(text(_AMCHECK)).first()
    room = None if extension is None else extension.room
    missing = _missing(conn, room, may_enter=extension is not None and extension.may_enter)
    if missing:
        return missing
    for table in metadata.sorted_tables:
        looked = f"{room}.verify_heapam('{table.name}', check_toast => true)"
        wrong = conn.execute(text(f"SELECT blkno, msg FROM {looked}")).first()  # noqa: S608 - names of ours
        if wrong is not None:
            raise StoreDamaged(f"page {wrong.blkno} of {table.name}: {wrong.msg}")
    conn.execute(text(_CHECKED_INDEXES.format(room=room))).all()
    return []


def _missing(conn: Connection, room: str | None, *, may_enter: bool) -> list[str]:
    """The statements by which a superuser lets this role use amcheck. `room`: its schema, None where it is not made."""
    role = conn.execute(text(_ROLE)).one()
    wanted = (_OF_TABLES, _OF_INDEXES)
    may_call = {row[0]: row[1] for row in conn.execute(text(_FUNCTIONS))}
    statements = []
    if room is None:
        statements.append("CREATE EXTENSION amcheck")
    elif any(each not in may_call for each in wanted):
        statements.append("ALTER EXTENSION amcheck UPDATE")
    if role.is_super:
        return statements
    if room is not None and not may_enter:
        statements.append(f"GRANT USAGE ON SCHEMA {room} TO {role.name}")
    functions = [each if room is None else f"{room}.{each}" for each in wanted if not may_call.get(each)]
    if functions:
        statements.append(f"GRANT EXECUTE ON FUNCTION {', '.join(functions)} TO {role.name}")
    return statements


@contextmanager
def _broken_off(conn: Connection) -> Iterator[None]:
    """Where the block fails, the connection is closed at once: the server then undoes everything, whatever it does."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            _driver(conn).close()
        with suppress(Exception):
            conn.invalidate()
        raise


def _driver(conn: Connection) -> Any:
    return conn.connection.driver_connection


def _types(table: Table) -> list[str]:
    """PostgreSQL's names of the columns' types: there are four in all our tables."""
    kinds = ((Boolean, "bool"), (LargeBinary, "bytea"), (String, "text"))
    return [next((name for kind, name in kinds if isinstance(column.type, kind)), "int8") for column in table.columns]
