"""A node that goes back to a snapshot is what it was then: in every answer, on disk, and for what comes afterwards.

On SQLite alone: a snapshot is of files, of the nodes of an experiment.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from moneyer.node.api.app import build_app
from moneyer.node.chain.outcomes import Orphan
from moneyer.node.chain.verify import verify_chain
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.service import Node as Service
from moneyer.node.store.errors import StoreRefused
from moneyer.node.store.snapshots.take import take
from tests.chain.model import Place
from tests.chain.test_random_operations import COINS, PEOPLE, Run
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.nodes import NOW, Node, place_coin

COIN = COINS[2]

ROUNDS = 10
OPERATIONS = 15
"""In a round, between two looks at whether the node is what it was."""
PAGES = ("/v1/status", "/v1/blocks", "/v1/tips", "/v1/mempool", "/p2p/mempool", "/v1/tree", "/get_chain", "/v1/peers")


class Whole(Node):
    """All parts of a node, in the shape that `Run` takes."""

    def __init__(self, data: Path) -> None:
        place_coin(data, COIN)
        self.config = Config(data, development=True, min_fee=0, mempool_bytes=8_000, lab=True)
        self.coin = COIN
        self.service = Service.open(self.config)
        self.store, self.chain, self.mempool = self.service.store, self.service.chain, self.service.mempool
        self.app = build_app(self.service)

    def close(self) -> None:
        self.service.close()

    def answers(self) -> dict[str, bytes]:
        """What the node says, in the very bytes."""
        accounts = [
            f"/v1/accounts/{COIN.address(each.payload)}{rest}" for each in PEOPLE for rest in ("", "/transactions")
        ]
        return {path: self.ask("GET", path) for path in (*PAGES, *accounts)}

    def ask(self, method: str, path: str, status: str = "200 OK") -> bytes:
        said: list[str] = []
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1"}
        answer = b"".join(self.app.wsgi(environ, lambda line, headers: said.append(line)))
        assert said == [status], (path, answer)
        return answer


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Whole]:
    with Whole(tmp_path / "1") as node:
        yield node


def snap(node: Whole, name: str) -> Path:
    """Take a snapshot of the one node; its file."""
    folder = node.config.data.parent / "snapshots" / name
    take({"1": node.config.database}, folder)
    return folder / "1.db"


def test_whatever_happened_a_node_that_went_back_answers_as_it_did_and_goes_on(node: Whole) -> None:
    """Snapshots are taken and gone back to in any order, with reorgs, full pools and orphans in between."""
    run = Run(node, seed=13)
    kept: dict[str, tuple[Path, dict[str, bytes], Place, list[Place]]] = {}
    random = Random(31)
    orphan = ChainBuilder(COIN, "elsewhere")
    orphan.grow(2)
    for number in range(ROUNDS):
        for _ in range(OPERATIONS):
            random.choices((run.extend, run.fork, run.batch, run.mine_template, run.send), (20, 18, 8, 14, 30))[0]()
        run.look()
        if number % 3 == 0:
            name = f"s{number}"
            kept[name] = snap(node, name), node.answers(), run.model.tip, list(run.model.recent)
            continue
        assert isinstance(node.offer(orphan.raw[1]), Orphan)
        file, before, run.model.tip, recent = random.choice(list(kept.values()))
        run.model.recent = list(recent)
        node.service.go_back(file)
        assert len(node.chain.orphans) == 0
        assert node.answers() == before
        run.look()
        assert verify_chain(node.store).height == run.model.tip.height
    assert run.statuses["reorganized"] > 4


def test_a_snapshot_that_is_not_this_nodes_own_changes_nothing(node: Whole, tmp_path: Path) -> None:
    own = snap(node, "own")
    node.offer_all(ChainBuilder(COIN).grow(2))
    before = node.answers()
    with Whole(tmp_path / "2") as other:
        take({"1": other.config.database}, tmp_path / "snapshots" / "other")
    with pytest.raises(StoreRefused, match="another node"):
        node.service.go_back(tmp_path / "snapshots" / "other" / "1.db")
    torn = tmp_path / "torn.db"
    shutil.copyfile(own, torn)
    with torn.open("r+b") as file:
        file.truncate(own.stat().st_size // 2)
    with pytest.raises(StoreRefused, match="damaged"):
        node.service.go_back(torn)
    assert node.answers() == before


def test_who_follows_the_mempool_misses_nothing_after_it_went_back(node: Whole) -> None:
    """Arrival numbers go on, so a follower takes what comes for new, though the pool has gone back."""
    file = snap(node, "empty")
    first, second = (transfer(COIN, PEOPLE[0], PEOPLE[1], amount) for amount in (1, 2))
    node.mempool.accept_transfer(first)
    relay = node.service.gossip.relay
    relay.went_back()
    seen = relay.last_arrived
    node.service.go_back(file)
    assert node.pool() == {}
    node.mempool.accept_transfer(second)
    assert [codec.decode_spend(each.raw) for each in relay.in_pool_after(seen)] == [second]


def test_a_block_that_was_being_pushed_is_not_the_tip_any_more(node: Whole) -> None:
    chain = ChainBuilder(COIN)
    node.offer_all(chain.grow(1))
    file = snap(node, "one")
    node.offer_all(chain.grow(1))
    relay = node.service.gossip.relay
    assert relay.tip.block_hash == chain.tip_hash
    node.service.go_back(file)
    assert relay.tip.height == 1
    assert relay.raw_block(chain.tip_hash) is None
    assert node.chain.accept_block(chain.raw[1], NOW).status == "extended"
