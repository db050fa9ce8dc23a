"""Who is in each other's way on a server: processes that begin at once, strangers with locks, retries that end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from moneyer.node.store import meta
from moneyer.node.store.errors import StoreBusy, StoreConflict
from tests.chain.children import accept_when_told
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.databases import within
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.postgres.own import name, new_database, server, url
from tests.kit.postgres.shared import Databases
from tests.kit.system.processes import Child, children
from tests.kit.waiting import wait_until
from tests.store.children import open_at_when_told

__all__ = ["name", "server", "url"]

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])
MINE = "SELECT pg_advisory_xact_lock(x'4d4f4e45'::int, 1)"
"""As whoever writes takes the right to write."""


@pytest.fixture
def node(url: str, tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path / "node", COIN, database_url=url, busy_seconds=0.5) as opened:
        yield opened


def send(node: Node, number: int) -> str:
    return node.mempool.accept_transfer(transfer(COIN, ALICE, BOB, 5, 1, number)).status


@pytest.mark.parametrize("round_", range(5))
def test_processes_that_begin_a_chain_at_once_begin_one(
    server: PostgresServer, url: str, name: str, tmp_path: Path, round_: int
) -> None:
    """Schema and genesis once, on machines that know nothing of each other."""
    count = 4
    with children(*(Child(open_at_when_told, tmp_path / f"{i}", COIN, url) for i in range(count))) as all_of_them:
        assert [child.hear(60) for child in all_of_them] == ["ready"] * count
        for child in all_of_them:
            child.tell("open")
        answers = {child.hear(60) for child in all_of_them}
    assert len(answers) == 1, answers
    ((chain_id, _),) = answers
    assert chain_id == COIN.chain_id
    assert server.ask("SELECT count(*) FROM blocks", database=name) == [(1,)]


def test_two_coins_that_begin_in_one_database_at_once_are_one_chain_and_a_refusal(url: str, tmp_path: Path) -> None:
    coins = [COIN, easy_coin(symbol="OTHER", name="Other Coin")]
    with children(*(Child(open_at_when_told, tmp_path / coin.symbol, coin, url) for coin in coins)) as both:
        assert [child.hear(60) for child in both] == ["ready", "ready"]
        for child in both:
            child.tell("open")
        answers = [child.hear(60) for child in both]
    opened = [answer for answer in answers if isinstance(answer, tuple)]
    (refused,) = [answer for answer in answers if isinstance(answer, str)]
    assert len(opened) == 1
    assert "another coin's chain" in refused


@contextmanager
def held(server: PostgresServer, name: str, *statements: str) -> Iterator[Any]:
    """A stranger's transaction that has done this, and stands still."""
    with server.connect(name) as stranger:
        stranger.execute("BEGIN")
        for statement in statements:
            stranger.execute(statement.encode())
        yield stranger
        stranger.execute("ROLLBACK")


@pytest.mark.parametrize("what", [MINE, "LOCK TABLE mempool", "UPDATE meta SET value = value WHERE key = 'changes'"])
def test_a_lock_that_a_stranger_holds_for_long_makes_writers_busy_and_leaves_readers_alone(
    server: PostgresServer, node: Node, name: str, what: str
) -> None:
    send(node, 0)
    with held(server, name, what):
        with pytest.raises(StoreBusy, match="try again"):
            send(node, 1)
        assert node.height == 0
    assert send(node, 1) == "ready"


def test_the_right_to_write_is_each_databases_own(server: PostgresServer, node: Node) -> None:
    with held(server, new_database(server), MINE):
        assert send(node, 0) == "ready"


def test_a_deadlock_with_a_stranger_is_tried_again(server: PostgresServer, node: Node, name: str) -> None:
    """PostgreSQL ends the one that waited first, here the node: its whole group is written anew."""
    server.ask("INSERT INTO meta VALUES ('one', ''), ('two', '')", database=name)
    server.ask(f"ALTER DATABASE {name} SET deadlock_timeout = '50ms'")
    tries = 0
    with held(
        server, name, "SET LOCAL deadlock_timeout = '60s'", "UPDATE meta SET value = 'x' WHERE key = 'two'"
    ) as it:
        theirs = threading.Thread(target=lambda: it.execute("UPDATE meta SET value = 'x' WHERE key = 'one'"))
        has_begun = threading.Event()

        def job(conn: Any) -> int:
            nonlocal tries
            tries += 1
            conn.execute(text("UPDATE meta SET value = 'y' WHERE key = 'one'"))
            if tries == 1:
                theirs.start()
                has_begun.set()
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
                wait_until(lambda: server.ask(waiting) == [(1,)], 10, "the stranger to wait for us")
                conn.execute(text("UPDATE meta SET value = 'y' WHERE key = 'two'"))
            return tries

        with Node(node.config.data.parent / "patient", COIN, database_url=node.config.database_url) as patient:
            future = patient.store.submit(job)
            assert has_begun.wait(30)
            theirs.join(30)
            assert not theirs.is_alive(), "the node did not give way"
            it.execute("COMMIT")
            assert future.result(30) >= 2
            it.execute("BEGIN")
    with node.store.read() as conn:
        assert meta.get(conn, "one") == b"y"
        assert meta.get(conn, "two") == b"x"


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_conflict_that_stays_is_given_up_as_busy(node: Node, state: str) -> None:
    tries = 0

    def job(conn: Any) -> None:
        nonlocal tries
        tries += 1
        meta.put(conn, "half", b"written")
        conn.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '{state}'; END $$"))

    for clean in (False, True):
        tries = 0
        with pytest.raises(StoreConflict, match="try again") as failed:
            node.store.write(job, clean=clean)
        assert failed.value.code == "busy"
        assert 2 <= tries <= 5
    with node.store.read() as conn:
        assert meta.get(conn, "half") is None
    assert send(node, 0) == "ready"


def test_machines_that_write_at_once_write_one_after_the_other(server: PostgresServer, tmp_path: Path) -> None:
    """Each block is one that another process has just built upon."""
    chain, folder = ChainBuilder(COIN), tmp_path / "shared"
    with (
        within(Databases(server.url(), "races_")),
        Node(folder, COIN) as node,
        children(*(Child(accept_when_told, folder, COIN) for _ in range(3))) as some,
    ):
        assert [child.hear(60) for child in some] == ["ready"] * 3
        for _ in range(10):
            chain.add()
            for child in some:
                child.tell(chain.raw[-1])
            assert sorted(child.hear(60) for child in some) == ["already_known", "already_known", "extended"]
        assert node.height == 10
