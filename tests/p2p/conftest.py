"""Peers and nodes that end with the test, and a chain for a peer to have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moneyer.node.p2p.sync import bodies
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.net.peers import PeerServer, Route, Serve
from tests.kit.nodes import make_node, open_node

__all__ = ["make_node", "open_node"]


@pytest.fixture(scope="module")
def chain() -> ChainBuilder:
    """Twelve blocks for a peer to have."""
    builder = ChainBuilder(easy_coin())
    builder.grow(12)
    return builder


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block is asked of a second peer because the first is late: on a busy machine, any peer may be."""
    monkeypatch.setattr(bodies, "LATE_SECONDS", 600.0)


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
