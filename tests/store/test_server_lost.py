"""A server that is restarted, killed, stopped or ends connections: 503 within bounds, nothing half, then well again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from moneyer.node.chain.verify import verify_chain
from moneyer.node.store import meta
from moneyer.node.store.backends.statements import execute
from moneyer.node.store.errors import StoreBusy, StoreFailed, StoreLost
from moneyer.node.store.tables import meta as meta_table
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.postgres.own import name, server, url
from tests.kit.system.processes import Child, children
from tests.kit.waiting import wait_until
from tests.store.children import write_half_and_stay

__all__ = ["name", "server", "url"]

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])


@pytest.fixture
def node(url: str, tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path / "node", COIN, database_url=url) as opened:
        yield opened


def send(node: Node, number: int) -> str:
    return node.mempool.accept_transfer(transfer(COIN, ALICE, BOB, 5, 1, number)).status


def well_again(act: Callable[[], Any]) -> Any:
    """The first answer, of a node that may say for a while that it has lost its database.

    Or that it is busy: a session of its own that was given up may have the right to write until the server finds out.
    """

    def tried() -> Any:
        with suppress(StoreLost, StoreBusy):
            return act()
        return None

    return wait_until(tried, 30, "the node to be well again by itself")


@pytest.mark.parametrize("how", ["stopped", "killed", "connections ended"])
def test_a_server_that_was_restarted_between_two_requests_is_not_noticed(
    server: PostgresServer, node: Node, name: str, how: str
) -> None:
    assert send(node, 0) == "ready"
    before, version = node.dump(), node.store.data_version()
    if how == "connections ended":
        assert server.terminate_backends(name) >= 3
    else:
        server.stop() if how == "stopped" else server.kill()
        server.start()
    assert node.dump() == before
    assert node.store.data_version() != version, "it may be another server"
    assert node.store.data_version() == node.store.data_version()
    assert send(node, 1) == "ready"
    assert node.offer(ChainBuilder(COIN).add()).status == "extended"


def test_without_its_server_a_node_says_so_at_once_and_is_well_again_by_itself(
    server: PostgresServer, node: Node
) -> None:
    send(node, 0)
    before = node.dump()
    server.kill()
    for _ in range(3):
        for act in (node.dump, node.store.data_version, lambda: send(node, 1)):
            with pytest.raises(StoreLost, match="try again"):
                act()
    server.start()
    assert well_again(node.dump) == before
    assert well_again(lambda: send(node, 1)) == "ready"


def test_who_waits_for_a_change_hears_of_one_behind_a_restart(server: PostgresServer, node: Node, url: str) -> None:
    seen = node.store.data_version()
    server.restart()
    heard: list[int] = []
    waiting = threading.Thread(target=lambda: heard.append(node.store.wait_for_change(seen, 60)), daemon=True)
    waiting.start()
    with Node(node.config.data.parent / "other", COIN, database_url=url) as other:
        send(other, 0)
    waiting.join(30)
    assert heard
    assert heard != [seen]


def test_a_read_whose_connection_ends_in_its_middle_fails_as_a_whole(
    server: PostgresServer, node: Node, name: str
) -> None:
    def read() -> None:
        with node.store.read() as conn:
            meta.get(conn, "chain_id")
            server.terminate_backends(name)
            meta.get(conn, "chain_id")

    with pytest.raises(StoreLost):
        read()
    assert node.height == 0


def test_a_write_whose_connection_ends_in_its_middle_leaves_nothing(
    server: PostgresServer, node: Node, name: str
) -> None:
    def job(conn: Any) -> None:
        meta.put(conn, "half", b"written")
        server.terminate_backends(name)
        meta.put(conn, "other half", b"written")

    for clean in (False, True):
        with pytest.raises(StoreLost):
            node.store.write(job, clean=clean)
        with pytest.raises(StoreLost):
            node.store.submit(job, alone=True).result(30)
    with node.store.read() as conn:
        assert meta.get(conn, "half") is None
        assert meta.get(conn, "other half") is None
    assert send(node, 0) == "ready"


def test_a_backend_that_is_killed_takes_the_server_through_a_recovery(
    server: PostgresServer, node: Node, name: str
) -> None:
    chain = ChainBuilder(COIN)
    assert node.offer(chain.add()).status == "extended"
    before = node.dump()
    server.kill_backend(server.backends(name)[0])
    assert well_again(node.dump) == before
    block = chain.add()  # the same at each try
    assert well_again(lambda: node.offer(block).status) == "extended"
    verify_chain(node.store)


def test_a_server_that_says_nothing_is_given_up_and_heard_again(
    server: PostgresServer, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose machine hangs: it keeps the connections that it has, and takes new ones."""
    backend = "moneyer.node.store.backends.postgres"
    send(node, 0)
    before = node.dump()
    hurry = f"{node.config.database_url}?connect_timeout=2"
    with Node(node.config.data.parent / "hasty", COIN, database_url=hurry, busy_seconds=1) as hasty:
        hasty.dump()
        send(hasty, 1)
        server.pause()
        try:
            with monkeypatch.context() as hurried:  # a server that is only busy may take longer
                hurried.setattr(f"{backend}.pg_connection.ServerConnection.answer_seconds", 1.0)
                hurried.setattr(f"{backend}.pg_writing._BEGIN_SECONDS", 1.0)
                for act in (hasty.dump, hasty.store.data_version, lambda: send(hasty, 2), lambda: hasty.height):
                    with pytest.raises(StoreLost):
                        act()
        finally:
            server.resume()
        assert well_again(lambda: send(hasty, 2)) == "ready"
        assert well_again(lambda: len(hasty.pool())) == 3
    assert len(node.pool()) == 3 != len(before["mempool"])


@pytest.mark.parametrize("way", ["cursor", "libpq"])
def test_statements_of_either_way_are_given_up(
    server: PostgresServer, node: Node, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """SQLAlchemy's go by psycopg's cursors, the others by libpq itself."""
    monkeypatch.setattr("moneyer.node.store.backends.postgres.pg_connection.ServerConnection.answer_seconds", 1.0)

    def read() -> None:
        with node.store.read() as conn:
            meta.get(conn, "chain_id")
            server.pause()
            try:
                if way == "cursor":
                    conn.execute(select(meta_table))
                else:
                    execute(conn, "SELECT key FROM meta WHERE key <> %s", ("x",))
            finally:
                server.resume()

    with pytest.raises(StoreLost):
        read()


def test_a_node_closes_soon_while_its_server_says_nothing(server: PostgresServer, node: Node) -> None:
    send(node, 0)
    node.dump()
    closing = threading.Thread(target=node.store.close, daemon=True)
    server.pause()
    try:
        closing.start()
        closing.join(20)
        assert not closing.is_alive()
    finally:
        server.resume()


def test_a_writer_that_was_stopped_in_mid_transaction_is_passed_over_and_finds_out(
    server: PostgresServer, url: str, tmp_path: Path
) -> None:
    """As on a machine that hangs. The server ends its transaction; here behind one second in place of thirty."""
    with Node(tmp_path / "node", COIN, database_url=url, busy_seconds=0.2) as node:
        with children(Child(write_half_and_stay, tmp_path / "stopped", COIN, url)) as (child,):
            assert child.hear() == "30s"
            with pytest.raises(StoreBusy, match="another process"):
                send(node, 0)
            assert node.height == 0
            assert child.ask("shorten it") == "1s"
            child.signal(signal.SIGSTOP)

            def taken() -> str | None:
                with suppress(StoreBusy):
                    return send(node, 0)
                return None

            assert wait_until(taken, 30, "the server to end the transaction") == "ready"
            child.signal(signal.SIGCONT)
            child.tell("go on")
            assert child.hear() == "unavailable"
            assert child.ask("again") == "written"
        with node.store.read() as conn:
            assert meta.get(conn, "half") is None
            assert meta.get(conn, "whole") == b"written"


def test_a_server_that_takes_no_more_connections_is_busy(
    server: PostgresServer, node: Node, name: str, tmp_path: Path
) -> None:
    """It counts those of a role that is no superuser."""
    server.ask("CREATE ROLE plain LOGIN")
    for what in ("TABLES", "SEQUENCES"):
        server.ask(f"GRANT ALL ON ALL {what} IN SCHEMA public TO plain", database=name)
    with Node(tmp_path / "plain", COIN, database_url=server.url(name).replace("moneyer@", "plain@")) as plain:
        server.ask("ALTER ROLE plain CONNECTION LIMIT 1")

        def read_twice() -> None:
            with plain.store.read() as first, plain.store.read() as second:
                meta.get(first, "chain_id")
                meta.get(second, "chain_id")

        with pytest.raises(StoreBusy, match="no more connections"):
            read_twice()
        with pytest.raises(StoreBusy, match="no more connections"):
            send(plain, 0)
        server.ask("ALTER ROLE plain CONNECTION LIMIT 100")
        read_twice()
        assert send(plain, 0) == "ready"


def test_a_database_that_was_dropped_or_whose_rights_were_taken_is_no_damage(
    server: PostgresServer, node: Node, name: str
) -> None:
    node.dump()
    server.terminate_backends(name)
    server.ask(f"DROP DATABASE {name} WITH (FORCE)")
    for act in (node.dump, lambda: send(node, 0)):
        with pytest.raises(StoreFailed, match="no database of that name"):
            act()


def test_a_primary_that_comes_back_as_a_replica_is_read_and_not_written(server: PostgresServer, node: Node) -> None:
    """Whoever has promoted another one, and left the URL as it was."""
    assert send(node, 0) == "ready"
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    try:
        assert len(node.pool()) == 1
        with pytest.raises(StoreFailed, match="it can be read only"):
            send(node, 1)
    finally:
        server.stop()
        (server.data / "standby.signal").unlink()
        server.start()
    assert send(node, 1) == "ready"
