"""`moneyer verify` and `moneyer db` on real data folders."""

from __future__ import annotations

import re
import shlex
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.engine import Store, load_coin
from moneyer.node.store.tables import SCHEMA_REVISION
from moneyer.node.system.locks import hold
from tests.kit.chains import ChainBuilder, easy_coin, key
from tests.kit.commands import moneyer, refusal

BLOCKS = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a chain of BLOCKS blocks, its node not running."""
    data = tmp_path / "node"
    data.mkdir()
    coin = easy_coin(premine=[(key("alice"), 1000)])
    (data / "coin.toml").write_text(coin_to_toml(coin))
    config = Config(data=data)
    store = Store.open(config, load_coin(config))
    chain, builder = Chain(store), ChainBuilder(coin)
    builder.add([builder.transfer(key("alice"), key("bob"), 10)])
    builder.grow(BLOCKS - 1)
    for raw in builder.raw:
        chain.accept_block(raw, int(time.time()))
    store.close()
    return data


def change(folder: Path, statement: str) -> None:
    """Change a database behind Moneyer's back."""
    connection = driver.connect(str(folder / "chain.db"))
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_verify_checks_every_block_and_says_so(folder: Path) -> None:
    done = moneyer("verify", "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"every block is right, from genesis to height {BLOCKS}\n"


def test_verify_works_while_the_node_runs(folder: Path) -> None:
    lock = hold(Config(data=folder).node_lock)
    try:
        assert moneyer("verify", "--data", folder).returncode == 0
    finally:
        lock.release()


def test_verify_finds_money_that_no_block_made(folder: Path) -> None:
    change(folder, "UPDATE accounts SET balance = balance + 1 WHERE sequence = 1")
    said = refusal(moneyer("verify", "--data", folder))
    assert "balances" in said


@pytest.mark.parametrize("command", [("verify",), ("db", "check"), ("db", "upgrade"), ("db", "backup", "x.db")])
def test_what_is_no_data_folder_is_a_sentence(command: tuple[str, ...], tmp_path: Path) -> None:
    said = refusal(moneyer(*command, "--data", tmp_path / "nothing", cwd=tmp_path))
    assert "no data folder" in said
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "x.db").exists()


def test_a_folder_whose_node_never_ran_has_no_chain_yet(tmp_path: Path) -> None:
    (tmp_path / "coin.toml").write_text(coin_to_toml(easy_coin()))
    assert "no chain yet" in refusal(moneyer("verify", "--data", tmp_path))
    assert not (tmp_path / "chain.db").exists()


@pytest.mark.parametrize("command", [("verify",), ("db", "check"), ("db", "upgrade"), ("db", "backup", "x.db")])
def test_a_lost_database_is_told_and_none_is_made_in_its_place(command: tuple[str, ...], folder: Path) -> None:
    (folder / "chain.db").unlink()
    assert "chain.db is gone" in refusal(moneyer(*command, "--data", folder))
    assert not (folder / "chain.db").exists()
    (folder / "chain.db").mkdir()
    assert "a folder, or what else is no file, has its name" in refusal(moneyer(*command, "--data", folder))


def test_check_finds_a_whole_file_whole(folder: Path) -> None:
    done = moneyer("db", "check", "--data", folder)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'chain.db'} is whole\n")


def test_check_finds_a_damaged_page(folder: Path) -> None:
    path = folder / "chain.db"
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(4096)
    path.write_bytes(content)
    assert "is damaged" in refusal(moneyer("db", "check", "--data", folder))
    assert path.read_bytes() == content


def test_what_is_no_database_is_a_sentence(folder: Path) -> None:
    path = folder / "chain.db"
    path.write_bytes(b"not a database at all" * 1000)
    for command in (("verify",), ("db", "check"), ("db", "upgrade")):
        assert "database" in refusal(moneyer(*command, "--data", folder))
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_that_is_not_moneyers_is_told_as_that(folder: Path) -> None:
    """And not to be upgraded, from a schema None."""
    database = folder / "chain.db"
    for sql, words in (("CREATE TABLE t (a)", "a database of another program"), ("VACUUM", "has no tables")):
        database.unlink()
        connection = driver.connect(str(database))
        connection.executescript(f"PRAGMA user_version = 1; {sql}")
        connection.close()
        for command in (("verify",), ("db", "check")):
            assert words in refusal(moneyer(*command, "--data", folder))


def test_the_databases_own_words_are_told_to_whoever_looks_for_a_bug(folder: Path) -> None:
    (folder / "chain.db").write_bytes(b"not a database at all" * 1000)
    done = moneyer("db", "check", "--data", folder, env={"MONEYER_DEBUG": "1"})
    assert done.returncode == 1
    assert "the database says: file is not a database" in done.stderr.splitlines()[0]


def test_upgrade_leaves_the_newest_schema_as_it_is(folder: Path) -> None:
    done = moneyer("db", "upgrade", "--data", folder)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'chain.db'} is at schema {SCHEMA_REVISION}\n")
    assert not list(folder.glob("*.backup"))


def test_upgrade_keeps_away_from_a_running_node(folder: Path) -> None:
    lock = hold(Config(data=folder).node_lock)
    try:
        assert "is running: stop it first" in refusal(moneyer("db", "upgrade", "--data", folder))
    finally:
        lock.release()


def test_a_newer_schema_is_refused_and_left(folder: Path) -> None:
    change(folder, "UPDATE alembic_version SET version_num = '9999'")
    assert "newer Moneyer" in refusal(moneyer("db", "upgrade", "--data", folder))
    assert "9999" in refusal(moneyer("verify", "--data", folder))
    connection = driver.connect(str(folder / "chain.db"))
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    connection.close()


def test_backup_copies_a_database_in_use_for_the_owner_only(folder: Path, tmp_path: Path) -> None:
    config = Config(data=folder)
    store = Store.open(config, load_coin(config))
    target = tmp_path / "copy.db"
    try:
        done = moneyer("db", "backup", target, "--data", folder)
    finally:
        store.close()
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    connection = sqlite3.connect(target)
    assert connection.execute("SELECT count(*) FROM blocks").fetchone() == (BLOCKS + 1,)
    connection.close()


def test_backup_never_writes_over_a_file(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("precious")
    assert "mine.txt" in refusal(moneyer("db", "backup", target, "--data", folder))
    assert target.read_text() == "precious"


# Links that lead nowhere


def test_a_backup_to_a_link_that_leads_nowhere_is_told_as_that(folder: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for link, target in ((tmp_path / "link.db", tmp_path / "link.db"), (tmp_path / "away", tmp_path / "away" / "x.db")):
        link.symlink_to(gone)
        said = refusal(moneyer("db", "backup", target, "--data", folder))
        assert f"{link} is a symbolic link to {gone}, which leads nowhere: remove the link" in said
        link.unlink()
        assert not gone.exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("command", ["restore", "anew"])
def test_a_link_in_the_place_of_the_database_is_moved_away_wherever_it_leads(
    command: str, folder: Path, tmp_path: Path
) -> None:
    """The disk that it leads to may be there again tomorrow."""
    database, backup = folder / "chain.db", tmp_path / "monday.db"
    assert moneyer("db", "backup", backup, "--data", folder).returncode == 0
    database.unlink()
    database.symlink_to(tmp_path / "disk" / "chain.db")
    file = [backup] if command == "restore" else []
    done = moneyer("db", command, *file, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    (away,) = folder.glob("chain.db.*.away")
    assert str(away) in done.stdout
    assert away.readlink() == tmp_path / "disk" / "chain.db"
    assert not database.is_symlink()
    assert database.exists() == (command == "restore")


# A backup without its folder


@pytest.mark.parametrize("place", ["not there", "empty", "with a dot.in it", "none named"])
def test_a_restore_without_a_data_folder_says_how_one_of_this_coin_is_made(
    place: str, folder: Path, tmp_path: Path
) -> None:
    backup, target = tmp_path / "of monday.db", tmp_path / place
    assert moneyer("db", "backup", backup, "--data", folder).returncode == 0
    if place == "empty":
        target.mkdir()
    named = () if place == "none named" else ("--data", str(target))
    said = refusal(moneyer("db", "restore", backup, *named))
    assert "moneyer new" not in said
    assert "data folder" in said
    (advised,) = re.findall("`.*moneyer (db copy .*)`", said)
    words = [str(target) if word == "DIR" else word for word in shlex.split(advised)]
    assert words == ["db", "copy", str(backup), str(target) + "/" * (place != "none named")]
    assert moneyer(*words, "--coin", folder / "coin.toml").returncode == 0
    assert moneyer("verify", "--data", target).returncode == 0
    assert load_coin(Config(data=target)) == load_coin(Config(data=folder))


def test_a_restore_into_a_folder_that_is_a_link_to_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "node").symlink_to(tmp_path / "disk")
    said = refusal(moneyer("db", "restore", tmp_path / "monday.db", "--data", tmp_path / "node"))
    assert "which leads nowhere" in said
