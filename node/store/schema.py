"""Brings a file to the schema of this program: made, upgraded behind a backup, or refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from node.store.connect import open_engine
from node.store.driver import DatabaseError, driver
from node.store.errors import StoreRefused
from node.store.tables import SCHEMA_REVISION


def revision_of(conn: Connection) -> str | None:
    """The migration that the file stands at; None for an empty file."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def prepare(database: Path) -> None:
    """Make or upgrade `database` in one transaction. Raises StoreRefused, the file unchanged."""
    is_there = database.exists() and database.stat().st_size > 0
    if is_there:
        found = _peek(database)
        if found == SCHEMA_REVISION:
            return
        _refuse_unknown(database, found)
        if found is not None:
            backup(database, _backup_name(database, found))
    else:
        # Made with the umask of a stranger, a database would be open to the machine's other users.
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
    upgrade(database)


def _peek(database: Path) -> str | None:
    """The revision, read without changing so much as the journal mode."""
    try:
        connection = driver.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        try:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            if not found:
                tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                if tables:
                    raise StoreRefused(f"{database} is a database of another program; give another --data folder")
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None
        finally:
            connection.close()
    except DatabaseError as error:
        raise StoreRefused(
            f"{database} is damaged or no database ({error}). It was left as it is: move it away and start again "
            "(the chain comes back from peers), or put a backup in its place"
        ) from None


def _refuse_unknown(database: Path, found: str | None) -> None:
    from node.store import migrate

    if found is not None and found not in migrate.revisions():
        raise StoreRefused(
            f"{database} was written by a newer Moneyer (schema {found}; this one knows up to {SCHEMA_REVISION}). "
            "Nothing was changed: upgrade Moneyer, or give another --data folder"
        )


def upgrade(database: Path) -> None:
    """Run every migration that is missing, in one transaction: the old schema or the new, nothing between."""
    from node.store import migrate

    engine = open_engine(database, write=True)
    try:
        with engine.connect() as conn:
            # A batch ALTER copies tables: with foreign keys on, dropping the old one would delete its children.
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
            conn.rollback()
            with conn.begin():
                if revision_of(conn) != SCHEMA_REVISION:
                    migrate.upgrade(conn)
    finally:
        engine.dispose()


def _backup_name(database: Path, revision: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return database.with_name(f"{database.name}.{revision}.{stamp}.backup")


def backup(database: Path, target: Path) -> None:
    """A consistent copy of a database that may be in use. Raises StoreRefused where it cannot be written."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        source = driver.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        copy = driver.connect(str(target))
        try:
            source.backup(copy)
        finally:
            copy.close()
            source.close()
    except (OSError, DatabaseError) as error:
        raise StoreRefused(f"the backup {target} cannot be written: {error}") from None
