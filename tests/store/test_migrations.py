"""An older schema is backed up and upgraded at the start, in one transaction, whatever happens meanwhile."""

from __future__ import annotations

import shutil
import signal
import struct
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from moneyer import migrations
from moneyer.node.chain.verify import verify_chain
from moneyer.node.config import Config
from moneyer.node.store import blocks
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.backends.sqlite.engines import open_engine
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreRefused
from moneyer.node.store.opening import check, migrate, schema
from moneyer.node.store.tables import SCHEMA_REVISION
from tests.kit.chains import transfer
from tests.kit.damage import ALICE, BOB, CHAIN, bytes_of, made, template
from tests.kit.nodes import Node
from tests.kit.system.processes import Child, children
from tests.store.children import open_and_die, open_with_migrations
from tests.store.old_rows import branched, filled

COIN = CHAIN.coin

NEXT = f'''
"""A table more, and a column of blocks changed: SQLite copies the table, with all that hangs on it."""

import os
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{SCHEMA_REVISION}"


def upgrade():
    op.create_table("notes", sa.Column("number", sa.Integer(), primary_key=True), sa.Column("text", sa.Text()))
    with op.batch_alter_table("blocks") as table:
        table.alter_column("invalid_code", existing_type=sa.Text(), type_=sa.String(40))
    marks = Path(os.environ["MONEYER_TEST_MARKS"]) if "MONEYER_TEST_MARKS" in os.environ else None
    if marks:
        (marks / "inside").touch()
        while not (marks / "go on").exists():
            time.sleep(0.01)
    op.execute("INSERT INTO notes VALUES (1, 'upgraded')")
'''


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if this program were the next version: its migrations, one more than there are, in this folder."""
    template()  # made by the program as it is
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "next_notes.py").write_text(NEXT)
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))
    monkeypatch.setattr(schema, "SCHEMA_REVISION", "next")
    return folder


def tables(database: Path) -> set[str]:
    engine = open_engine(database, write=False)
    with engine.connect() as conn:
        found = set(inspect(conn).get_table_names())
    engine.dispose()
    return found


def test_an_older_schema_is_backed_up_and_upgraded_and_nothing_is_lost(tmp_path: Path, newer: Path) -> None:
    folder = made(tmp_path)
    assert migrate.head() == "next"
    store = Store.open(Config(folder), COIN)
    assert verify_chain(store).transfers == 60
    store.close()
    assert "notes" in tables(folder / "chain.db")
    (backup,) = folder.glob(f"chain.db.{SCHEMA_REVISION}.*.backup")
    assert backup.stat().st_mode & 0o777 == 0o600
    assert "notes" not in tables(backup)
    # With the backup in its place, an old program (or a new upgrade) goes on from there.
    shutil.copy(backup, folder / "chain.db")
    store = Store.open(Config(folder), COIN)
    verify_chain(store)
    store.close()
    assert len(list(folder.glob(f"chain.db.{SCHEMA_REVISION}.*.backup"))) == 2


def test_a_migration_keeps_the_rows_that_hang_on_a_table_that_is_copied(tmp_path: Path, newer: Path) -> None:
    folder = made(tmp_path)
    Store.open(Config(folder), COIN).close()
    connection = driver.connect(str(folder / "chain.db"))
    assert connection.execute("SELECT count(*) FROM bodies").fetchone() == (31,)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path: Path, newer: Path) -> None:
    folder = made(tmp_path)
    broken = NEXT.replace("'upgraded'", "'upgraded', 'too', 'many'")
    (newer / "versions" / "next_notes.py").write_text(broken)
    before = bytes_of(folder)["chain.db"]
    with pytest.raises(StoreRefused):
        Store.open(Config(folder), COIN)
    assert "notes" not in tables(folder / "chain.db")
    assert check.look(folder / "chain.db", COIN, check.Look.WHOLE) is False
    assert (folder / "chain.db").read_bytes() == before


def test_a_process_killed_in_the_middle_of_a_migration_leaves_the_old_schema_and_the_next_start_upgrades(
    tmp_path: Path, newer: Path
) -> None:
    folder, marks = made(tmp_path), tmp_path / "marks"
    marks.mkdir()
    for _ in range(2):
        with children(Child(open_with_migrations, folder, COIN, newer, marks)) as (child,):
            assert child.hear() == "ready"
            for _ in iter(lambda: (marks / "inside").exists(), True):
                assert child.process.is_alive()
                child.process.join(0.01)
            child.kill()
        (marks / "inside").unlink()
        assert "notes" not in tables(folder / "chain.db")
    store = Store.open(Config(folder), COIN)
    assert verify_chain(store).height == CHAIN.height
    store.close()
    assert "notes" in tables(folder / "chain.db")


@pytest.mark.crash
@pytest.mark.parametrize("begun", [True, False], ids=["upgraded", "new"])
def test_a_start_killed_before_any_of_its_steps_leaves_the_old_schema_or_the_new(
    tmp_path: Path, newer: Path, begun: bool
) -> None:
    """Before every statement, and every file that comes or goes, of an upgrade and of a first start."""
    for step in count():
        folder = tmp_path / str(step)
        if begun:
            shutil.copytree(template(), folder)
        with children(Child(open_and_die, folder, COIN, newer, step)) as (child,):
            child.process.join(120)
            if child.process.exitcode == 0:
                break
            assert child.process.exitcode == -signal.SIGKILL
        for backup in folder.glob("*.backup"):
            assert verified(backup) == (SCHEMA_REVISION, CHAIN.height)
        if begun:
            assert verified(folder / "chain.db") in {(SCHEMA_REVISION, CHAIN.height), ("next", CHAIN.height)}
        Store.open(Config(folder), COIN).close()
        assert verified(folder / "chain.db") == ("next", CHAIN.height if begun else 0)
        assert not list(folder.glob(".*.tmp*"))
        shutil.rmtree(folder)
    assert step > 20


def verified(database: Path) -> tuple[str, int]:
    """The revision and the height, of a file that SQLite finds whole."""
    with closing(driver.connect(str(database))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        (height,) = connection.execute("SELECT max(height) FROM blocks").fetchone()
        if revision == "next" and height:  # an empty folder is made by the tables of this program, not by migrations
            assert connection.execute("SELECT * FROM notes").fetchall() == [(1, "upgraded")]
        return revision, height


def test_a_node_and_its_worker_that_start_at_once_on_an_old_file_upgrade_it_once(tmp_path: Path, newer: Path) -> None:
    folder, marks = made(tmp_path), tmp_path / "marks"
    marks.mkdir()
    with children(*(Child(open_with_migrations, folder, COIN, newer, marks) for _ in range(2))) as both:
        assert [child.hear() for child in both] == ["ready", "ready"]
        (marks / "go on").touch()
        assert [child.hear() for child in both] == ["opened", "opened"]
    assert len(list(folder.glob("*.backup"))) == 1


def test_a_backup_that_cannot_be_written_stops_the_upgrade(tmp_path: Path, newer: Path) -> None:
    folder = made(tmp_path)
    target = tmp_path / "there already"
    target.write_bytes(b"keep me")
    with pytest.raises(StoreRefused, match="is there already, and nothing is written over: give another name"):
        schema.backup(folder / "chain.db", target)
    assert target.read_bytes() == b"keep me"
    with pytest.raises(StoreRefused, match=r"there is no folder .*no folder to write the backup to: make it first"):
        schema.backup(folder / "chain.db", tmp_path / "no folder" / "backup")
    with pytest.raises(StoreRefused, match=r"there is no file .*no database$"):
        schema.backup(folder / "no database", tmp_path / "backup of nothing")
    assert not (tmp_path / "backup of nothing").exists()


def old_file(folder: Path, revision: str) -> None:
    """Turns the database of `folder` into one of an older schema: 0001, in which bodies were whole, 0005 or 0008."""
    database, old = folder / "chain.db", folder / "old.db"
    old.touch(mode=0o600)
    engine = open_engine(old, write=True)
    with engine.connect() as conn, conn.begin():
        migrate.upgrade(conn, revision)
    engine.dispose()
    with closing(driver.connect(str(old), isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS new", (str(database),))
        connection.create_function("reversed", 1, lambda raw: raw[::-1])
        txid = "shown_txid" if revision == "0008" else "reversed(shown_txid)"
        connection.execute(f"INSERT INTO main.transactions SELECT {txid}, height, position FROM new.transactions")
        tables = ["blocks", "accounts", "account_history", "mempool", "mempool_totals", "meta"]
        for table in [*tables, *(["bodies"] if revision != "0001" else [])]:
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        # Rates were by a hundred thousand bytes. Numbers that were given stay so, also of transfers that have left.
        connection.execute("UPDATE main.mempool SET fee_rate = fee * 100000 / size")
        connection.execute("DELETE FROM main.sqlite_sequence")
        connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM new.sqlite_sequence")
        if revision == "0001":
            _join_bodies(connection)
        connection.execute("DETACH new")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old.rename(database)


def _join_bodies(connection: Any) -> None:
    for (joined,) in connection.execute("SELECT joined FROM new.blocks").fetchall():
        rows = connection.execute(
            "SELECT body, offsets FROM new.bodies WHERE joined = ? ORDER BY first", (joined,)
        ).fetchall()
        starts, length = [], 0
        for body, offsets in rows:
            starts += [start + length for start in struct.unpack(f"<{len(offsets) // 4}I", offsets)]
            length += len(body)
        whole = b"".join(body for body, _ in rows)
        connection.execute(
            "INSERT INTO main.bodies VALUES (?, ?, ?)",
            (joined, whole, struct.pack(f"<{len(starts)}I", *starts)),
        )


def test_whole_bodies_of_the_first_schema_become_parts_and_every_byte_is_kept(tmp_path: Path) -> None:
    chain = CHAIN.branch(CHAIN.height, "full")
    start = chain.account(ALICE).sequence
    chain.add([transfer(COIN, ALICE, BOB, 1, 1, start + number, b"m" * (number % 9)) for number in range(300)])
    node = Node(made(tmp_path), COIN)
    node.offer(chain.tip)
    before = node.dump()
    raws = [raw for _, raw in rows_of(node)]
    node.store.close()
    folder = tmp_path / "made"
    old_file(folder, "0001")
    assert verified(folder / "chain.db") == ("0001", chain.height)
    node = Node(folder, COIN)
    assert node.dump() == before
    assert [raw for _, raw in rows_of(node)] == raws
    assert verify_chain(node.store).height == chain.height
    node.store.close()
    assert len(list(folder.glob("chain.db.0001.*.backup"))) == 1
    with closing(driver.connect(str(folder / "chain.db"))) as connection:
        assert connection.execute("SELECT count(*) > 1 FROM bodies WHERE joined = ?", (chain.height + 1,)).fetchone()[0]


def sums(node: Node) -> list[Any]:
    with node.store.read() as conn:
        rows = conn.execute(
            text("SELECT joined, block_hash, total_tx_count, total_fees, total_size, first_digits FROM blocks")
        )
        return sorted(map(tuple, rows))


def test_sums_digits_and_txids_of_an_older_file_are_those_of_a_new_one(tmp_path: Path) -> None:
    """With more blocks than one portion of the migration has."""
    node = branched(made(tmp_path), 1_100)
    before, added = node.dump(), sums(node)
    node.store.close()
    folder = tmp_path / "made"
    old_file(folder, "0005")
    assert verified(folder / "chain.db")[0] == "0005"
    node = Node(folder, COIN)
    assert (node.dump(), sums(node)) == (before, added)
    assert verify_chain(node.store).height == 31 + 1_100
    node.store.close()


def given(node: Node) -> int:
    """The last arrival number that was given."""
    with node.store.read() as conn:
        return int(conn.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'mempool'")).scalar_one())


@pytest.mark.parametrize("revision", ["0005", "0008"])
def test_a_pool_of_an_older_file_keeps_its_rows_and_their_numbers_and_its_rates_are_by_the_new_scale(
    tmp_path: Path, revision: str
) -> None:
    node = filled(made(tmp_path))
    before, last = node.dump(), given(node)
    node.store.close()
    numbers = [row[0] for row in before["mempool"]]
    assert max(numbers) < last
    assert len(numbers) < max(numbers)
    old_file(tmp_path / "made", revision)
    node = Node(tmp_path / "made", COIN)
    assert node.dump() == before
    assert given(node) == last
    verify_chain(node.store)
    node.mempool.accept_transfer(transfer(COIN, BOB, ALICE, 1, 9, node.account(BOB).sequence + 50))
    assert given(node) == last + 1
    node.store.close()


@pytest.mark.parametrize("revision", ["0005", "0008"])
def test_an_upgrade_from_an_older_schema_that_is_killed_leaves_it_whole_and_is_done_by_the_next_start(
    tmp_path: Path, revision: str
) -> None:
    node = filled(made(tmp_path))
    before, added = node.dump(), sums(node)
    node.store.close()
    old_file(tmp_path / "made", revision)
    ends = set()
    for step in count(1, 13 if revision == "0005" else 7):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "made", folder)
        with children(Child(open_and_die, folder, COIN, None, step)) as (child,):
            child.process.join(120)
            if child.process.exitcode == 0:
                break
            assert child.process.exitcode == -signal.SIGKILL
        ends.add(verified(folder / "chain.db")[0])
        node = Node(folder, COIN)
        assert (node.dump(), sums(node)) == (before, added)
        node.store.close()
        assert verified(folder / "chain.db")[0] == SCHEMA_REVISION
        shutil.rmtree(folder)
    assert ends == {revision, SCHEMA_REVISION}


def rows_of(node: Node) -> list[tuple[blocks.BlockRow, bytes]]:
    with node.store.read() as conn:
        return list(blocks.oldest_whole(conn, 0, 10**6))
