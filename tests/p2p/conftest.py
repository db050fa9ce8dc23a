"""Real nodes' stores and real, small HTTP peers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.p2p.sync.sync import Sync
from moneyer.node.p2p.table.peer_table import PeerTable
from moneyer.node.store import blocks
from moneyer.node.store.blocks import BlockRow
from moneyer.node.store.engine import Store
from moneyer.node.store.peers import PeerRow
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.net.peers import PeerServer, Route

NOW = 1_900_000_000
DEADLINE = 20.0
"""Total seconds of a request to a peer; fewer where a test has one that is silent or drips."""


@dataclass(frozen=True)
class Node:
    store: Store
    chain: Chain
    peers: PeerTable
    sync: Sync

    def take(self, builder: ChainBuilder, start: int = 1) -> None:
        """Accept a builder's blocks from a height on."""
        for raw in builder.raw[start - 1 :]:
            self.chain.accept_block(raw, NOW)

    @property
    def tip(self) -> BlockRow:
        with self.store.read() as conn:
            return blocks.tip(conn)

    def row(self, block_hash: bytes) -> BlockRow | None:
        with self.store.read() as conn:
            return blocks.by_hash(conn, block_hash)

    def peer(self, url: str) -> PeerRow:
        return next(row for row in self.peers.listed() if row.url == url)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


Serve = Callable[..., PeerServer]
"""`serve(routes, host=…)`: an address of loopback."""
MakeNode = Callable[..., Node]
"""`make_node(coin, deadline=…)`: seconds that a peer has to answer."""


@pytest.fixture(scope="module")
def chain() -> ChainBuilder:
    """Twelve blocks for a peer to have."""
    builder = ChainBuilder(easy_coin())
    builder.grow(12)
    return builder


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start peers; they end with the test."""
    servers: list[PeerServer] = []

    def start(routes: dict[str, Route], host: str = "127.0.0.1") -> PeerServer:
        servers.append(PeerServer(routes, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    """Open nodes on folders of their own; they are closed with the test."""
    nodes: list[Node] = []

    def make(coin: Coin, deadline: float = DEADLINE) -> Node:
        config = Config(data=tmp_path / f"node{len(nodes)}")
        store = Store.open(config, coin)
        chain = Chain(store)
        peers = PeerTable(store, config, deadline=deadline)
        nodes.append(Node(store, chain, peers, Sync(chain, peers)))
        return nodes[-1]

    yield make
    for node in nodes:
        node.peers.close()
        node.store.close()
