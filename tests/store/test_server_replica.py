"""Reads from a replica: as new as all that the process has seen, or else of the primary; what is none is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from moneyer.node.api.parts.answers import KeptAnswers, Rendered
from moneyer.node.chain.verify import verify_chain
from moneyer.node.store import blocks, meta
from moneyer.node.store.errors import StoreRefused, StoreUnavailable
from moneyer.node.store.tables import blocks as block_table
from moneyer.node.store.tables import mempool as mempool_table
from moneyer.node.store.unconfirmed import entries
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import Node
from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.own import name, new_database, server, url
from tests.kit.waiting import wait_until

__all__ = ["name", "server", "url"]

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])


@pytest.fixture(scope="module")
def followed(server: PostgresServer) -> Iterator[PostgresServer]:
    """A replica of the server that the tests of this file leave following."""
    with server.replica() as replica:
        yield replica


@pytest.fixture
def writer(url: str, tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path / "writer", COIN, database_url=url) as node:
        yield node


@pytest.fixture
def open_reader(
    server: PostgresServer, followed: PostgresServer, writer: Node, url: str, name: str, tmp_path: Path
) -> Iterator[Callable[[], Node]]:
    opened: list[Node] = []

    def open_one() -> Node:
        followed.wait_for_replay(server)
        folder = tmp_path / f"reader{len(opened)}"
        opened.append(Node(folder, COIN, database_url=url, read_database_url=followed.url(name)))
        return opened[-1]

    yield open_one
    followed.let_replay()  # of a test that failed while it was held
    for node in opened:
        node.close()


def send(node: Node, number: int) -> str:
    return node.mempool.accept_transfer(transfer(COIN, ALICE, BOB, 5, 1, number)).status


def is_of_replica(node: Node) -> bool:
    with node.store.read() as conn:
        return bool(conn.execute(text("SELECT pg_is_in_recovery()")).scalar())


def from_replica(node: Node) -> None:
    """Wait until its reads come from the replica, which has caught up and is back."""
    wait_until(lambda: is_of_replica(node), 30, "reads from the replica")


def test_reads_come_from_the_replica_and_what_was_just_written_from_the_primary(
    open_reader: Callable[[], Node], followed: PostgresServer, server: PostgresServer
) -> None:
    node = open_reader()
    from_replica(node)
    followed.hold_replay()
    try:
        assert send(node, 0) == "ready"
        assert len(node.pool()) == 1
        assert not is_of_replica(node)
    finally:
        followed.let_replay()
    followed.wait_for_replay(server)
    from_replica(node)
    assert len(node.pool()) == 1


def test_a_reader_never_goes_back_behind_what_it_was_told_of(
    open_reader: Callable[[], Node], followed: PostgresServer, writer: Node
) -> None:
    """Another process's commit: once the version of behind it was given out, every snapshot has it."""
    node = open_reader()
    from_replica(node)
    followed.hold_replay()
    try:
        send(writer, 0)
        assert node.pool() == {}  # older, and nothing newer was seen yet
        version = node.store.data_version()
        assert len(node.pool()) == 1
        assert version == writer.store.data_version()
    finally:
        followed.let_replay()


def test_while_a_replica_lags_no_answer_is_torn(
    open_reader: Callable[[], Node], followed: PostgresServer, server: PostgresServer, writer: Node
) -> None:
    """Each snapshot is of one instant, whether the replica stands still, goes on, or stands still again."""
    node, chain = open_reader(), ChainBuilder(COIN)
    heights = [0]
    for number in range(6):
        (followed.hold_replay if number % 2 == 0 else followed.let_replay)()
        sent = chain.transfer(ALICE, BOB, 5, 1)
        writer.mempool.accept_transfer(sent)
        writer.offer(chain.add([sent]))
        if number % 3:
            node.store.data_version()
        for _ in range(5):
            with node.store.read() as conn:
                tip = blocks.tip(conn)
                rows = conn.execute(select(block_table.c.height).where(block_table.c.main_chain)).all()
                pool = conn.execute(select(mempool_table.c.txid)).all()
                total = entries.totals(conn)
            assert sorted(height for (height,) in rows) == list(range(tip.height + 1))
            assert total[0] == len(pool)
            assert tip.height >= heights[-1]
            heights.append(tip.height)
        if number % 3:
            assert heights[-1] == number + 1
    followed.let_replay()
    followed.wait_for_replay(server)
    from_replica(node)
    assert node.dump() == writer.dump()
    verify_chain(node.store)


def test_a_kept_answer_is_never_older_than_the_version_it_is_kept_under(
    open_reader: Callable[[], Node], followed: PostgresServer, writer: Node
) -> None:
    node = open_reader()
    from_replica(node)
    answers = KeptAnswers(node.store)
    followed.hold_replay()
    try:
        for number in range(3):
            send(writer, number)
            version = answers.version()
            assert answers.find("/pool", version) is None
            answers.keep("/pool", version, Rendered(str(len(node.pool())).encode()))
            found = answers.find("/pool", version)
            assert found is not None
            assert found.content == str(number + 1).encode()
    finally:
        followed.let_replay()


def test_a_replica_that_is_away_is_done_without_and_read_again(
    open_reader: Callable[[], Node], followed: PostgresServer, writer: Node
) -> None:
    node = open_reader()
    from_replica(node)
    for end, back in (
        (followed.stop, followed.start),
        (followed.kill, followed.start),
        (followed.pause, followed.resume),
    ):
        end()
        try:
            assert node.height == writer.height
            assert not is_of_replica(node)
            assert writer.offer(ChainBuilder(COIN).add()).status in ("extended", "already_known")
        finally:
            back()
        from_replica(node)


def test_a_node_starts_without_its_replica(
    followed: PostgresServer, url: str, name: str, writer: Node, tmp_path: Path
) -> None:
    followed.stop()
    try:
        with Node(tmp_path / "reader", COIN, database_url=url, read_database_url=followed.url(name)) as node:
            assert node.height == 0
    finally:
        followed.start()


def test_a_replica_that_has_not_seen_the_schema_yet_is_waited_for(
    server: PostgresServer, followed: PostgresServer, tmp_path: Path
) -> None:
    fresh = new_database(server)
    followed.wait_for_replay(server)
    followed.hold_replay()
    try:
        node = Node(tmp_path / "new", COIN, database_url=server.url(fresh), read_database_url=followed.url(fresh))
        assert node.height == 0
        assert send(node, 0) == "ready"
        assert len(node.pool()) == 1
    finally:
        followed.let_replay()
    from_replica(node)
    node.close()


def test_a_replica_that_cancels_a_long_read_costs_one_answer(
    open_reader: Callable[[], Node], followed: PostgresServer, server: PostgresServer, writer: Node, name: str
) -> None:
    """What is replayed takes rows away that the snapshot still needs: 40001, as 503; the next read is fine."""
    node = open_reader()
    from_replica(node)

    def read() -> None:
        with node.store.read() as conn:
            blocks.tip(conn)
            server.ask("DELETE FROM meta WHERE key = 'padding'", database=name)
            server.ask("INSERT INTO meta VALUES ('padding', '')", database=name)
            server.ask("DELETE FROM meta WHERE key = 'padding'", database=name)
            server.ask("VACUUM (FREEZE) meta", database=name)
            server.ask("VACUUM (FULL) meta", database=name)
            followed.wait_for_replay(server)
            for _ in range(3):
                meta.get(conn, "chain_id")

    followed.configure(max_standby_streaming_delay="0")
    try:
        with pytest.raises(StoreUnavailable, match="try again"):
            read()
    finally:  # else what the primary tidies up would cancel reads of the tests behind this one
        followed.configure(max_standby_streaming_delay="30s")
    assert node.height == 0
    # A long read is the primary's.
    with node.store.read_long() as conn:
        assert conn.execute(text("SELECT pg_is_in_recovery()")).scalar() is False


def test_another_database_is_no_replica(
    server: PostgresServer, followed: PostgresServer, url: str, name: str, writer: Node, tmp_path: Path
) -> None:
    other = new_database(server)
    followed.wait_for_replay(server)
    with postgres_server() as stranger:
        for wrong in (stranger.url(), followed.url(other), server.url(other)):
            with pytest.raises(StoreRefused, match="is no replica of"):
                Node(tmp_path / "node", COIN, database_url=url, read_database_url=wrong)


def test_a_replica_that_was_promoted_is_read_no_more(server: PostgresServer, url: str, name: str, writer: Node) -> None:
    with server.replica("promoted") as replica:
        replica.wait_for_replay(server)
        folder = writer.config.data.parent / "reader"
        with Node(folder, COIN, database_url=url, read_database_url=replica.url(name)) as node:
            from_replica(node)
            replica.promote()
            # It goes a way of its own now, with a counter that looks newer.
            replica.ask("UPDATE meta SET value = '\\x00000000000000ff' WHERE key = 'changes'", database=name)
            replica.ask("DELETE FROM meta WHERE key = 'node_id'", database=name)
            for _ in range(3):
                assert not is_of_replica(node)
                send(writer, len(writer.pool()))
                node.store.data_version()
                assert node.pool() == writer.pool()
        with Node(folder, COIN, database_url=url, read_database_url=replica.url(name)) as node:
            assert not is_of_replica(node)
            assert node.dump() == writer.dump()
    server.drop_slot("promoted")


def test_a_plain_role_may_read_a_replica(
    server: PostgresServer, followed: PostgresServer, name: str, tmp_path: Path
) -> None:
    server.ask("CREATE ROLE reader LOGIN")
    server.ask(f"ALTER DATABASE {name} OWNER TO reader")
    followed.wait_for_replay(server)
    primary, replica = (each.url(name).replace("moneyer@", "reader@") for each in (server, followed))
    with Node(tmp_path / "plain", COIN, database_url=primary, read_database_url=replica) as node:
        send(node, 0)
        from_replica(node)
        assert len(node.pool()) == 1


def test_what_was_kept_by_a_counter_that_has_gone_back_is_kept_no_longer(tmp_path: Path) -> None:
    """A replica that lagged was promoted. The same number is then of other rows."""
    with postgres_server() as primary, primary.replica() as replica:
        database = new_database(primary)
        replica.wait_for_replay(primary)
        both = f"postgresql://moneyer@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{database}"
        with Node(tmp_path / "node", COIN, database_url=both) as node:
            send(node, 0)
            replica.wait_for_replay(primary)
            replica.stop()
            answers = KeptAnswers(node.store)
            send(node, 1)
            version = answers.version()
            answers.keep("/pool", version, Rendered(str(sorted(node.pool())).encode()))
            primary.kill()
            replica.start()
            replica.promote()
            assert len(node.pool()) == 1
            other = transfer(COIN, ALICE, BOB, 6, 1, 1)
            assert node.mempool.accept_transfer(other).status == "ready"
            counters = "SELECT value FROM meta WHERE key = 'changes'"
            (counter,) = replica.ask(counters, database=database)[0]
            assert int.from_bytes(counter) == version  # the first connection's is the counter itself
            assert answers.find("/pool", answers.version()) is None
