"""Which SQLite this process uses, and whether its write-ahead log can be trusted.

SQLite up to 3.51.2 can corrupt a WAL file that two connections write or checkpoint at once (fixed in 3.51.3). A
`pysqlite3` that bundles a fixed one is used where it has wheels; elsewhere an affected SQLite gets the slower
rollback journal.
"""

from __future__ import annotations

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
