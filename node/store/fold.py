"""At an orderly end the database is one file: what stands in SQLite's log is written back, whoever ends last.

Without SQLAlchemy, so that a node's main process stays small: it folds what its serving process left.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from node.store.driver import DatabaseError, driver

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
