"""Which statements SQLite runs for a node, as SQLite itself tells it, and how it goes about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from moneyer.node.store.engine import Store

_AROUND = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "EXPLAIN", "PRAGMA", "--")


@contextmanager
def statements(store: Store, *, every: bool = False) -> Iterator[list[str]]:
    """Every statement that reads or writes rows meanwhile, in order, its values written in.

    `every`: those round transactions too.
    """
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


def plan(store: Store, statement: str) -> list[str]:
    """SQLite's steps for a statement, as EXPLAIN QUERY PLAN names them."""
    with store.read() as conn:
        return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
