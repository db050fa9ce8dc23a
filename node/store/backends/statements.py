"""Statements that are compiled once, for either database.

`Query`, `Many` and `Among` are for statements that run over many rows, or very often: SQLAlchemy writes the SQL once,
and the driver gets tuples. `Connection.execute` with a dictionary a row spends several microseconds on each, and
compiles a long IN list anew for every length: most of the time of connecting a full block (docs/performance.md).

SQLite runs a statement once a row within the process. To a PostgreSQL server each statement is a message, so many rows
go in one: an array for each column, which `unnest` makes rows of again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Delete,
    Dialect,
    Insert,
    Select,
    Update,
    any_,
    bindparam,
    column,
    func,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningDelete
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.types import TypeEngine

Values = tuple[Any, ...]

SERVER = "postgresql"
"""SQLAlchemy's name of the dialect of the database that is a server of its own."""

_LENGTHS = (1, 4, 16, 64, 250, 1000)
"""IN lists are padded to one of these, so that there are few statements; SQLite's own cache keeps them prepared."""
_ROWS_AT_ONCE = 5_000
"""Rows in one message to a server: a few megabytes at most."""
_VALUES_AT_ONCE = 10_000
"""Values in one array of a SELECT."""


class Many:
    """An INSERT, UPDATE or DELETE that is run once a row, in any order of the rows.

    `names`: of the bound parameters, as they stand in the SQL from left to right. Values go to the driver as they are:
    integers, text, bytes, bool, None. No two rows may change the same row of the table.
    """

    def __init__(self, statement: Insert | Update | Delete, *names: str) -> None:
        self._statement = statement.inline() if isinstance(statement, Insert) else statement
        self._names = names
        self._compiled: dict[str, str] = {}
        self._of_arrays: tuple[str, list[int | None], dict[int, Any]] | None = None

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        if not rows:
            return
        if conn.dialect.name != SERVER:
            execute(conn, self._sql(conn.dialect), rows, many=True)
        elif len(rows) == 1:
            execute(conn, self._sql(conn.dialect), rows[0]).close()
        else:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                self._run_arrays(conn, rows[start : start + _ROWS_AT_ONCE])

    def _run_arrays(self, conn: Connection, rows: Sequence[Values]) -> None:
        if self._of_arrays is None:
            self._of_arrays = self._compile_arrays(conn.dialect)
        sql, places, constants = self._of_arrays
        columns = [list(values) for values in zip(*rows, strict=True)]
        values = [constants[i] if place is None else columns[place] for i, place in enumerate(places)]
        execute(conn, sql, values).close()

    def _sql(self, dialect: Dialect) -> str:
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = _positional(self._compile(dialect), self._names)
        return self._compiled[dialect.name]

    def _compile(self, dialect: Dialect) -> SQLCompiler:
        keys = list(self._names) if isinstance(self._statement, Insert) else None
        compiled = self._statement.compile(dialect=dialect, column_keys=keys)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101
        return compiled

    def _compile_arrays(self, dialect: Dialect) -> tuple[str, list[int | None], dict[int, Any]]:
        """The SQL for arrays; for each of its parameters the column of `rows`, or None for a constant."""
        binds = self._compile(dialect).binds
        kinds = {name: binds[name].type for name in self._names}
        arrays = [_array(f"{name}_array", kind) for name, kind in kinds.items()]
        columns = [column(name, kind) for name, kind in kinds.items()]
        given = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()

        def from_given(element: Any, **_: Any) -> Any:
            is_given = isinstance(element, BindParameter) and element.key in kinds
            return given.c[element.key] if is_given else None

        if isinstance(self._statement, Insert):
            # The table's own object, without the parameters that this statement had.
            statement: Any = self._statement.table.insert().inline().from_select(list(self._names), given.select())
        else:
            statement = visitors.replacement_traverse(self._statement, {}, from_given)
        compiled = statement.compile(dialect=dialect)
        names = [name.removesuffix("_array") for name in compiled.positiontup]
        is_array = [name.endswith("_array") for name in compiled.positiontup]
        places = [self._names.index(name) if given else None for name, given in zip(names, is_array, strict=True)]
        constants = {i: compiled.params[names[i]] for i, place in enumerate(places) if place is None}
        return str(compiled), places, constants


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
        try:
            row: Values | None = cursor.fetchone()
        except conn.dialect.loaded_dbapi.Error as error:
            raise _wrapped(conn, sql, error) from error
        finally:
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
            raise _wrapped(conn, sql, error) from error
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
        is_server = conn.dialect.name == SERVER
        most = _VALUES_AT_ONCE if is_server else _LENGTHS[-1]
        for start in range(0, len(values), most):
            chunk = tuple(values[start : start + most])
            if is_server:
                sql, bound = self._of_array(conn.dialect), (list(chunk),)
            else:
                length = next(length for length in _LENGTHS if length >= len(chunk))
                sql, bound = self._sql(conn.dialect, length), chunk + chunk[-1:] * (length - len(chunk))
            cursor = execute(conn, sql, bound)
            try:
                rows = cursor.fetchall()
            except conn.dialect.loaded_dbapi.Error as error:
                raise _wrapped(conn, sql, error) from error
            finally:
                cursor.close()
            yield from rows

    def _sql(self, dialect: Dialect, length: int) -> str:
        key = (dialect.name, length)
        if key not in self._compiled:
            names = [f"value_{i}" for i in range(length)]
            statement = self._statement.where(self._column.in_([bindparam(name) for name in names]))
            self._compiled[key] = _positional(statement.compile(dialect=dialect), names)
        return self._compiled[key]

    @cached_property
    def _for_array(self) -> Any:
        return self._statement.where(self._column == any_(_array("among", self._column.type)))

    def _of_array(self, dialect: Dialect) -> str:
        key = (dialect.name, 0)
        if key not in self._compiled:
            self._compiled[key] = _positional(self._for_array.compile(dialect=dialect), ["among"])
        return self._compiled[key]


def _array(name: str, kind: TypeEngine[Any]) -> BindParameter[Any]:
    """A parameter that is an array of values of a kind."""
    from sqlalchemy.dialects.postgresql import ARRAY  # what a node on SQLite need not load

    return bindparam(name, type_=ARRAY(kind))


def execute(conn: Connection, sql: str, values: Sequence[Any] = (), *, many: bool = False) -> Any:
    """The driver's own cursor after `sql`; errors are SQLAlchemy's.

    `exec_driver_sql` spends some 35 microseconds a statement on a result that knows its columns' names and types.
    """
    base = conn.dialect.loaded_dbapi.Error
    if conn.dialect.name == SERVER:
        driver: Any = conn.connection.driver_connection
        try:
            return driver.run(sql, values)
        except base as error:
            raise _wrapped(conn, sql, error) from error
    cursor = conn.connection.cursor()
    try:
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
    except base as error:
        cursor.close()
        raise _wrapped(conn, sql, error) from error
    return cursor


def _wrapped(conn: Connection, sql: str, error: Exception) -> BaseException:
    """The driver's error as SQLAlchemy's. SQLite finds damage while rows are fetched, not at the start."""
    return DBAPIError.instance(sql, None, error, conn.dialect.loaded_dbapi.Error)


def change_mark(conn: Connection) -> Any:
    """Within a write transaction: a value that equals an earlier one only where nothing has changed since, by any
    process or by this connection's own statements."""
    connection: Any = conn.connection.driver_connection
    if conn.dialect.name == SERVER:
        return connection, *connection.changes
    # `data_version` tells of other connections' commits, `total_changes` of this connection's own statements.
    cursor = execute(conn, "PRAGMA data_version")
    (version,) = cursor.fetchone()
    cursor.close()
    return connection, version, connection.total_changes


def _positional(compiled: Any, names: Sequence[str]) -> str:
    """The SQL, sure to take its parameters in the order of `names`."""
    assert isinstance(compiled, SQLCompiler)  # noqa: S101
    if compiled.positiontup is None or list(compiled.positiontup) != list(names):
        raise ValueError(f"parameters are {compiled.positiontup}, not {list(names)}")
    return str(compiled)
