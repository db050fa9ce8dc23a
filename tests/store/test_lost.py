"""A database that is gone is noticed, and an orderly end leaves it whole in one file."""

from __future__ import annotations

import shutil
import signal
from contextlib import closing
from pathlib import Path

import pytest

from moneyer.node.config import Config
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.store import blocks
from moneyer.node.store.backends.sqlite.driver import driver, fold_log, has_safe_wal
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreRefused
from tests.kit.commands import moneyer, refusal
from tests.kit.damage import CHAIN, made
from tests.kit.nodes import Node
from tests.kit.running import running
from tests.kit.system.processes import Child, children
from tests.store.children import open_until_told

COIN = CHAIN.coin


def lose(database: Path, how: str) -> None:
    if how == "gone":
        database.unlink()
    else:
        database.write_bytes(b"")


@pytest.mark.parametrize("how", ["gone", "empty"])
@pytest.mark.parametrize("trace", ["chain.made", "bells", "chain.db-wal"])
def test_a_database_that_is_lost_is_not_made_anew_in_silence(tmp_path: Path, how: str, trace: str) -> None:
    folder = made(tmp_path)
    for name in {"chain.made", "bells"} - {trace}:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
    if trace == "chain.db-wal":
        (folder / trace).write_bytes(b"what the file lacks")
    lose(folder / "chain.db", how)
    before = sorted(folder.rglob("*"))
    with pytest.raises(StoreRefused) as refused:
        Store.open(Config(folder), COIN)
    assert f"moneyer db restore FILE --data {folder}" in refused.value.message
    assert f"moneyer db anew --data {folder}" in refused.value.message
    assert sorted(folder.rglob("*")) == before


def leave_journal_of_half_a_transaction(database: Path) -> None:
    """As a kill leaves it: SQLite has written some of its pages, and the journal says what was there before."""
    with closing(driver.connect(str(database), isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=1")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE half AS SELECT randomblob(100000)")
        journal = (database.with_name(f"{database.name}-journal")).read_bytes()
    database.write_bytes(b"")
    database.with_name("chain.db-journal").write_bytes(journal)


def test_a_folder_whose_making_was_killed_has_had_no_chain_and_one_with_a_journal_of_pages_has(tmp_path: Path) -> None:
    leave_journal_of_half_a_transaction(tmp_path / "chain.db")
    Store.open(Config(tmp_path), COIN).close()

    folder = tmp_path / "other"
    folder.mkdir()
    with closing(driver.connect(str(folder / "chain.db"))) as connection:
        connection.execute("CREATE TABLE whole (number INTEGER)")
    leave_journal_of_half_a_transaction(folder / "chain.db")
    with pytest.raises(StoreRefused, match="has had a chain"):
        Store.open(Config(folder), COIN)


def test_a_database_without_rows_in_the_place_of_a_chain_is_no_new_one(tmp_path: Path) -> None:
    folder, other = made(tmp_path), tmp_path / "other"
    other.mkdir()
    from moneyer.node.store.opening import schema

    schema.prepare(other / "chain.db")
    shutil.copy(other / "chain.db", folder / "chain.db")
    with pytest.raises(StoreRefused, match="has had a chain"):
        Store.open(Config(folder), COIN)


def test_a_folder_of_before_is_marked_at_its_next_start(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (folder / "chain.made").unlink()
    Store.open(Config(folder), COIN).close()
    assert (folder / "chain.made").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_both_ways_out_work_when_typed(tmp_path: Path, how: str) -> None:
    folder = made(tmp_path)
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    backup = tmp_path / "monday.db"
    assert moneyer("db", "backup", backup, "--data", folder).returncode == 0
    lose(folder / "chain.db", how)
    for command in (("verify",), ("db", "check"), ("db", "backup", tmp_path / "x.db")):
        assert "has had a chain" in refusal(moneyer(*command, "--data", folder))
    done = moneyer("db", "restore", backup, "--data", folder)
    assert done.returncode == 0, done.stderr
    assert moneyer("verify", "--data", folder).returncode == 0
    lose(folder / "chain.db", how)
    done = moneyer("db", "anew", "--data", folder)
    assert done.returncode == 0, done.stderr
    node = Node(folder, COIN)
    assert node.tip_hash == COIN.chain_id
    node.store.close()


def test_what_is_restored_is_checked_first_and_what_was_there_is_kept(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (folder / "coin.toml").write_text(coin_to_toml(COIN))
    before = (folder / "chain.db").read_bytes()
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(before[:40_000] + bytes(4096) + before[44_096:])
    assert str(wrong) in refusal(moneyer("db", "restore", wrong, "--data", folder))
    assert f"there is no file {tmp_path / 'none'}" in refusal(
        moneyer("db", "restore", tmp_path / "none", "--data", folder)
    )
    assert (folder / "chain.db").read_bytes() == before
    right = tmp_path / "right.db"
    right.write_bytes(before)
    assert moneyer("db", "restore", right, "--data", folder).returncode == 0
    (away,) = folder.glob("chain.db.*.away")
    assert away.read_bytes() == before
    assert not list(folder.glob("chain.restored*"))


def height_of(database: Path, copy: Path) -> int:
    """Of the one file, copied alone."""
    shutil.copy(database, copy)
    with closing(driver.connect(str(copy))) as connection:
        (height,) = connection.execute("SELECT max(height) FROM blocks WHERE main_chain").fetchone()
    return int(height)


def test_a_node_that_is_told_to_end_leaves_one_file(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        for _ in range(3):
            node.extend()
        assert node.stop(signal.SIGTERM) == 0
        assert height_of(node.config.database, tmp_path / "copy.db") == 3
        assert [path.name for path in node.config.data.glob("chain.db*")] == ["chain.db"]


@pytest.mark.skipif(not has_safe_wal, reason="there is no log")
@pytest.mark.parametrize("order", ["node first", "worker first"])
def test_whoever_ends_last_leaves_one_file(tmp_path: Path, order: str) -> None:
    """A node and another process of its folder, as a worker or a command is."""
    folder = made(tmp_path)
    with children(Child(open_until_told, folder, COIN)) as (child,):
        assert child.hear() == "opened"
        node = Node(folder, COIN)
        node.offer(CHAIN.next_block())
        if order == "node first":
            node.store.close()
            assert height_of(folder / "chain.db", tmp_path / "early.db") == CHAIN.height + 1
            assert child.ask("close") == "closed"
        else:
            assert child.ask("close") == "closed"
            node.store.close()
        assert height_of(folder / "chain.db", tmp_path / "copy.db") == CHAIN.height + 1
        assert [path.name for path in folder.glob("chain.db*")] == ["chain.db"]


@pytest.mark.skipif(not has_safe_wal, reason="there is no log")
def test_a_reader_that_outlives_the_node_folds_what_it_left(tmp_path: Path) -> None:
    folder = made(tmp_path)
    node = Node(folder, COIN)
    reader = driver.connect(f"{(folder / 'chain.db').as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM blocks").fetchone()
    node.offer(CHAIN.next_block())
    with node.store.read() as conn:
        assert blocks.tip(conn).height == CHAIN.height + 1
    node.store.close()
    assert (folder / "chain.db-wal").stat().st_size
    reader.close()
    fold_log(folder / "chain.db")
    assert [path.name for path in folder.glob("chain.db*")] == ["chain.db"]
    assert height_of(folder / "chain.db", tmp_path / "copy.db") == CHAIN.height + 1
