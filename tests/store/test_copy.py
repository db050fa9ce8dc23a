"""`copy_chain` between SQLite's files and databases of a real PostgreSQL server: equal rows, all or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Connection, func, select

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.verify import prove_copy
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.store.copying import copy_chain as module
from moneyer.node.store.copying.copy_chain import copy_chain
from moneyer.node.store.copying.copy_file import FileEnd, FolderEnd
from moneyer.node.store.copying.copy_server import ServerEnd
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreRefused
from moneyer.node.store.opening import migrate
from moneyer.node.store.opening.server_database import ServerDatabase
from moneyer.node.store.tables import mempool, metadata
from moneyer.node.store.unconfirmed import entries
from moneyer.node.system.locks import hold
from tests.kit.chains import transfer
from tests.kit.damage import bytes_of, change
from tests.kit.nodes import NOW, Node
from tests.kit.postgres.binaries import need_psycopg
from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.cut_commit import cut_at_commit
from tests.kit.postgres.shared import Databases
from tests.kit.system.disks import filled, small_disk
from tests.kit.system.processes import Child
from tests.kit.waiting import wait_until
from tests.store.copies import ALICE, BOB, CHAIN, COIN, CROWD, copied, copy_and_stop, make_rich, rows_of

__all__ = ["small_disk"]

need_psycopg()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Of this file's own: its tests end backends."""
    with postgres_server() as started:
        yield started


@pytest.fixture(scope="module")
def databases(server: PostgresServer) -> Databases:
    return Databases(server.url(), "copies_")


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich") / "node"
    make_rich(folder)
    return folder


@pytest.fixture(scope="module")
def rich_url(rich: Path, databases: Databases) -> str:
    """A database on the server with the same rows; do not change it."""
    url = databases.fresh()
    copied(rich, url)
    return url


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.ended():
        yield databases.fresh()


def tables_in(server: PostgresServer, url: str) -> list[str]:
    return [name for (name,) in server.ask(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", database=url.rpartition("/")[2]
    )]  # fmt: skip


def is_untouched(server: PostgresServer, target: str) -> bool:
    """Whether a target that was empty, or not there, is so still."""
    if "://" in target:
        return not tables_in(server, target)
    path = Path(target)
    return not path.exists() and not list(path.parent.glob(f".{path.name}*"))


# Rows


def test_rows_are_equal_both_ways_and_the_node_goes_on(rich: Path, url: str, tmp_path: Path) -> None:
    before, files = rows_of(FolderEnd(rich)), bytes_of(rich)
    there = copied(rich, url)
    assert (there.height, there.tip, there.coin) == (CHAIN.height, CHAIN.tip_hash, COIN)
    assert rows_of(ServerEnd(url)) == before
    back = copied(url, tmp_path / "back")
    assert back.node_id == there.node_id
    assert rows_of(FolderEnd(tmp_path / "back")) == before
    assert before["last number"] == [(CROWD,)] != [max(row[:1] for row in before["mempool"])]
    assert len(before["assets"]) == 1
    assert {row[5] for row in before["blocks"]} == {"connected", "stored", "invalid"}
    assert bytes_of(rich) == files
    for config in (Config(tmp_path / "other", database_url=url), Config(tmp_path / "back")):
        store = Store.open(config, COIN)
        try:
            store.write(lambda conn: entries.add(conn, bytes(32), transfer(COIN, ALICE, BOB, 1, 1, 99), ready=False))
            with store.read() as conn:
                assert conn.execute(select(func.max(mempool.c.arrived))).scalar() == CROWD + 1
        finally:
            store.close()


def test_a_copied_node_takes_the_next_block_on_either(rich_url: str, databases: Databases, tmp_path: Path) -> None:
    copied(rich_url, tmp_path / "back")
    next_block = CHAIN.branch(CHAIN.height, "next").next_block()
    with Node(tmp_path / "back", COIN) as node:
        assert node.offer(next_block).status == "extended"
    url = databases.fresh()
    copied(tmp_path / "back", url)
    store = Store.open(Config(tmp_path / "third", database_url=url), COIN)
    try:
        branch = CHAIN.branch(CHAIN.height, "next")
        branch.append(branch.next_block())
        assert Chain(store).accept_block(codec.encode_block(branch.next_block()), NOW).status == "extended"
    finally:
        store.close()


SHAPE = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT table_name, column_name, data_type, column_default, is_nullable, collation_name "
    "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
)


def test_a_copys_schema_is_that_of_a_new_database(server: PostgresServer, rich_url: str, url: str) -> None:
    new = ServerDatabase(Config(Path(), database_url=url))
    new.prepare()
    new.close()
    for question in SHAPE:
        found = [server.ask(question, database=each.rpartition("/")[2]) for each in (url, rich_url)]
        assert found[0] == found[1]
        assert found[0]


def test_a_copy_between_two_servers_databases_and_one_with_a_new_identity(rich_url: str, url: str) -> None:
    copied_one = copied(rich_url, url, new_identity=True)
    mine, theirs = rows_of(ServerEnd(rich_url)), rows_of(ServerEnd(url))
    assert mine.pop("meta") != theirs.pop("meta")
    assert mine == theirs
    assert copied_one.node_id not in {row[1].hex() for row in rows_of(ServerEnd(rich_url))["meta"]}


def test_an_empty_database_whose_tables_are_made_is_taken(rich: Path, url: str) -> None:
    new = ServerDatabase(Config(Path(), database_url=url))
    new.prepare()
    new.close()
    copied(rich, url)
    assert rows_of(ServerEnd(url)) == rows_of(FolderEnd(rich))


def test_a_file_that_a_server_was_copied_to_says_its_coin(rich_url: str, tmp_path: Path) -> None:
    copied(rich_url, tmp_path / "kept.db")
    (tmp_path / "kept.db").chmod(0o400)
    assert copied(tmp_path / "kept.db", tmp_path / "again").coin == COIN
    assert rows_of(FolderEnd(tmp_path / "again")) == rows_of(ServerEnd(rich_url))


def test_a_file_without_its_coin_wants_one(rich: Path, tmp_path: Path) -> None:
    shutil.copy(rich / "chain.db", tmp_path / "alone.db")
    with pytest.raises(StoreRefused, match="--coin FILE"):
        copied(tmp_path / "alone.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert copied(tmp_path / "alone.db", tmp_path / "copy.db", coin=COIN).height == CHAIN.height


# What is there already


def test_a_target_that_has_a_chain_is_left(
    rich: Path, rich_url: str, url: str, server: PostgresServer, tmp_path: Path
) -> None:
    shutil.copytree(rich, tmp_path / "there")
    before = rows_of(ServerEnd(rich_url))
    for begins, ends in ((rich, rich_url), (rich_url, tmp_path / "there"), (rich_url, tmp_path / "there" / "chain.db")):
        with pytest.raises(StoreRefused, match="nothing is written over"):
            copied(begins, ends)
    assert rows_of(ServerEnd(rich_url)) == before
    server.ask("CREATE TABLE theirs (a int)", database=url.rpartition("/")[2])
    with pytest.raises(StoreRefused, match="another program"):
        copied(rich, url)
    with pytest.raises(StoreRefused, match="another program"):
        copied(url, tmp_path / "new")
    assert tables_in(server, url) == ["theirs"]
    (tmp_path / "odd.db-wal").write_bytes(b"left")
    with pytest.raises(StoreRefused, match="move it away first"):
        copied(rich_url, tmp_path / "odd.db")


def test_a_chain_in_another_schema_is_not_overlooked(
    rich: Path, rich_url: str, server: PostgresServer, tmp_path: Path
) -> None:
    server.ask("CREATE SCHEMA elsewhere", database=rich_url.rpartition("/")[2])
    hidden = f"{rich_url}?options=-c%20search_path%3Delsewhere"
    for begins, ends in ((rich, hidden), (hidden, tmp_path / "new")):
        with pytest.raises(StoreRefused, match='a chain already, in the schema "public"'):
            copied(begins, ends)
    assert not (tmp_path / "new").exists()


def test_a_schema_of_another_program_is_refused_with_what_to_do(
    rich: Path, databases: Databases, server: PostgresServer, tmp_path: Path
) -> None:
    shutil.copytree(rich, tmp_path / "old")
    change(tmp_path / "old", "UPDATE alembic_version SET version_num = '0009'")
    with pytest.raises(StoreRefused, match="db upgrade --data"):
        copied(tmp_path / "old", tmp_path / "new")
    change(tmp_path / "old", "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreRefused, match="newer Moneyer"):
        copied(tmp_path / "old", tmp_path / "new")
    url = databases.fresh()
    copied(rich, url)
    for version, words in (("0009", "db upgrade --database"), ("9999", "newer Moneyer")):
        server.ask(f"UPDATE alembic_version SET version_num = '{version}'", database=url.rpartition("/")[2])
        with pytest.raises(StoreRefused, match=words):
            copied(url, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_older_schema_on_a_server_is_upgraded_only_where_told(url: str) -> None:
    old = ServerDatabase(Config(Path(), database_url=url))
    try:
        with old.engine.begin() as conn:
            migrate.upgrade(conn, "0009")
        with pytest.raises(StoreRefused, match="--backup-done"):
            old.prepare()
        assert old.revision() == "0009"
        old.prepare(may_upgrade=True)
        assert old.revision() == "0010"
    finally:
        old.close()


# A source that is damaged, or written meanwhile


DAMAGES = {
    "a body is gone": "DELETE FROM bodies WHERE joined = 5",
    "a balance is off": "UPDATE accounts SET balance = balance + 1 WHERE account_id = 1",
    "two balances are off": "UPDATE accounts SET balance = balance + 1 WHERE account_id = 1;"
    "UPDATE accounts SET balance = balance - 1 WHERE account_id = 2",
    "a block is gone": "DELETE FROM blocks WHERE height = 12",
    "a parent is another": "UPDATE blocks SET prev_hash = {zeros} WHERE height = 12",
    "a signature is another": "UPDATE bodies SET body = {flipped} WHERE joined = 9",
    "the pool's totals are off": "UPDATE mempool_totals SET bytes = bytes + 1",
    "the best block is not the tip": "UPDATE blocks SET main_chain = {false} WHERE joined = "
    "(SELECT max(joined) FROM blocks WHERE main_chain)",
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_source_is_copied_nowhere(
    what: str, rich: Path, rich_url: str, url: str, databases: Databases, server: PostgresServer, tmp_path: Path
) -> None:
    shutil.copytree(rich, tmp_path / "damaged")
    here = {"zeros": "zeroblob(32)", "false": "0", "flipped": "substr(body, 1, 40) || x'5a' || substr(body, 42)"}
    here["flipped"] = f"CAST({here['flipped']} AS BLOB)"
    change(tmp_path / "damaged", DAMAGES[what].format(**here))
    with pytest.raises(StoreRefused, match="Nothing was copied"):
        copied(tmp_path / "damaged", url)
    assert is_untouched(server, url)
    there = {"zeros": f"'\\x{'00' * 32}'", "false": "false", "flipped": "overlay(body placing '\\x5a' from 41)"}
    damaged = databases.fresh()
    copied(rich_url, damaged)
    name = damaged.rpartition("/")[2]
    with server.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")  # as a damage: no foreign keys
        for statement in DAMAGES[what].format(**there).split(";"):
            connection.execute(statement.encode())
    with pytest.raises(StoreRefused, match="Nothing was copied"):
        copied(damaged, tmp_path / "copy.db")
    assert is_untouched(server, str(tmp_path / "copy.db"))
    if what not in ("two balances are off", "a signature is another"):  # what only the proof finds
        with pytest.raises(StoreRefused, match="Nothing was copied"):
            copy_chain(FolderEnd(tmp_path / "damaged"), FileEnd(tmp_path / "copy.db"))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE peers SET height = 'many'",
        "UPDATE accounts SET payload = 5 WHERE account_id = 1",
        "UPDATE peers SET agent = x'ff'",
        "UPDATE jobs SET state = 'odd'",
        "UPDATE mempool SET txid = x'00' WHERE arrived = 1",
    ],
)
def test_a_value_that_cannot_stand_there_is_copied_nowhere(
    sql: str, rich: Path, url: str, server: PostgresServer, tmp_path: Path
) -> None:
    shutil.copytree(rich, tmp_path / "odd")
    change(tmp_path / "odd", sql)
    for target in (url, str(tmp_path / "copy.db")):
        with pytest.raises(StoreRefused):
            copied(tmp_path / "odd", target)
        assert is_untouched(server, target)


@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_source_that_is_written_meanwhile_is_copied_as_of_one_instant(
    kind: str, rich: Path, rich_url: str, databases: Databases, tmp_path: Path
) -> None:
    source: str | Path = tmp_path / "node"
    if kind == "file":
        shutil.copytree(rich, tmp_path / "node")
        config = Config(tmp_path / "node")
    else:
        source = databases.fresh()
        copied(rich, source)
        config = Config(tmp_path / "node", database_url=source)
    store = Store.open(config, COIN)
    branch = CHAIN.branch(CHAIN.height, "meanwhile")
    try:
        chain = Chain(store)

        def write(_what: str, _done: int, _total: int) -> None:
            block = branch.append(branch.next_block())
            assert chain.accept_block(codec.encode_block(block), NOW).status == "extended"

        result = copied(source, tmp_path / "copy.db", progress=write)
        assert result.height < branch.height
        assert store.data_version() > 0
        with Node(tmp_path / "again", COIN) as node:
            node.chain.accept_blocks(branch.raw[: result.height], NOW)
            assert node.tip_hash == result.tip
    finally:
        store.close()


# Broken off


def steps(begins: str | Path, ends: str | Path) -> list[str]:
    told: list[str] = []
    copied(begins, ends, progress=lambda what, _done, _total: told.append(what))
    return told


@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_copy_that_is_killed_at_any_step_leaves_nothing_that_hinders_the_next(
    kind: str, rich: Path, rich_url: str, databases: Databases, server: PostgresServer, tmp_path: Path
) -> None:
    source = rich_url if kind == "file" else str(rich)
    told = steps(source, str(tmp_path / "whole.db") if kind == "file" else databases.fresh())
    assert set(told) == {"counting", "copying rows", "making indexes", "checking"}
    target = str(tmp_path / "node" / "copy.db") if kind == "file" else databases.fresh()
    (tmp_path / "node").mkdir()
    for step in range(1, len(told) + 1):
        child = Child(copy_and_stop, source, target, step, "kill")
        child.process.join(60)
        assert child.process.exitcode == -9
        if kind == "file":
            assert not Path(target).exists()
        else:
            wait_until(lambda: not server.backends(target.rpartition("/")[2]), 20, "the server to find out")
            assert is_untouched(server, target)
    copied(source, target)
    if kind == "file":
        assert [path.name for path in (tmp_path / "node").iterdir()] == ["copy.db"]


@pytest.mark.parametrize("kind", ["file", "folder", "server"])
def test_a_copy_that_is_stopped_at_any_step_leaves_nothing(
    kind: str, rich: Path, rich_url: str, databases: Databases, server: PostgresServer, tmp_path: Path
) -> None:
    source = str(rich) if kind == "server" else rich_url
    target = {"file": str(tmp_path / "copy.db"), "folder": str(tmp_path / "copy"), "server": databases.fresh()}[kind]
    whole = str(tmp_path / "whole.db")
    for step in range(len(steps(source, whole))):
        left = step

        def stop(_what: str, _done: int, _total: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copied(source, target, progress=stop)
        assert is_untouched(server, target)
    copied(source, target)


@pytest.mark.parametrize("end", ["source", "target"])
def test_a_server_that_is_lost_meanwhile_is_a_sentence_and_nothing_is_there(
    end: str, rich: Path, rich_url: str, databases: Databases, server: PostgresServer, tmp_path: Path
) -> None:
    source, target = (rich_url, str(tmp_path / "copy.db")) if end == "source" else (str(rich), databases.fresh())
    name = (source if end == "source" else target).rpartition("/")[2]
    told = steps(source, str(tmp_path / "whole.db"))
    last_row = max(step for step, what in enumerate(told) if what == "copying rows")
    for step in range(1, last_row if end == "source" else len(told)):  # 0: it is not connected yet
        left = step

        def lose(_what: str, _done: int, _total: int) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                server.terminate_backends(name)

        with pytest.raises(StoreRefused, match="cannot be"):
            copied(source, target, progress=lose)
        assert is_untouched(server, target)


def test_a_server_that_is_lost_while_its_copy_is_proved_does_not_make_the_source_a_damaged_one(
    rich: Path, url: str, server: PostgresServer
) -> None:
    def lose(conn: Connection, coin: Coin) -> None:
        server.terminate_backends(url.rpartition("/")[2])
        prove_copy(conn, coin)

    with pytest.raises(StoreRefused, match="cannot be written"):
        copied(rich, url, prove=lose)
    assert is_untouched(server, url)


def test_two_at_once_to_one_target_make_one(rich: Path, rich_url: str, url: str, tmp_path: Path) -> None:
    child = Child(copy_and_stop, rich_url, str(tmp_path / "copy.db"), 4, "wait")
    assert child.hear() == "copying rows"
    with pytest.raises(StoreRefused, match="another process is making"):
        copied(rich_url, tmp_path / "copy.db")
    child.tell("go on")
    assert child.hear() > 4
    child = Child(copy_and_stop, str(rich), url, 4, "wait")
    assert child.hear() == "copying rows"
    with pytest.raises(StoreRefused, match="another process is at work"):
        copied(rich, url)
    child.tell("go on")
    assert child.hear() > 4
    assert rows_of(ServerEnd(url)) == rows_of(FileEnd(tmp_path / "copy.db"))


def test_a_node_that_runs_on_the_target_folder_keeps_it(rich_url: str, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    lock = hold(Config(tmp_path / "node").node_lock)
    try:
        with pytest.raises(StoreRefused, match="is running"):
            copied(rich_url, tmp_path / "node")
    finally:
        lock.release()


def test_a_full_disk_of_a_file_is_a_sentence(rich_url: str, small_disk: Path, server: PostgresServer) -> None:
    with filled(small_disk), pytest.raises(StoreRefused, match=r"disk is full|No space left"):
        copied(rich_url, small_disk / "copy.db")
    assert is_untouched(server, str(small_disk / "copy.db"))
    copied(rich_url, small_disk / "copy.db")


def test_a_full_disk_of_the_server_is_a_sentence(rich: Path, small_disk: Path, tmp_path: Path) -> None:
    with postgres_server() as own:
        place = small_disk / "space"
        place.mkdir()
        user = own.folder.stat()
        shutil.chown(place, user.st_uid, user.st_gid)
        for each in (small_disk, *small_disk.parents):
            if each.stat().st_uid == 0 and not each.stat().st_mode & 0o001:
                each.chmod(each.stat().st_mode | 0o011)
        own.ask(f"CREATE TABLESPACE small LOCATION '{place}'")
        own.ask("CREATE DATABASE full_disk TEMPLATE template0 ENCODING 'UTF8'")
        own.ask("ALTER DATABASE full_disk SET default_tablespace = small")
        url = own.url("full_disk")
        with filled(small_disk), pytest.raises(StoreRefused, match="the server's disk is full"):
            copied(rich, url)
        assert is_untouched(own, url)
        copied(rich, url)
        assert rows_of(ServerEnd(url)) == rows_of(FolderEnd(rich))


@pytest.mark.parametrize("reaches", [True, False])
def test_a_server_that_is_lost_at_commit_is_asked_what_became_of_it(
    reaches: bool, rich: Path, url: str, server: PostgresServer
) -> None:
    with cut_at_commit(server.port, reaches=reaches) as port:
        through = url.replace(f":{server.port}/", f":{port}/")
        if reaches:
            assert copied(rich, through).height == CHAIN.height
            assert rows_of(ServerEnd(url)) == rows_of(FolderEnd(rich))
        else:
            with pytest.raises(StoreRefused, match="cannot be written"):
                copied(rich, through)
            assert is_untouched(server, url)


# Links that lead nowhere


@pytest.mark.parametrize("where", ["chain.db", "the folder", "above it", "a file", "in a circle", "a file above"])
def test_a_target_behind_a_link_that_leads_nowhere_is_told_as_that(
    rich: Path, rich_url: str, tmp_path: Path, where: str
) -> None:
    folder, gone = tmp_path / "new", tmp_path / "gone"
    link, target = {
        "chain.db": (folder / "chain.db", folder),
        "the folder": (folder, folder),
        "above it": (folder, folder / "node"),
        "a file": (tmp_path / "monday.db", tmp_path / "monday.db"),
        "in a circle": (tmp_path / "monday.db", tmp_path / "monday.db"),
        "a file above": (folder, folder / "monday.db"),
    }[where]
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(link if where == "in a circle" else gone)
    before = sorted(tmp_path.rglob("*"))
    for source in (rich, rich_url):
        with pytest.raises(StoreRefused) as refused:
            copied(source, target)
        told = f"{link} is a symbolic link to {link.readlink()}, which leads nowhere: remove the link, or "
        assert refused.value.message.startswith(told)
        assert sorted(tmp_path.rglob("*")) == before
    link.unlink()
    target.parent.mkdir(exist_ok=True)
    assert copied(rich, target).height == CHAIN.height


def test_a_file_that_is_named_as_a_folder_is_none(rich: Path, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(StoreRefused, match="note is no folder: name another one"):
        copy_chain(FolderEnd(rich), FolderEnd(tmp_path / "note"))
    assert (tmp_path / "note").read_text() == "mine"


# Who may, and where


def test_what_is_wrong_with_a_url_is_said_without_its_password(rich: Path, tmp_path: Path) -> None:
    with postgres_server() as own:
        own.ask("CREATE ROLE guest LOGIN PASSWORD 'right'")
        own.ask("CREATE DATABASE guests OWNER guest")
        access = own.data / "pg_hba.conf"
        access.write_text("host all guest 127.0.0.1/32 scram-sha-256\n" + access.read_text())
        own.configure(work_mem="4MB")  # which reads that file too
        at = f"127.0.0.1:{own.port}"
        cases = {
            f"postgresql://guest:s3cret@{at}/guests": "does not take this user, or this password",
            f"postgresql://guest@{at}/guests": "does not take this user, or this password",
            f"postgresql://nobody:s3cret@{at}/guests": "does not take this user, or this password",
            f"postgresql://guest:right@{at}/nowhere": "no database of that name",
            "postgresql://guest:s3cret@127.0.0.1:1/guests": "does not answer",
        }
        for url, words in cases.items():
            for begins, ends in ((rich, url), (url, tmp_path / "copy.db")):
                with pytest.raises(StoreRefused, match=words) as told:
                    copied(begins, ends)
                assert "s3cret" not in told.value.message
        url = f"postgresql://guest:right@{at}/guests"
        assert "right" not in repr(copied(rich, url))
        assert ServerEnd(url).check() != []  # no amcheck for a role that may not use it


def test_a_chain_that_moved_to_a_server_is_not_gone_on_with_in_its_file(rich: Path, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(rich, folder)
    copied(folder, url)
    Store.open(Config(folder, database_url=url), COIN).close()
    with pytest.raises(StoreRefused, match=f"is in {url}.*older.*MONEYER_NODE_DATABASE"):
        Store.open(Config(folder), COIN)
    with pytest.raises(StoreRefused, match=r"is in postgresql.*copy it from there, by that URL"):
        copied(folder, tmp_path / "copy.db")
    (folder / "chain.db").unlink()
    copied(url, folder)  # the way back
    Store.open(Config(folder), COIN).close()
    assert rows_of(FolderEnd(folder)) == rows_of(ServerEnd(url))


def test_check_on_a_server_looks_at_pages_where_it_can(rich: Path, url: str, server: PostgresServer) -> None:
    copied(rich, url)
    end, name = ServerEnd(url), url.rpartition("/")[2]
    assert end.check() == ["CREATE EXTENSION amcheck"]
    server.ask("CREATE SCHEMA tools", database=name)
    server.ask("CREATE EXTENSION amcheck SCHEMA tools VERSION '1.2'", database=name)  # as it came with PostgreSQL 13
    assert end.check() == ["ALTER EXTENSION amcheck UPDATE"]
    server.ask("ALTER EXTENSION amcheck UPDATE", database=name)
    assert end.check() == []
    server.ask("UPDATE accounts SET balance = balance + 1 WHERE account_id = 1", database=name)
    with pytest.raises(StoreRefused, match="balances sum to"):
        end.check()
    server.ask("UPDATE accounts SET balance = balance - 1 WHERE account_id = 1", database=name)
    server.ask("CHECKPOINT")
    index = server.data / server.ask("SELECT pg_relation_filepath('ix_accounts_balance')", database=name)[0][0]
    server.restart()
    content = bytearray(index.read_bytes())
    content[8192 + 8000 : 8192 + 8180] = bytes(180)  # of the items of its first leaf
    server.stop()
    index.write_bytes(content)
    server.start()
    with pytest.raises(StoreRefused, match="is damaged"):
        end.check()


@pytest.mark.parametrize("schema", ["public", "the tools"])
def test_what_a_role_lacks_for_the_look_at_pages_is_what_a_superuser_types(
    rich: Path, url: str, server: PostgresServer, schema: str
) -> None:
    name, role = url.rpartition("/")[2], f"keeper of {schema}"
    server.ask(f'CREATE ROLE "{role}" LOGIN')
    server.ask(f'ALTER DATABASE {name} OWNER TO "{role}"')
    as_role = url.replace("moneyer@", f"{quote(role)}@")
    copied(rich, as_role)
    end = ServerEnd(as_role)
    missing = end.check()
    assert [each.partition("(")[0] for each in missing] == [
        "CREATE EXTENSION amcheck",
        "GRANT EXECUTE ON FUNCTION verify_heapam",
    ]
    if schema == "public":
        server.ask(missing[0], database=name)
    else:
        server.ask(f'CREATE SCHEMA "{schema}"', database=name)
        server.ask(f'CREATE EXTENSION amcheck SCHEMA "{schema}"', database=name)
    missing = end.check()
    assert len(missing) == (1 if schema == "public" else 2)
    assert all(each.startswith("GRANT ") and each.endswith(f' TO "{role}"') for each in missing)
    for statement in missing:
        assert end.check() != []
        server.ask(statement, database=name)
    assert end.check() == []


def test_every_table_is_copied_but_that_of_processes() -> None:
    assert {table.name for table in module._TABLES} == set(metadata.tables) - {"processes"}
