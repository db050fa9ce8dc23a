"""Which SQLite this process uses, whether its write-ahead log can be trusted, and how that log is folded at an end.

SQLite up to 3.51.2 can corrupt a WAL file that two connections write or checkpoint at once (fixed in 3.51.3). A
`pysqlite3` that bundles a fixed one is used where it has wheels; elsewhere an affected SQLite gets the slower
rollback journal. No SQLAlchemy here: a node's main process, which folds the log, stays small without it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import ModuleType

try:
    from pysqlite3 import dbapi2 as _driver
except ImportError:
    import sqlite3 as _driver

_WAL_FIXED = (3, 51, 3)

driver: ModuleType = _driver
"""The DB-API module that SQLAlchemy gets as `module=`."""

version: str = _driver.sqlite_version
has_safe_wal: bool = tuple(map(int, version.split("."))) >= _WAL_FIXED
journal_mode: str = "WAL" if has_safe_wal else "TRUNCATE"

OperationalError: type[Exception] = _driver.OperationalError
DatabaseError: type[Exception] = _driver.DatabaseError


def warning() -> str | None:
    """The sentence to say once at start, where the slow way is taken."""
    if has_safe_wal:
        return None
    return (
        f"SQLite {version} can corrupt a write-ahead log, so this node keeps a rollback journal: safe, but slower. "
        "Each commit takes about twice as long, whoever writes waits for whoever reads, and `verify`, `/is_valid` and "
        "`db backup` copy the file a slice at a time. A Python with SQLite 3.51.3 or newer, or one for which pysqlite3 "
        "has a wheel, is faster."
    )


_BUSY_SECONDS = 1.0
"""How long a reader of another process is waited for; it folds the log itself when it ends."""


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keeps this folder's processes apart while one makes, upgrades or lets go of the database."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def fold_log(database: Path) -> None:
    """Write the log back into the file. Call it when this process's own connections are closed.

    SQLite does so only when its last connection closes, and two that close at once leave it to each other: under the
    folder's lock the last one is alone. Where others still use the file, the log stays, with nothing in it.
    """
    with suppress(OSError), one_at_a_time(database.parent):
        if not database.with_name(f"{database.name}-wal").exists() or not database.exists():
            return
        uri = f"{database.absolute().as_uri()}?mode=rw"
        with suppress(DatabaseError), closing(driver.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
