"""Brings a file to the schema of this program: made, upgraded behind a backup, or refused."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ...system.files import put_new, sweep, sync_folder
from ..backends.sqlite.driver import DatabaseError, driver, one_at_a_time
from ..backends.sqlite.engines import connect_to_look, copy_database, open_engine, refusing
from ..errors import Fault, StoreRefused, cause_of, check_links, damaged
from ..tables import SCHEMA_REVISION, metadata

_HEADER_SIZE = 100
"""Bytes of an SQLite file's own header."""


_VERSION_TABLE = text(
    "CREATE TABLE alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
"""As Alembic makes it."""


def revision_of(conn: Connection) -> str | None:
    """The migration that the file stands at; None for an empty file."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def prepare(database: Path) -> None:
    """Make or upgrade `database` in one transaction. Raises StoreRefused, the file unchanged."""
    if revision_in(database) == SCHEMA_REVISION:
        return
    with one_at_a_time(database.parent):  # a node and its worker start at once: the second finds the work done
        found = revision_in(database)
        if found == SCHEMA_REVISION:
            return
        refuse_unknown(database, found)
        sweep(database)  # a backup that was killed
        if found is not None:
            backup(database, _backup_name(database, found))
        # Made with the umask of a stranger, a database would be open to the machine's other users.
        os.close(os.open(database, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with refusing(database):
            if found is None:
                create(database)
            else:
                upgrade(database)


def revision_in(database: Path) -> str | None:
    """The revision, read without changing so much as the journal mode; None for a file that is empty or not there.

    Raises StoreRefused for what is no database of Moneyer's.
    """
    size = database.stat().st_size if database.exists() else 0
    if not size:
        return None
    if size < _HEADER_SIZE:  # which SQLite would take for an empty one
        raise damaged(database, f"it has only {size} bytes")
    with refusing(database), closing(connect_to_look(database)) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        if not found:
            if tables:
                raise StoreRefused(f"{database} is a database of another program; give another --data folder")
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise damaged(database, "it does not say of which version it is")
    return str(row[0])


def refuse_unknown(database: Path | str, found: str | None) -> None:
    """Raises StoreRefused for a schema of a newer program. `database`: as of `check.look_at`."""
    if found is None:
        return
    from . import migrate

    another = "--data folder" if isinstance(database, Path) else "--database"
    if found not in migrate.revisions():
        raise StoreRefused(
            f"{database} was written by a newer Moneyer (schema {found}; this one knows up to {SCHEMA_REVISION}). "
            f"Nothing was changed: upgrade Moneyer, or give another {another}"
        )


def create(database: Path) -> None:
    """Make the newest schema in an empty file, in one transaction, as all migrations one after the other would.

    Without Alembic, which takes longer to import than all that a new folder needs else (docs/performance.md, Start).
    """
    engine = open_engine(database, write=True)
    try:
        with engine.begin() as conn:
            if revision_of(conn) is None:
                metadata.create_all(conn)
                write_revision(conn)
    finally:
        engine.dispose()


def write_revision(conn: Connection) -> None:
    """Note in a new database that its schema is the newest."""
    conn.execute(_VERSION_TABLE)
    conn.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": SCHEMA_REVISION})


def upgrade(database: Path) -> None:
    """Run every migration that is missing, in one transaction: the old schema or the new, nothing between."""
    from . import migrate

    engine = open_engine(database, write=True)
    try:
        with engine.connect() as conn:
            # A batch ALTER copies tables: with foreign keys on, dropping the old one would delete its children. Said
            # to the driver itself: within a transaction, which SQLAlchemy would begin, SQLite passes over it.
            conn.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            with conn.begin():
                if revision_of(conn) != SCHEMA_REVISION:
                    migrate.upgrade(conn)
                    _check_foreign_keys(conn, database)
    finally:
        engine.dispose()


def _check_foreign_keys(conn: Connection, database: Path) -> None:
    broken = conn.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise damaged(database, f"a row of {broken[0]} belongs to none of {broken[2]}")


def _backup_name(database: Path, revision: str) -> Path:
    """A name that is free, with the date."""
    stem = f"{database.name}.{revision}.{time.strftime('%Y%m%d-%H%M%S')}"
    names = (database.with_name(f"{stem}{again}.backup") for again in ("", *(f"-{n}" for n in range(2, 100))))
    return next(name for name in names if not name.exists())


def backup(database: Path, target: Path) -> None:
    """A consistent copy of a database that may be in use: whole, or not there. Raises StoreRefused."""
    if not database.exists():
        raise StoreRefused(f"there is no file {database}")
    temporary: Path | None = None
    try:
        if target.exists():  # said at once, and not behind minutes of copying
            raise FileExistsError
        check_links(target, "give another name")
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        with closing(connect_to_look(database)) as source, closing(driver.connect(name)) as copy:
            copy_database(source, copy)
        put_new(temporary, target)
        sync_folder(target.parent)
    except FileExistsError:
        raise StoreRefused(f"{target} is there already, and nothing is written over: give another name") from None
    except FileNotFoundError:
        raise StoreRefused(f"there is no folder {target.parent} to write the backup to: make it first") from None
    except OSError as error:
        raise StoreRefused(f"the backup {target} cannot be written: {error.strerror}") from None
    except DatabaseError as error:
        cause = cause_of(error)
        if cause.fault is Fault.DISK:
            raise StoreRefused(f"the backup {target} cannot be written: {cause.words}") from None
        raise StoreRefused(f"{database} cannot be copied: {cause.words}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
