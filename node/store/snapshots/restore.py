"""Puts the rows of a snapshot in the place of a database's own, in one write transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table

from ...core.coin import Coin
from ..backends.sqlite.driver import DatabaseError
from ..backends.sqlite.engines import connect_to_look, refusing
from ..backends.statements import execute
from ..errors import StoreFailed, StoreRefused, cause_of, damaged
from ..opening import schema
from ..tables import SCHEMA_REVISION, mempool, metadata

_AT_ONCE_BYTES: Final = 4_000_000
"""Of a snapshot up to this size every page is checked before it is used."""
_SEQUENCE: Final = "SELECT seq FROM sqlite_sequence WHERE name = ?"


def check_own(file: Path, coin: Coin, node_id: str) -> None:
    """Checks that a snapshot is of this very node, of this schema, and sound. Raises StoreRefused."""
    try:
        revision = schema.revision_in(file)
        facts = _facts(file) if revision == SCHEMA_REVISION else {}
    except StoreRefused:  # its words are for a database that a node serves from
        raise StoreRefused(f"{file} is damaged or no snapshot: take it anew") from None
    if revision != SCHEMA_REVISION:
        raise StoreRefused(
            f"{file} has schema {revision or 'none'}, and this Moneyer {SCHEMA_REVISION}: take the snapshot anew"
        )
    if facts.get("chain_id") != coin.chain_id:
        raise StoreRefused(f"{file} is not a snapshot of a node of this coin ({coin.name})")
    if facts.get("node_id") != bytes.fromhex(node_id):
        raise StoreRefused(f"{file} is a snapshot of another node than this one: it has another node_id")


def _facts(file: Path) -> dict[str, bytes]:
    """What it says of itself, once its pages are checked. Raises StoreRefused."""
    # By the driver itself: all that a start looks at takes longer than the rest of going back.
    with refusing(file), closing(connect_to_look(file)) as source:
        if file.stat().st_size <= _AT_ONCE_BYTES and source.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise damaged(file, "its pages contradict each other")
        return dict(source.execute("SELECT key, value FROM meta WHERE key IN ('chain_id', 'node_id')"))


@contextmanager
def rows_of(file: Path) -> Iterator[Callable[[Connection], None]]:
    """A job for `Store.submit` (`alone`) that takes the rows of a checked snapshot; valid within the block."""
    with closing(connect_to_look(file)) as source:
        yield lambda conn: _replace(conn, source, file)


def _replace(conn: Connection, source: Any, file: Path) -> None:
    """Within a write transaction: all rows of every table are those of `source` afterwards.

    Raises StoreFailed where the snapshot cannot be read, and then the transaction must be rolled back.
    """
    # An arrival number is never given twice: a follower that has seen some takes the next ones for new.
    arrived = _sequence(execute(conn, _SEQUENCE, (mempool.name,)).fetchone())
    for table in reversed(metadata.sorted_tables):
        execute(conn, f"DELETE FROM {table.name}").close()  # noqa: S608 - a name of ours
    try:
        for table in metadata.sorted_tables:
            _copy_rows(conn, source, table)
        arrived = max(arrived, _sequence(source.execute(_SEQUENCE, (mempool.name,)).fetchone()))
    except DatabaseError as error:
        raise StoreFailed(f"the snapshot {file} cannot be read: {cause_of(error).words}") from None
    execute(conn, "DELETE FROM sqlite_sequence WHERE name = ?", (mempool.name,)).close()
    execute(conn, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (mempool.name, arrived)).close()


def _sequence(row: tuple[int] | None) -> int:
    return 0 if row is None else row[0]


def _copy_rows(conn: Connection, source: Any, table: Table) -> None:
    names = [f'"{column.name}"' for column in table.columns]
    columns, places = ", ".join(names), ", ".join("?" * len(names))
    found = source.execute(f"SELECT {columns} FROM {table.name}")  # noqa: S608 - names of ours
    execute(conn, f"INSERT INTO {table.name} ({columns}) VALUES ({places})", found, many=True).close()  # noqa: S608
