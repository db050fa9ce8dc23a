"""`moneyer db copy`, and `verify` and `db …` with `--database`, as a person types them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.chain.accept import Chain
from moneyer.node.cli.main import run
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.store.engine import Store
from moneyer.node.store.opening import migrate
from moneyer.node.store.opening.server_database import ServerDatabase
from moneyer.node.store.tables import SCHEMA_REVISION
from tests.kit.commands import asked, moneyer, refusal, start, talk
from tests.kit.damage import CHAIN, bytes_of, made
from tests.kit.nodes import NOW
from tests.kit.postgres.binaries import need_psycopg, programs
from tests.kit.postgres.shared import Databases, shared
from tests.kit.waiting import wait_until

need_psycopg()
import psycopg  # noqa: E402 - it may not be here

SECRET = "s3cret-word"


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    with shared().ended():
        yield shared()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = made(tmp_path)
    (data / "coin.toml").write_text(coin_to_toml(CHAIN.coin))
    return data


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.ended():
        yield databases.fresh()


def with_password(url: str) -> str:
    return url.replace("moneyer@", f"moneyer:{SECRET}@")


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_chain_moves_to_a_server_and_back_and_nothing_says_the_password(
    folder: Path, url: str, tmp_path: Path
) -> None:
    before = bytes_of(folder)
    done = moneyer("db", "copy", folder, with_password(url))
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    begun = f"{folder / 'chain.db'} was copied to {url}: the chain up to height 30, "
    assert first.startswith(begun)
    assert first.endswith(" rows, and every block of it is right")
    assert last == (
        f"Both are the same node now: run one of them. From here on start it on {url}, and {folder / 'chain.db'} no "
        "more"
    )
    assert bytes_of(folder) == before
    said = asked("db", "copy", with_password(url), tmp_path / "back", "--new-identity", "--no-verify")
    assert said["to"] == str(tmp_path / "back" / "chain.db")
    assert (said["from"], said["height"], said["tip"]) == (url, 30, show(CHAIN.tip_hash))
    assert (said["rows"]["blocks"], said["verified"]) == (31, False)
    assert SECRET not in done.stdout + str(said)
    assert moneyer("verify", "--data", tmp_path / "back").returncode == 0
    for each in (("verify",), ("db", "check"), ("db", "upgrade")):
        done = moneyer(*each, "--database", with_password(url))
        assert (done.returncode, done.stderr) == (0, ""), each
        assert SECRET not in done.stdout
    assert asked("verify", "--database", url) == {"valid": True, "height": 30, "transfers": 60}
    checked = asked("db", "check", env={"MONEYER_NODE_DATABASE": url})
    assert checked == {"database": url, "whole": True, "amcheck": False}
    assert asked("db", "upgrade", "--database", url)["schema"] == SCHEMA_REVISION


def test_a_server_is_backed_up_to_a_file_that_any_database_takes(
    folder: Path, databases: Databases, url: str, tmp_path: Path
) -> None:
    assert moneyer("db", "copy", folder, url, "--no-verify").returncode == 0
    file, other = tmp_path / "monday.db", databases.fresh()
    said = asked("db", "backup", file, "--database", url)
    assert said == {"database": url, "backup": str(file), "bytes": file.stat().st_size}
    assert file.stat().st_mode & 0o077 == 0
    assert "nothing is written over" in refusal(moneyer("db", "backup", file, "--database", url))
    assert moneyer("db", "restore", file, "--database", other).stdout == f"{other} is {file} now\n"
    assert asked("verify", "--database", other)["height"] == 30
    assert "has a chain already" in refusal(moneyer("db", "restore", file, "--database", other))
    done = moneyer("db", "restore", file, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert asked("verify", "--data", folder)["height"] == 30


def test_anew_leaves_a_servers_database_alone(folder: Path, url: str) -> None:
    assert moneyer("db", "copy", folder, url, "--no-verify").returncode == 0
    said = refusal(moneyer("db", "anew", "--database", with_password(url), "--data", folder))
    assert url in said
    assert "CREATE DATABASE" in said
    assert SECRET not in said
    assert asked("verify", "--database", url)["height"] == 30
    assert (folder / "chain.db").exists()


def test_a_forgotten_database_is_told_and_the_way_back_can_be_typed(folder: Path, url: str) -> None:
    assert moneyer("db", "copy", folder, url, "--no-verify").returncode == 0
    Store.open(Config(folder, database_url=with_password(url)), CHAIN.coin).close()
    for each in (("verify",), ("db", "check"), ("db", "backup", folder / "x.db"), ("db", "upgrade")):
        said = refusal(moneyer(*each, "--data", folder))
        assert f"is in {url}" in said
        assert SECRET not in said
    assert "has a chain already" in refusal(moneyer("db", "copy", url, folder))
    assert moneyer("db", "anew", "--data", folder).returncode == 0
    assert moneyer("db", "copy", url, folder).returncode == 0
    assert asked("verify", "--data", folder)["height"] == 30


def test_an_older_schema_is_upgraded_behind_a_backup_of_ones_own(url: str, databases: Databases) -> None:
    old = ServerDatabase(Config(Path(), database_url=url))
    with old.engine.begin() as conn:
        migrate.upgrade(conn, "0009")
    old.close()
    said = refusal(moneyer("db", "upgrade", "--database", with_password(url)))
    assert "pg_dump" in said
    assert (
        f"`moneyer db upgrade --database {url} --backup-done`" in said.replace("/root/", "") or "--backup-done" in said
    )
    import psycopg

    with psycopg.connect(url, application_name="moneyer"):
        assert "stop them first" in refusal(moneyer("db", "upgrade", "--database", url, "--backup-done"))
    databases.wait_until_unused(url)
    done = asked("db", "upgrade", "--database", url, "--backup-done")
    assert done == {"database": url, "schema": SCHEMA_REVISION, "before": "0009"}
    empty = databases.fresh()
    assert "is empty" in refusal(moneyer("db", "upgrade", "--database", empty))


def test_what_is_no_source_is_a_sentence(folder: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database at all" * 100)
    for source, words in (
        (tmp_path / "nothing", "there is no chain.db"),
        (tmp_path / "nothing.db", "there is no file"),
        (tmp_path / "text.db", "no database"),
        (url, "is empty"),
        ("postgresql://moneyer@127.0.0.1:1/x", "does not answer"),
    ):
        assert words in refusal(moneyer("db", "copy", source, tmp_path / "new")), source
        assert not (tmp_path / "new").exists()
    for command in (("verify",), ("db", "check"), ("db", "backup", tmp_path / "x.db")):
        assert "is empty" in refusal(moneyer(*command, "--database", url))


def test_without_psycopg_what_to_install_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = "postgresql://127.0.0.1/beach"
    for words in (("verify", "--database"), ("db", "upgrade", "--database"), ("db", "copy", str(folder))):
        assert run([*words, url]) == 1
        assert f"`{sys.executable} -m pip install 'psycopg[binary]" in capsys.readouterr().err


def test_a_terminal_sees_how_far_it_is_and_a_pipe_nothing(folder: Path, url: str) -> None:
    status, shown = talk(["db", "copy", folder, url], [])
    assert status == 0
    assert "verifying" in shown
    assert shown.rstrip().endswith("no more")


def test_ctrl_c_ends_it_with_a_sentence_and_nothing_is_there(folder: Path, url: str, databases: Databases) -> None:
    with psycopg.connect(url) as held:
        held.execute("SELECT pg_advisory_xact_lock(%s, 1)", (0x4D4F4E45,))  # the copy waits for its writers' lock
        process = start("db", "copy", folder, url)
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: held.execute(waits).fetchone() == (1,), 30, "the copy to wait")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err.strip().endswith("stopped")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_dump_of_the_server_is_restored_as_the_pages_say(
    folder: Path, databases: Databases, url: str, tmp_path: Path
) -> None:
    """docs/scale.md, Backup and restore: `pg_dump` while a node has it open, `pg_restore`, check, verify, start."""
    assert moneyer("db", "copy", folder, url, "--no-verify").returncode == 0
    dump, again = tmp_path / "chain.dump", databases.fresh()
    store = Store.open(Config(folder, database_url=url), CHAIN.coin)
    try:
        for program, *arguments in (
            ("pg_dump", "--format=custom", f"--file={dump}", url),
            ("pg_restore", "--no-owner", f"--dbname={again}", str(dump)),
        ):
            done = subprocess.run([programs() / program, *arguments], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        store.close()
    assert asked("db", "check", "--database", again)["whole"] is True
    assert asked("verify", "--database", again)["height"] == 30
    store = Store.open(Config(folder, database_url=again), CHAIN.coin)
    try:
        block = CHAIN.branch(30, "after").next_block()
        assert Chain(store).accept_block(codec.encode_block(block), NOW).status == "extended"
    finally:
        store.close()
    moved = asked("db", "copy", again, tmp_path / "copy.db")
    assert moved["height"] == 31


@pytest.mark.parametrize(
    "typed", ["POSTGRESQL://a:{}@db.example/x", "mysql://a:{}@b/c", "postgresql:a:{}@b/c", "postgres://a:{}@b"]
)
def test_what_is_no_url_of_a_server_becomes_no_folder(folder: Path, typed: str) -> None:
    said = refusal(moneyer("db", "copy", folder, typed.format(SECRET), cwd=folder.parent), 2)
    assert "as postgresql://moneyer@db.example/beach" in said or "as in postgresql://moneyer@db.example/beach" in said
    assert SECRET not in said
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]
