"""Which statements a database runs for a node: as SQLite tells it, with its plans, or as they go to a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from moneyer.node.store.engine import Store

_AROUND = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "EXPLAIN", "PRAGMA", "--")


@contextmanager
def statements(store: Store, *, every: bool = False) -> Iterator[list[str]]:
    """Every statement that reads or writes rows meanwhile, in order, its values written in.

    `every`: those round transactions too. On a server without values, of all who use the store's database in this
    process, and without what begins and ends a transaction; what changes many rows at once is one statement there.
    """
    if store.config.database_url is not None:
        with _sent(store.config.database_url, every) as sent:
            yield sent
        return
    seen: list[str] = []
    traced: set[Any] = set()

    def note(statement: str) -> None:
        if every or not statement.startswith(_AROUND):
            seen.append(statement)

    def trace(connection: Any, *_rest: Any) -> None:
        connection.set_trace_callback(note)
        traced.add(connection)

    reading = store.engines[0]
    event.listen(reading, "checkout", trace)
    store.write(lambda conn: trace(conn.connection.driver_connection), clean=True)  # the writer holds its connection
    seen.clear()
    yield seen
    event.remove(reading, "checkout", trace)
    for connection in traced:
        connection.set_trace_callback(None)


@contextmanager
def _sent(url: str, every: bool) -> Iterator[list[str]]:
    """Every statement that goes to the database of a URL, by either way that there is."""
    import psycopg

    from moneyer.node.store.backends.postgres.pg_connection import ServerConnection

    name, seen = url.rpartition("/")[2], list[str]()
    run, execute = ServerConnection.run, psycopg.Cursor.execute

    def note(connection: Any, sql: Any) -> None:
        is_here = isinstance(connection, ServerConnection) and connection.info.dbname == name
        if is_here and isinstance(sql, str) and (every or not sql.startswith(_AROUND)):
            seen.append(sql)

    def noted_run(connection: Any, sql: str, values: Any) -> Any:
        note(connection, sql)
        return run(connection, sql, values)

    def noted_execute(cursor: Any, query: Any, *args: Any, **given: Any) -> Any:
        note(cursor.connection, query)
        return execute(cursor, query, *args, **given)

    with patch.object(ServerConnection, "run", noted_run), patch.object(psycopg.Cursor, "execute", noted_execute):
        yield seen


def plan(store: Store, statement: str) -> list[str]:
    """SQLite's steps for a statement, as EXPLAIN QUERY PLAN names them."""
    with store.read() as conn:
        return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
