"""The migrated schema is the one of `tables.py`, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from moneyer.node.store.backends.sqlite.engines import open_engine
from moneyer.node.store.opening import migrate, schema
from moneyer.node.store.tables import SCHEMA_REVISION, metadata

pytestmark = pytest.mark.schema


def definitions(engine: Engine) -> dict[str, str]:
    """Every table and index as SQLite wrote it down, blanks and the order of columns' constraints apart."""
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: normal(sql) for name, sql in rows}


def normal(sql: str) -> str:
    """A CREATE statement with its parts sorted: Alembic writes a table's constraints in another order."""
    head, parenthesis, rest = " ".join(sql.split()).partition(" (")
    if not parenthesis:
        return head
    body, _, tail = rest.rpartition(")")
    parts, depth, part = [], 0, ""
    for letter in body:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    parts.append(part.strip())
    ordered = (
        parts
        if head.startswith(("CREATE INDEX", "CREATE UNIQUE"))
        else [
            *(each for each in parts if not each.startswith(_CONSTRAINTS)),
            *sorted(each for each in parts if each.startswith(_CONSTRAINTS)),
        ]
    )
    return f"{head} ({', '.join(ordered)}) {tail.strip()}".strip()


_CONSTRAINTS = ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN")


def open_new(database: Path, *, write: bool) -> Engine:
    """Nobody but `prepare` makes a file."""
    database.touch()
    return open_engine(database, write=write)


def test_the_migrations_make_the_schema_that_the_tables_describe(tmp_path: Path) -> None:
    made, migrated = (open_new(tmp_path / name, write=True) for name in ("made.db", "migrated.db"))
    schema.create(tmp_path / "made.db")
    schema.upgrade(tmp_path / "migrated.db")
    assert definitions(migrated) == definitions(made)
    with migrated.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    for engine in (made, migrated):
        with engine.connect() as conn:
            assert schema.revision_of(conn) == SCHEMA_REVISION
    made.dispose()
    migrated.dispose()


def test_the_revision_that_a_start_looks_for_is_the_newest_migration() -> None:
    assert migrate.head() == SCHEMA_REVISION
    assert SCHEMA_REVISION in migrate.revisions()


def test_every_connection_is_durable_and_checks_foreign_keys(tmp_path: Path) -> None:
    for write in (True, False):
        engine = open_new(tmp_path / "chain.db", write=write)
        with engine.connect() as conn:
            pragma = {
                name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        engine.dispose()
        assert pragma["journal_mode"] in ("wal", "truncate")
        assert (pragma["synchronous"], pragma["foreign_keys"], pragma["busy_timeout"]) == (2, 1, 10_000)


def test_the_journal_is_wal_exactly_where_sqlite_has_the_fix(tmp_path: Path) -> None:
    from moneyer.node.store.backends.sqlite import driver

    engine = open_new(tmp_path / "chain.db", write=True)
    with engine.connect() as conn:
        mode = conn.exec_driver_sql("PRAGMA journal_mode").scalar()
    engine.dispose()
    is_fixed = tuple(map(int, driver.version.split("."))) >= (3, 51, 3)
    assert mode == ("wal" if is_fixed else "truncate")
    assert (driver.warning() is None) is is_fixed
