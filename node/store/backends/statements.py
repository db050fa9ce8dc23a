"""Statements that run over many rows, or very often. SQLAlchemy writes the SQL once, the driver gets tuples.

`Connection.execute` with a dictionary a row spends several microseconds on each, and compiles a long IN list anew for
every length: most of the time of connecting a full block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Delete, Dialect, Insert, Select, Update, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningDelete
from sqlalchemy.sql.elements import ColumnElement

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

    def rows(self, conn: Connection, **values: Any) -> Iterator[Values]:
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
