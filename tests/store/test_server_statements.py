"""Every statement that the store keeps compiled is one to a PostgreSQL server, with parameters of the right types."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from sqlalchemy import CompoundSelect, Connection, Dialect, Engine, Select
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from moneyer.node import store
from moneyer.node.store.backends.statements import Among, Many, Query
from moneyer.node.store.tables import metadata

SMALL = {"at_most", "most", "others", "start"}
"""Numbers that say how many rows are wanted, or where in a hash: 32 bits are enough."""


def kept() -> dict[str, Many | Query | Among | Select[Any] | CompoundSelect[Any]]:
    """Every statement that a module of the store has, by where it stands: in a name, a table of them, or an object."""
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def look(value: Any, where: str) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, Many | Query | Among):
            found[where] = value
        elif isinstance(value, Select | CompoundSelect):
            # A part of another statement stands in no FROM of its own.
            if value.is_selectable and not _has_outer(value):
                found[where] = value
        elif isinstance(value, dict):
            for key, each in value.items():
                look(each, f"{where}[{key}]")
        elif isinstance(value, list | tuple):
            for i, each in enumerate(value):
                look(each, f"{where}[{i}]")
        elif type(value).__module__.startswith(store.__name__):
            for name, each in getattr(value, "__dict__", {}).items():
                look(each, f"{where}.{name}")

    for module in pkgutil.walk_packages(store.__path__, f"{store.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if not isinstance(value, type):
                look(value, f"{module.name.removeprefix(store.__name__)[1:]}.{name}")
    return found


def _has_outer(statement: Any) -> bool:
    """Whether it refers to a table that only the statement around it has."""
    return bool(getattr(statement, "_correlate", ()))


def texts(statement: Any, dialect: Dialect) -> Iterator[str]:
    """The SQL of each of a statement's forms."""
    if isinstance(statement, Many):
        yield statement._sql(dialect)
        if dialect.name == "postgresql":
            yield statement._compile_arrays(dialect)[0]
    elif isinstance(statement, Query):
        yield statement._sql(dialect)[0]
    elif isinstance(statement, Among):
        yield statement._of_array(dialect) if dialect.name == "postgresql" else statement._sql(dialect, 4)
    else:
        yield re.sub(r"__\[POSTCOMPILE_\w+\]", "%s", str(statement.compile(dialect=dialect)))  # a list of one value


@pytest.fixture
def engine(fresh_database: str) -> Iterator[Engine]:
    """Of a database with the schema."""
    # Behind `fresh_database`, which skips where there is no psycopg.
    from moneyer.node.store.backends.postgres.pg_address import conninfo
    from moneyer.node.store.backends.postgres.pg_engines import open_plainly

    engine = open_plainly(conninfo(fresh_database))
    with engine.begin() as conn:
        metadata.create_all(conn)
    yield engine
    engine.dispose()


def prepared(conn: Connection, sql: str) -> list[str]:
    """The types of a statement's parameters, as the server takes them. Raises DBAPIError for what is no statement."""
    numbers = count(1)
    numbered = re.sub("%[s%]", lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", sql)
    driver: Any = conn.connection.driver_connection
    driver.message(b"DEALLOCATE ALL")
    driver.message(f"PREPARE it AS {numbered}".encode())
    result = driver.message(b"SELECT parameter_types FROM pg_prepared_statements")
    types = [kind.strip('"') for kind in result.get_value(0, 0).decode().strip("{}").split(",") if kind]
    assert len(types) == next(numbers) - 1
    return types


def test_every_kept_statement_is_one_on_both_databases(engine: Engine) -> None:
    statements = kept()
    assert len(statements) > 90
    odd: dict[str, Any] = {}
    for where, statement in statements.items():
        assert all(texts(statement, SQLiteDialect(paramstyle="qmark"))), where
        for sql in texts(statement, engine.dialect):
            with engine.begin() as conn:
                try:
                    types = prepared(conn, sql)
                except Exception as error:
                    odd[where] = f"{error}: {sql}"
                    continue
            if unknown := set(types) - KNOWN:
                odd[where] = unknown
    assert odd == {}


KNOWN = {
    *("bigint", "integer", "boolean", "bytea", "character varying", "text"),
    *("bigint[]", "boolean[]", "bytea[]", "character varying[]", "text[]"),
}


def test_a_number_that_can_be_large_is_a_parameter_of_64_bits(engine: Engine) -> None:
    """With 32 bits a sentinel of 2**32 is refused, and the query with it."""
    found = {}
    for where, statement in kept().items():
        if isinstance(statement, Query):
            sql, names, constants = statement._sql(engine.dialect)
            with engine.begin() as conn:
                types = prepared(conn, sql)
            small = {name for name, kind in zip(names, types, strict=True) if kind == "integer"} - constants.keys()
            if small - SMALL:
                found[where] = small
    assert found == {}
