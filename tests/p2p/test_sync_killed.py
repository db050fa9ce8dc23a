"""A real node that is killed (SIGKILL) in the middle of a sync goes on from there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import ChainBuilder
from tests.kit.net.peers import BLOCKS, Gate, PeerServer, Serve, honest
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until

COIN = rich_coin()
STEP = 130


@pytest.fixture(scope="module")
def chain() -> ChainBuilder:
    builder = ChainBuilder(COIN)
    for i in range(400):
        builder.add([builder.transfer(ALICE, BOB, 1_000 + i, 1)] if i % 4 == 0 else [])
    return builder


@contextmanager
def asked_to_sync(node: RunningNode, peer: PeerServer) -> Iterator[None]:
    """Someone calls /replace_chain and waits for its answer, if there is one."""
    node.post("/connect_node", {"node": [peer.url]})

    def call() -> None:
        with suppress(OSError, HTTPException):  # the node is killed meanwhile
            node.get("/replace_chain")

    caller = threading.Thread(target=call)
    caller.start()
    yield
    caller.join(60)


def status(node: RunningNode) -> dict[str, Any]:
    answer: dict[str, Any] = node.get("/v1/status").json
    return answer


def test_a_node_killed_again_and_again_in_a_sync_asks_for_no_block_twice(
    tmp_path: Path, serve: Serve, chain: ChainBuilder
) -> None:
    height = 0
    for step in (1, STEP, STEP):
        with running(tmp_path / "node", COIN) as node, peer_with(serve, chain, step) as peer:
            assert status(node)["height"] == height
            with asked_to_sync(node, peer):
                height += step
                wait_until(partial(has_come_to, node, height), 30)
                said = status(node)
                assert said["syncing"] is True
                assert (said["sync"]["headers_height"], said["sync"]["target_height"]) == (400, 400)
                node.stop(signal.SIGKILL)
        assert set(peer.hashes_asked()).isdisjoint(hashes(chain, up_to=height - step))
    with running(tmp_path / "node", COIN) as node, peer_with(serve, chain, 400) as peer, asked_to_sync(node, peer):
        wait_until(partial(has_come_to, node, 400), 30)
        assert sorted(peer.hashes_asked()) == sorted(hashes(chain)[height:])
        assert status(node)["tip"] == show(chain.tip_hash)
        assert node.get("/is_valid").json["valid"] is True
        for who in (ALICE, BOB):
            account = node.get(f"/v1/accounts/{COIN.address(who.payload)}").json
            assert (account["balance"], account["sequence"]) == chain.account(who)
        wait_until(lambda: status(node)["sync"] is None, 10)


@contextmanager
def peer_with(serve: Serve, chain: ChainBuilder, open_to: int) -> Iterator[PeerServer]:
    """A peer that has the chain and delivers so many blocks of it."""
    routes = honest(chain)
    peer = serve({**routes, BLOCKS: Gate(routes[BLOCKS], open_to).serve})
    yield peer
    peer.close()


def has_come_to(node: RunningNode, height: int) -> bool:
    return bool(status(node)["height"] == height)


def hashes(chain: ChainBuilder, up_to: int = 400) -> list[str]:
    return [show(codec.block_hash(block.header)) for block in chain.blocks[1 : up_to + 1]]
