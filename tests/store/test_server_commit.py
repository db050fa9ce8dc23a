"""A COMMIT whose answer is lost: whoever asked is told what is so, and where nobody can know, that nobody knows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.config import Config
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import Transfer
from moneyer.node.store import meta
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreFailed, StoreLost, StoreRefused, StoreUnavailable
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.proxy import Moment, Wire, wire_to
from tests.kit.postgres.shared import Databases
from tests.kit.waiting import wait_until

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        yield started


@pytest.fixture
def wire(server: PostgresServer) -> Iterator[Wire]:
    with wire_to(server) as laid:
        yield laid


@pytest.fixture
def name(server: PostgresServer) -> str:
    """Of a fresh database."""
    return Databases(server.url(), "commit_").fresh().rpartition("/")[2]


@pytest.fixture
def over_wire(wire: Wire, name: str, tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path / "wired", COIN, database_url=wire.url(name)) as node:
        yield node


@pytest.fixture
def direct(over_wire: Node, server: PostgresServer, name: str, tmp_path: Path) -> Iterator[Node]:
    """Another node of the same database, whose connections are whole."""
    with Node(tmp_path / "direct", COIN, database_url=server.url(name)) as node:
        yield node


def nth(number: int) -> Transfer:
    """Alice's transfers; the first one is number 0."""
    return transfer(COIN, ALICE, BOB, 5, 1, number)


def outcome(act: Callable[[], Any]) -> Any:
    try:
        return act().status
    except StoreUnavailable as error:
        return error


@pytest.mark.parametrize("others_commit", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lost_commit_is_looked_up_and_the_caller_hears_what_is_so(
    wire: Wire, over_wire: Node, direct: Node, moment: Moment, others_commit: bool
) -> None:
    """`others_commit`: another process commits before it is looked up, so that the counter alone tells nothing."""
    over_wire.mempool.accept_transfer(nth(0))
    wire.cut_at_commit(moment, (lambda: direct.store.write(_note)) if others_commit else lambda: None)
    heard = outcome(lambda: over_wire.mempool.accept_transfer(nth(1)))
    assert wire.was_cut.is_set()
    if moment == "after":
        assert heard == "ready"
        assert len(direct.pool()) == 2
    else:
        assert isinstance(heard, StoreLost)
        assert "before it had written this" in heard.message
        assert len(direct.pool()) == 1
        assert over_wire.mempool.accept_transfer(nth(1)).status == "ready"
    assert over_wire.dump() == direct.dump()


def _note(conn: Any) -> None:
    meta.replace(conn, "noted", b"by another")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_first_commit_of_a_process_is_looked_up_too(
    wire: Wire, over_wire: Node, name: str, tmp_path: Path, moment: Moment
) -> None:
    """It has no row of an earlier one."""
    with Node(tmp_path / "new", COIN, database_url=wire.url(name)) as new:
        wire.cut_at_commit(moment)
        heard = outcome(lambda: new.mempool.accept_transfer(nth(0)))
        assert heard == "ready" if moment == "after" else isinstance(heard, StoreLost)
        assert len(over_wire.pool()) == (moment == "after")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_start_that_loses_any_of_its_commits_is_refused_or_fine_and_the_next_one_is_fine(
    server: PostgresServer, wire: Wire, tmp_path: Path, moment: Moment
) -> None:
    """Schema, looks and genesis, of one new database after the other."""
    for number in count():
        url = wire.url(Databases(server.url(), "start_").fresh().rpartition("/")[2])
        config = Config(tmp_path / f"{number}", database_url=url)
        wire.cut_at_commit(moment, skip=number)
        with suppress(StoreRefused):
            Store.open(config, COIN).close()
        was_cut = wire.was_cut.is_set()
        wire.cut_at_commit(moment, skip=10**6)
        with Node(tmp_path / f"{number}", COIN, database_url=url) as node:
            assert node.offer(ChainBuilder(COIN).add()).status == "extended"
        if not was_cut:
            break
    assert number >= 4


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_that_is_down_for_a_while_behind_a_lost_commit_is_waited_for(
    server: PostgresServer, wire: Wire, over_wire: Node, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` at COMMIT, as a machine that loses its power."""
    # It is waited for as long as `start` may take on a busy machine.
    monkeypatch.setattr("moneyer.node.store.backends.postgres.pg_backend._LOOK_SECONDS", 60.0)
    wire.cut_at_commit(moment, server.kill)
    heard: list[Any] = []
    asking = threading.Thread(
        target=lambda: heard.append(outcome(lambda: over_wire.mempool.accept_transfer(nth(0)))), daemon=True
    )
    asking.start()
    assert wire.was_cut.wait(30)
    assert not heard, "it is looked up before anybody has an answer"
    server.start()
    asking.join(90)
    assert heard[0] == "ready" if moment == "after" else isinstance(heard[0], StoreLost)
    assert len(over_wire.pool()) == (moment == "after")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_that_stays_down_leaves_open_what_became_of_a_commit_and_that_is_said(
    server: PostgresServer, wire: Wire, over_wire: Node, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moneyer.node.store.backends.postgres.pg_backend._LOOK_SECONDS", 1.0)
    wire.cut_at_commit(moment, server.kill)
    heard = outcome(lambda: over_wire.mempool.accept_transfer(nth(0)))
    assert isinstance(heard, StoreFailed)
    assert "may have written it" in heard.message
    assert isinstance(outcome(lambda: over_wire.mempool.accept_transfer(nth(1))), StoreLost)
    server.start()
    # The same transfer once more: it is there, or is taken now.
    assert over_wire.mempool.accept_transfer(nth(0)).status == "ready"
    assert len(over_wire.pool()) == 1


def test_neighbours_in_one_commit_all_hear_what_became_of_it(wire: Wire, over_wire: Node) -> None:
    """One that a rule refuses hears that."""
    begun, gate = threading.Event(), threading.Event()

    def hold(_: Any) -> bool:
        begun.set()
        return gate.wait(30)

    ahead = over_wire.store.submit(hold)
    assert begun.wait(30)
    heard: dict[int, Any] = {}

    def ask(number: int) -> None:
        try:
            heard[number] = outcome(lambda: over_wire.mempool.accept_transfer(nth(number)))
        except RuleError as error:
            heard[number] = error

    numbers = [*range(5), 500]
    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in numbers]
    for thread in threads:
        thread.start()
    wait_until(lambda: over_wire.store._writer.waiting == len(numbers), 30, "all to stand in the queue")
    wire.cut_at_commit("after", skip=1)
    gate.set()
    assert ahead.result(30)
    for thread in threads:
        thread.join(30)
    assert wire.was_cut.is_set()
    assert isinstance(heard.pop(500), RuleError)
    assert set(heard.values()) <= {"ready", "waiting"}
    assert len(over_wire.pool()) == len(heard) == 5
