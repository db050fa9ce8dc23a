"""On a PostgreSQL server: the migrations make the schema of `tables.py`, from nothing and out of older rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from moneyer.node.store.opening import migrate, schema
from moneyer.node.store.tables import SCHEMA_REVISION, bodies, mempool, metadata
from tests.kit.damage import made
from tests.store.old_rows import branched, filled, whole_bodies

pytestmark = pytest.mark.schema

_CATALOG = {
    "columns": """
        SELECT relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, collname,
               pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        LEFT JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped AND relnamespace = 'public'::regnamespace""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, increment_by, cycle, cache_size FROM pg_sequences
        WHERE schemaname = 'public'""",
}
"""What makes a schema, by the server's own words for it."""


@pytest.fixture
def engine(fresh_database: str) -> Iterator[Engine]:
    """Of a database with nothing in it."""
    # Behind `fresh_database`, which skips where there is no psycopg.
    from moneyer.node.store.backends.postgres.pg_address import conninfo
    from moneyer.node.store.backends.postgres.pg_engines import open_plainly

    engine = open_plainly(conninfo(fresh_database))
    yield engine
    engine.dispose()


@pytest.fixture
def looking(fresh_database: str) -> Iterator[Engine]:
    """On the same database as SQLAlchemy has it: a node's own connections take binary rows, and it reflects text."""
    engine = create_engine(f"postgresql+psycopg:{fresh_database.partition(':')[2]}", poolclass=NullPool)
    yield engine
    engine.dispose()


def catalog(conn: Connection) -> dict[str, list[Any]]:
    """What the server says of all tables of ours."""
    return {
        what: sorted(map(tuple, conn.exec_driver_sql(query)), key=lambda row: row[:2])
        for what, query in _CATALOG.items()
    }


def test_the_migrations_make_the_schema_that_the_tables_describe(engine: Engine, looking: Engine) -> None:
    with engine.begin() as conn:
        metadata.create_all(conn)
        schema.write_revision(conn)
        at_once = catalog(conn)
        conn.rollback()
    with engine.begin() as conn:
        assert catalog(conn)["columns"] == []
        migrate.upgrade(conn)
        assert schema.revision_of(conn) == SCHEMA_REVISION
        assert catalog(conn) == at_once
    with looking.begin() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    assert len(at_once["columns"]) >= 100


def test_every_whole_number_has_64_bits_and_text_is_compared_by_its_bytes(engine: Engine) -> None:
    with engine.begin() as conn:
        metadata.create_all(conn)
        columns = catalog(conn)["columns"]
    ours = [row for row in columns if row[0] != "alembic_version"]
    assert {(kind, collation) for _, _, _, kind, _, collation, _ in ours} == {
        *(("bigint", None), ("boolean", None), ("bytea", None)),
        ("text", "C"),
    }


def test_an_upgrade_that_fails_leaves_the_old_schema(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction: also the migrations before the one that failed."""
    with engine.begin() as conn:
        migrate.upgrade(conn, "0001")
        conn.exec_driver_sql("CREATE TABLE processes (taken bigint)")  # in the way of the last one
        before = catalog(conn)
    with pytest.raises(DBAPIError, match="already exists"), engine.begin() as conn:
        migrate.upgrade(conn)
    with engine.begin() as conn:
        assert schema.revision_of(conn) == "0001"
        assert catalog(conn) == before


@pytest.mark.parametrize(("revision", "side"), [("0001", 0), ("0005", 1_100), ("0008", 0)])
def test_rows_of_an_older_schema_are_those_of_a_new_one_afterwards(
    tmp_path: Path, engine: Engine, looking: Engine, revision: str, side: int
) -> None:
    """With more blocks than one portion of a migration has, and a pool in which numbers are missing."""
    node = branched(made(tmp_path), side) if side else filled(made(tmp_path))
    with node.store.read() as conn:
        wanted = {table.name: rows_of(conn, table) for table in metadata.sorted_tables}
        bodies_before = whole_bodies(conn)
    node.store.close()
    last = max([row["arrived"] for row in wanted["mempool"]], default=0) + 7
    with engine.begin() as conn:
        migrate.upgrade(conn, revision)
    with looking.begin() as conn:
        put_rows(conn, wanted, bodies_before if revision == "0001" else None)
        conn.execute(select(func.setval("mempool_arrived_seq", last)))
    with engine.begin() as conn:
        migrate.upgrade(conn)
        assert whole_bodies(conn) == bodies_before
        for table in metadata.sorted_tables:
            if table is not bodies or revision != "0001":  # its parts had another size
                assert rows_of(conn, table) == wanted[table.name]
        row = {**wanted["mempool"][0], "txid": b"n" * 32, "sender": b"n" * 33} if wanted["mempool"] else None
        if row is not None:  # a number is never given twice, those of transfers that have left neither
            del row["arrived"]
            assert conn.execute(insert(mempool).values(row).returning(mempool.c.arrived)).scalar_one() == last + 1


def rows_of(conn: Connection, table: Table) -> list[dict[str, Any]]:
    keys = [column.name for column in table.primary_key]
    rows = [dict(row._mapping) for row in conn.execute(select(table))]
    return sorted(rows, key=lambda row: [row[key] for key in keys])


def put_rows(
    conn: Connection, rows: dict[str, list[dict[str, Any]]], whole: dict[int, tuple[bytes, bytes]] | None
) -> None:
    """Rows of the newest schema, as the older one had them that the database is of."""
    old = MetaData()
    old.reflect(conn)
    for table in old.sorted_tables:
        found = rows.get(table.name, [])
        if table.name == "bodies" and whole is not None:
            found = [{"joined": joined, "body": body, "offsets": offsets} for joined, (body, offsets) in whole.items()]
        if "txid" in table.c and table.name == "transactions":
            found = [{**row, "txid": row["shown_txid"][::-1]} for row in found]
        if table.name == "mempool":  # rates were by a hundred thousand bytes
            found = [{**row, "fee_rate": row["fee"] * 100_000 // row["size"]} for row in found]
        if found:
            names = [column.name for column in table.columns]
            conn.execute(insert(table), [{name: row[name] for name in names} for row in found])


@pytest.mark.parametrize(
    "values",
    [
        {"row": 2, "count": 0, "bytes": 0},
        {"row": 1, "count": -1, "bytes": 0},
    ],
)
def test_a_check_holds_where_its_column_has_the_name_of_a_word_of_sql(engine: Engine, values: dict[str, int]) -> None:
    with engine.begin() as conn:
        migrate.upgrade(conn)
    with pytest.raises(IntegrityError, match="ck_mempool_totals"), engine.begin() as conn:
        conn.execute(insert(metadata.tables["mempool_totals"]).values(values))
    with engine.begin() as conn:
        conn.execute(insert(metadata.tables["mempool_totals"]).values(row=1, count=0, bytes=0))
        assert conn.execute(text("SELECT row FROM mempool_totals")).scalar_one() == 1
