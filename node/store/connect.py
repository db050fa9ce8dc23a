"""SQLAlchemy engines on a node's SQLite file: one to read snapshots, one to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from node.store.driver import driver, journal_mode

BUSY_SECONDS = 10
"""How long a writer waits for another process's transaction before the request fails with 503."""

_CACHE_KIB = 4096


def open_engine(database: Path, *, write: bool) -> Engine:
    """An engine whose transactions begin `IMMEDIATE` (`write`, one connection) or deferred (many connections)."""
    engine = create_engine(
        f"sqlite+pysqlite:///{database}",
        module=driver,
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS, "check_same_thread": False},
        poolclass=StaticPool if write else QueuePool,
        **({} if write else {"pool_size": 8, "max_overflow": 64}),
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal_mode}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        cursor.close()

    # The driver's own transaction control is off (isolation_level None), so that BEGIN is ours alone.
    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
