"""A running node whose disk fails, or is full: it answers 503, nothing is half written, and all is well afterwards."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.store.backends.sqlite.driver import driver
from tests.kit.chains import transfer
from tests.kit.nodes import Node
from tests.kit.running import ALICE, BOB, Answer, RunningNode, rich_coin, running
from tests.kit.system.disks import filled, small_disk  # noqa: F401 - a fixture
from tests.kit.system.process_tree import children_of

COIN = rich_coin()
Trouble = Callable[[RunningNode], AbstractContextManager[None]]


@contextmanager
def failing_disk(node: RunningNode) -> Iterator[None]:
    """Every write of the node's processes gets an error of the system, and not the one of a full disk."""
    pids = (node.process.pid, *children_of(node.process.pid))

    def limit(size: int) -> None:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    limit(0)
    yield
    limit(resource.RLIM_INFINITY)


def full_disk(node: RunningNode) -> AbstractContextManager[None]:
    return filled(node.config.data)


def send(node: RunningNode, sequence: int) -> Answer:
    raw = codec.encode_transaction(transfer(COIN, ALICE, BOB, 5, 1, sequence))
    return node.post("/v1/transactions", {"raw": raw.hex()})


def is_not_now(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "storage_failed"), answer.body
    assert int(answer.headers["retry-after"]) >= 1
    assert "see that the disk has room" in answer.json["error"]["message"]


def live_through(data: Path, trouble: Trouble) -> None:
    with running(data, COIN) as node:
        node.extend(transfers=[transfer(COIN, BOB, ALICE, 7)])
        sequence = 0
        with trouble(node):
            # SQLite has some room of its own: what still fits is taken, and is there afterwards.
            while (answer := send(node, sequence)).status == 201:
                sequence += 1
                assert sequence < 5_000
            is_not_now(answer)
            raw, before = codec.encode_block(node.chain.next_block()), node.state()
            for _ in range(3):
                is_not_now(send(node, sequence))
                is_not_now(node.push(raw))
                assert node.get("/healthz").status == 200
            assert node.state() == before
        assert node.state() == before
        assert send(node, sequence).status == 201
        assert node.push(raw).json["status"] == "extended"
        expected = node.state()
        assert node.get("/v1/mempool").json["count"] == sequence + 1
    with running(data, COIN) as node:
        assert node.state() == expected
    connection = driver.connect(str(data / "chain.db"))
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    opened = Node(data, COIN)
    assert verify_chain(opened.store).height == 2
    opened.store.close()


def test_while_the_disk_fails_the_node_says_not_now_and_goes_on_when_it_works(tmp_path: Path) -> None:
    live_through(tmp_path / "node", failing_disk)


def test_while_the_disk_is_full_the_node_says_not_now_and_goes_on_when_there_is_room(small_disk: Path) -> None:  # noqa: F811
    live_through(small_disk / "node", full_disk)
