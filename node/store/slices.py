"""Reads that take long, where SQLite keeps a rollback journal: a reader holds writers up there, and then every reader.

So they read a copy, which is made a slice at a time; between two slices whoever waits to write has its turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from node.store import driver as sqlite
from node.store.connect import connect_to_look
from node.store.driver import driver

_SLICE_PAGES = 500
"""2 MB: some ten milliseconds."""
_RESTARTS = 3
"""SQLite begins again where another process wrote meanwhile. After so many times the rest is copied in one go."""


class _Overtaken(Exception):
    pass


def copy_database(source: Any, target: Any) -> None:
    """Copy a driver's open database to another one; in slices where a reader holds writers up."""
    if sqlite.has_safe_wal:
        source.backup(target)
        return
    least: int | None = None
    restarts = 0

    def look(_status: int, remaining: int, _total: int) -> None:
        nonlocal least, restarts
        if least is not None and remaining > least:
            restarts += 1
            if restarts > _RESTARTS:
                raise _Overtaken
        least = remaining

    try:
        source.backup(target, pages=_SLICE_PAGES, progress=look)
    except _Overtaken:
        source.backup(target)


@contextmanager
def reading_a_copy(database: Path) -> Iterator[Connection]:
    """A snapshot of its own file, which is gone as soon as it is open."""
    with tempfile.NamedTemporaryFile(prefix=f".{database.name}.", suffix=".tmp", dir=database.parent) as file:
        copy = driver.connect(file.name, isolation_level=None, check_same_thread=False)
        engine = create_engine("sqlite+pysqlite://", module=driver, creator=lambda: copy, poolclass=StaticPool)
        try:
            with closing(connect_to_look(database)) as source:
                copy_database(source, copy)
            with engine.connect() as conn:
                yield conn
        finally:
            engine.dispose()
