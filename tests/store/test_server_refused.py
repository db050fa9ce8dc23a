"""A server that cannot be relied on, or lets nobody in, is refused with a sentence; no password stands in any."""

from __future__ import annotations

import logging
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from moneyer.node.config import Config
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreBusy, StoreFailed, StoreLost, StoreRefused
from moneyer.node.store.opening import server_database
from tests.kit.chains import easy_coin, key, transfer
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.own import name, new_database, server, url
from tests.kit.system.disks import filled, small_disk_at
from tests.kit.waiting import wait_until

__all__ = ["name", "server", "url"]

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])
SECRET = "pa#ss/w@rd?%: &=ß"
ODD = ("p#ss", "p/ss", "p@ss", "p?ss", "p:ss", "p ss", "p%ss", "p@s/s", "p#s@s/s?s", "p[ss", "p=ss", "p%2", "5432#ss")
"""Passwords as somebody would write them into a URL, not knowing of %XX."""


def refusal(url: str, folder: Path, **config: Any) -> str:
    with pytest.raises(StoreRefused) as refused:
        Store.open(Config(folder, database_url=url, **config), COIN)
    return refused.value.message


def send(node: Node, number: int) -> str:
    return node.mempool.accept_transfer(transfer(COIN, ALICE, BOB, 5, 1, number)).status


def send_next(node: Node) -> str:
    return send(node, len(node.pool()))


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync", "full_page_writes"])
def test_a_server_that_may_forget_is_refused_at_a_start_and_while_a_node_runs(
    server: PostgresServer, url: str, tmp_path: Path, setting: str
) -> None:
    with (
        Node(tmp_path / "node", COIN, database_url=url) as node,
        Node(tmp_path / "bold", COIN, database_url=url, unsafe_database=True) as bold,
    ):
        send(node, 0)
        server.configure(**{setting: "off"})
        try:
            assert f"{setting}=off" in refusal(url, tmp_path / "new")
            assert "--unsafe-database" in refusal(url, tmp_path / "new")
            if setting == "synchronous_commit":
                assert send_next(node) == "ready", "a connection keeps what it began with"
                server.terminate_backends(url.rpartition("/")[2])

            def is_refused() -> bool:
                try:
                    send_next(node)
                except StoreFailed as failed:
                    return "may forget" in failed.message
                return False

            wait_until(is_refused, 10, "the node to see it")
            assert send_next(bold) == "ready"
            assert node.dump() == bold.dump()
        finally:
            server.configure(**{setting: "on"})
        wait_until(lambda: server.ask(f"SHOW {setting}") == [("on",)], 10)
        server.terminate_backends(url.rpartition("/")[2])
        assert send_next(node) == "ready"


def test_a_risk_that_is_taken_is_logged_once_at_a_start_with_its_settings(
    server: PostgresServer, url: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [
            each.getMessage() for each in caplog.records if "may lose what it has acknowledged" in each.getMessage()
        ]

    with Node(tmp_path / "safe", COIN, database_url=url, unsafe_database=True):
        assert said() == [], "there is no risk"
    for setting in ("synchronous_commit", "fsync"):
        server.configure(**{setting: "off"})
    try:
        with Node(tmp_path / "bold", COIN, database_url=url, unsafe_database=True) as bold:
            assert send(bold, 0) == send_next(bold) == "ready"
        (line,) = said()
        assert line.startswith(f"{url} may lose")
        assert "synchronous_commit=off and fsync=off" in line
    finally:
        for setting in ("synchronous_commit", "fsync"):
            server.configure(**{setting: "on"})
        wait_until(lambda: server.ask("SHOW fsync") == [("on",)], 10)


def test_a_role_or_database_that_has_it_off_is_refused_as_well(
    server: PostgresServer, url: str, name: str, tmp_path: Path
) -> None:
    server.ask(f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit=off" in refusal(url, tmp_path)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused(server: PostgresServer, tmp_path: Path, encoding: str) -> None:
    server.ask(f"CREATE DATABASE {encoding.lower()} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    assert f"keeps text as {encoding}" in refusal(server.url(encoding.lower()), tmp_path)


def test_a_database_of_another_program_is_refused_and_left_as_it_was(
    server: PostgresServer, url: str, name: str, tmp_path: Path
) -> None:
    server.ask("CREATE TABLE shopping (what text)", database=name)
    assert "tables of another program" in refusal(url, tmp_path)
    assert server.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=name) == [("shopping",)]


def test_an_old_server_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the text of what is asked, as no old one is here."""
    monkeypatch.setattr(server_database, "OLDEST", 99)
    assert "takes PostgreSQL 99 or newer" in refusal(url, tmp_path)


def test_a_replica_is_no_database_to_write_to(server: PostgresServer, url: str, name: str, tmp_path: Path) -> None:
    Store.open(Config(tmp_path / "node", database_url=url), COIN).close()
    with server.replica("followed") as replica:
        replica.wait_for_replay(server)
        message = refusal(replica.url(name), tmp_path / "other")
        assert "is a replica" in message
        assert "--read-database" in message
        assert "cannot be opened" in refusal(f"{replica.url(name)}?target_session_attrs=read-write", tmp_path / "third")
    server.drop_slot("followed")


def test_a_role_that_may_not_make_tables_or_write_is_told(
    server: PostgresServer, url: str, name: str, tmp_path: Path
) -> None:
    server.ask("CREATE ROLE visitor LOGIN")
    as_visitor = url.replace("moneyer@", "visitor@")
    server.ask("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=name)
    assert "this user may not use it" in refusal(as_visitor, tmp_path / "visitor")
    Store.open(Config(tmp_path / "node", database_url=url), COIN).close()
    assert "this user may not use it" in refusal(as_visitor, tmp_path / "visitor")
    server.ask("GRANT SELECT ON ALL TABLES IN SCHEMA public TO visitor", database=name)
    with Node(tmp_path / "visitor", COIN, database_url=as_visitor) as node:
        assert node.height == 0
        with pytest.raises(StoreFailed, match=r"this user may not use it.*let the user own"):
            send(node, 0)


def test_an_empty_database_is_no_place_for_a_folder_that_has_a_chain(
    server: PostgresServer, url: str, tmp_path: Path
) -> None:
    """A URL with a slip in it, or a server that was set up anew. Its own database is taken again."""
    folder = tmp_path / "node"
    with Node(folder, COIN, database_url=url) as node:
        send(node, 0)
    other = new_database(server)
    for _ in range(2):
        message = refusal(server.url(other), folder)
        assert f"{server.url(other)} is empty" in message
        assert "nothing was made there" in message
    with pytest.raises(StoreRefused, match="another coin's chain"):
        Store.open(Config(tmp_path / "other", database_url=url), easy_coin(symbol="OTHER"))
    # Without its URL the folder says where its chain is.
    with pytest.raises(StoreRefused, match=f"{server.port}/.*give that with --database"):
        Store.open(Config(folder), COIN)
    with Node(folder, COIN, database_url=url) as node:
        assert len(node.pool()) == 1


def test_a_full_disk_of_the_server_refuses_writes_and_nothing_else(
    server: PostgresServer, url: str, name: str, tmp_path: Path
) -> None:
    disk, user = server.folder / "small", server.folder.stat().st_uid
    with small_disk_at(disk, user), Node(tmp_path / "node", COIN, database_url=url) as node:
        send(node, 0)
        server.ask(f"CREATE TABLESPACE small LOCATION '{disk}'")
        server.ask("ALTER TABLE mempool SET TABLESPACE small", database=name)
        sent = 1
        with filled(disk):
            with pytest.raises(StoreFailed, match="disk is full"):  # noqa: PT012 - whichever finds no room
                while sent < 1_000:
                    send(node, sent)
                    sent += 1
            assert len(node.pool()) == sent
        assert send(node, sent) == "ready"
        assert len(node.pool()) == sent + 1
        node.close()
        server.ask("ALTER TABLE mempool SET TABLESPACE pg_default", database=name)
        server.ask("DROP TABLESPACE small")


# A replica that is waited for


def test_a_commit_that_did_not_wait_for_its_replica_is_not_acknowledged(
    server: PostgresServer, url: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator ends the wait, or the connection; or it lasts for too long."""
    writing, backend = ("moneyer.node.store.backends.postgres." + each for each in ("pg_writing", "pg_backend"))
    with postgres_server() as primary, primary.replica(synchronous=True) as replica:
        address = primary.url(new_database(primary))
        with Node(tmp_path / "node", COIN, database_url=address, busy_seconds=2) as node:
            assert send(node, 0) == "ready"
            replica.stop()
            waiting = "SELECT {}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            for number, end in enumerate(("pg_cancel_backend", "pg_terminate_backend"), 1):
                monkeypatch.setattr(f"{backend}._LOOK_SECONDS", 1.0)
                monkeypatch.setattr(f"{writing}.COMMIT_SECONDS", 1.0 if number == 2 else 20.0)
                answer = in_thread(partial(send, node, number))
                wait_until(partial(primary.ask, waiting.format(end)), 20, "the commit to wait for the replica")
                assert isinstance(answer(), StoreFailed)
                assert "replica" in answer().message or "may have written" in answer().message
                primary.ask(waiting.format("pg_cancel_backend"))
            monkeypatch.setattr(f"{writing}.COMMIT_SECONDS", 1.0)
            assert isinstance(in_thread(lambda: send(node, 3))(), StoreFailed | StoreBusy | StoreLost)
            replica.start()

            def is_taken() -> bool:
                return bool(in_thread(lambda: send(node, 3))() == "ready")

            monkeypatch.setattr(f"{writing}.COMMIT_SECONDS", 30.0)
            wait_until(is_taken, 30, "the replica to be waited for")
            assert len(node.pool()) == 4


def in_thread(act: Any) -> Any:
    """Begin it; what is given back waits for its answer, or for what it raised."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(act())
        except Exception as error:
            got.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def answer() -> Any:
        thread.join(60)
        return got[0]

    return answer


# Passwords


@pytest.fixture(scope="module")
def guarded() -> Any:
    """A server that wants a password of the role `secret`."""
    with postgres_server() as started:
        started.ask(f"CREATE ROLE secret LOGIN PASSWORD '{SECRET}'")
        (started.data / "pg_hba.conf").write_text(
            "host all secret all scram-sha-256\nlocal all all trust\nhost all all all trust\n"
        )
        started.configure(log_connections="on")
        yield started


def test_a_password_of_odd_letters_opens_the_database_and_is_shown_nowhere(
    guarded: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = new_database(guarded)
    guarded.ask(f"ALTER DATABASE {database} OWNER TO secret")
    address = f"postgresql://secret:{quote(SECRET, safe='')}@127.0.0.1:{guarded.port}/{database}"
    said: list[str] = []
    with Node(tmp_path / "node", COIN, database_url=address) as node:
        assert send(node, 0) == "ready"
        said += [repr(node.config), str(node.config), node.store.backend.shown, repr(vars(node.store)["coin"])]
        guarded.kill()
        for act in (node.dump, node.store.data_version, lambda: send(node, 1)):
            try:
                act()
            except StoreLost as lost:
                said += [lost.message, "".join(traceback.format_exception(lost))]
        said.append(refusal(address, tmp_path / "other"))
        guarded.start()
    said.append(
        refusal(address.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1").replace(f":{guarded.port}", ":1"), tmp_path)
    )
    wrong = refusal(address.replace("@", "x@"), tmp_path / "wrong")
    assert "does not take this user, or this password" in wrong
    said.append(wrong)
    said.append(refusal(address.replace(f"/{database}", "/nowhere"), tmp_path / "nowhere"))
    said += [path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    said += [record.getMessage() for record in caplog.records]
    for text in said:
        assert SECRET not in text
        assert quote(SECRET, safe="") not in text


@pytest.mark.parametrize("password", ODD)
def test_no_part_of_a_password_that_was_not_written_for_a_url_is_shown(tmp_path: Path, password: str) -> None:
    from moneyer.node.store.backends.postgres.pg_address import shown

    for address in (
        f"postgresql://user:{password}@127.0.0.1:1/beach",
        f"postgresql://user:{password}@/beach?host=/nowhere",
        f"postgres:user:{password}@127.0.0.1/beach",
        f"host=127.0.0.1 port=1 user=user password={password} dbname=beach",
        f"postgresql://user@127.0.0.1:1/beach?password={password}",
    ):
        for text in (shown(address), refusal(address, tmp_path)):
            assert "ss" not in text.replace("password", "").replace("address", "").replace("postgres", "").replace(
                "passed", ""
            ), text


def test_what_is_shown_names_user_hosts_ports_and_database() -> None:
    from moneyer.node.store.backends.postgres.pg_address import shown

    assert shown("postgresql://me:x@one:1,two:2/beach?sslpassword=x") == "postgresql://me@one:1,two:2/beach"
    assert shown("postgres://db.example/beach") == "postgresql://db.example/beach"
    assert shown("postgresql:///beach?host=/run/postgresql") == "postgresql:///run/postgresql/beach"
