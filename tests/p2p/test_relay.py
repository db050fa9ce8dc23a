"""What enters at one node is soon at every node, and is sent back to none."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import BinaryIO

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.outcomes import Extended
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.p2p.gossip.relay_policy import MAX_PATH
from moneyer.node.p2p.peer import wire
from moneyer.node.store.engine import Store
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.net.gossip import (
    COIN,
    SOON,
    blocks_told,
    gossiping,
    line,
    listener,
    post_transfer,
    push_as,
    transfers_told,
    wait_for_pool,
    wait_until_told,
)
from tests.kit.net.peers import Answer, Serve, hello_of
from tests.kit.running import ALICE, BOB, CAROL, running
from tests.kit.waiting import wait_until

JSON = {"Content-Type": "application/json"}
BEFORE = 6.0
"""Seconds, for `wait_until`: four times as many are fewer than a request to a peer that never answers lasts."""


def test_a_block_and_a_transfer_reach_the_end_of_a_line(tmp_path: Path) -> None:
    with line(tmp_path, 4) as nodes:
        first, last = nodes[0], nodes[-1]
        for _ in range(3):
            first.extend()
        last.wait_for_tip(first.chain)
        txids = [post_transfer(first, transfer(COIN, ALICE, BOB, 5, 1, sequence)) for sequence in range(5)]
        txids.append(post_transfer(last, transfer(COIN, BOB, CAROL, 7, 1)))
        for node in nodes:
            wait_for_pool(node, txids)


def test_a_block_of_another_process_of_the_node_is_told(tmp_path: Path) -> None:
    """A worker connects the blocks that it mines by itself; here the test's process does so."""
    with line(tmp_path, 2) as (first, second):
        store = Store.open(first.config, COIN)
        try:
            raw = codec.encode_block(first.chain.add())
            assert isinstance(Chain(store).accept_block(raw, int(time.time())), Extended)
        finally:
            store.close()
        second.wait_for_tip(first.chain)


def test_nothing_goes_back_to_whom_it_came_from_and_everything_to_the_others(tmp_path: Path, serve: Serve) -> None:
    one, two = ChainBuilder(COIN, "one"), ChainBuilder(COIN, "two")
    teller, other = serve(listener(one)), serve(listener(two))
    with gossiping(tmp_path / "node", [teller.url, other.url]) as node:
        wait_until_told(teller)
        wait_until_told(other)
        chain = node.chain
        told = codec.encode_block(chain.add())
        assert push_as(one, node, "/p2p/block", told) == {"status": "extended"}
        wait_until(lambda: blocks_told(other) == [chain.tip_hash], SOON, "the other to hear of the block")
        given = transfer(COIN, ALICE, BOB, 5)
        assert push_as(one, node, "/p2p/transactions", codec.encode_transaction(given))["accepted"] == 1
        wait_until(lambda: transfers_told(other) == [show(codec.txid(given))], SOON, "the other to hear of it")
        node.extend()
        own = post_transfer(node, transfer(COIN, ALICE, BOB, 6, 0, 1))
        # The later one has come, so an earlier one would be here too.
        wait_until(lambda: blocks_told(teller) == [chain.tip_hash], SOON, "the node's own block alone")
        wait_until(lambda: transfers_told(teller) == [own], SOON, "the node's own transfer alone")
        wait_until(lambda: blocks_told(other)[-1:] == [chain.tip_hash], SOON, "the other to hear of it too")
        assert len(blocks_told(other)) == 2


def test_a_peer_that_never_answers_delays_no_other(tmp_path: Path, serve: Serve) -> None:
    stuck_chain, quick_chain = ChainBuilder(COIN, "stuck"), ChainBuilder(COIN, "quick")
    held = threading.Event()

    def hold(out: BinaryIO, closing: threading.Event) -> None:
        held.set()
        closing.wait()

    stuck, quick = serve(listener(stuck_chain)), serve(listener(quick_chain))
    for path in ("POST /p2p/block", "POST /p2p/transactions"):
        stuck.routes[path] = lambda _: hold
    with gossiping(tmp_path / "node", [stuck.url, quick.url]) as node:
        wait_until_told(stuck)
        wait_until_told(quick)
        txids = []
        for sequence in range(20):
            node.extend()
            txids.append(post_transfer(node, transfer(COIN, ALICE, BOB, 1, 0, sequence)))
        wait_until(lambda: blocks_told(quick)[-1:] == [node.chain.tip_hash], BEFORE, "the tip at the quick one")
        wait_until(lambda: set(transfers_told(quick)) == set(txids), BEFORE, "the transfers at the quick one")
        wait_until(held.is_set, SOON, "the stuck one to be asked")
        assert len(stuck.bodies("/p2p/block")) + len(stuck.bodies("/p2p/transactions")) == 1
        # Closed here, so that the node's request fails now and not after its whole deadline.
        stuck.close()


def test_transfers_go_in_batches_and_each_goes_once(tmp_path: Path, serve: Serve) -> None:
    server = serve(listener(ChainBuilder(COIN)))
    count = 60
    transfers = [
        codec.encode_transaction(transfer(COIN, who, BOB, 1, 0, sequence))
        for who in (ALICE, CAROL)
        for sequence in range(count // 2)
    ]
    with gossiping(tmp_path / "node", [server.url]) as node:
        wait_until_told(server)
        for raw in transfers[:5]:
            node.post("/v1/transactions", {"raw": raw.hex()})
        node.post("/p2p/transactions", b"".join(transfers[5:]), {"Content-Type": "application/octet-stream"})
        wait_until(lambda: len(transfers_told(server)) == count, SOON, "all of them")
        assert len(set(transfers_told(server))) == count
        assert len(server.bodies("/p2p/transactions")) <= 6


def test_what_the_peer_has_is_the_start_of_what_it_is_told(tmp_path: Path, serve: Serve) -> None:
    chain = ChainBuilder(COIN)
    chain.grow(3)
    server = serve(listener(chain))
    with gossiping(tmp_path / "node") as node:
        for raw in chain.raw:
            node.push(raw)
        node.chain = chain.branch(3, "more")
        for _ in range(4):
            node.extend()
        node.post("/v1/peers", {"url": server.url})
        expected = [codec.block_hash(block.header) for block in node.chain.blocks[4:]]
        wait_until(lambda: blocks_told(server) == expected, SOON, "the four blocks in order")


def test_a_block_without_its_parents_makes_the_node_fetch_them(tmp_path: Path, serve: Serve) -> None:
    chain = ChainBuilder(COIN)
    server = serve(listener(chain))
    with gossiping(tmp_path / "node", [server.url]) as node:
        wait_until_told(server)
        chain.grow(20)
        server.routes.update(listener(chain))
        assert push_as(chain, node, "/p2p/block", chain.raw[-1]) == {"status": "orphan"}
        node.wait_for_tip(chain, 8)
        assert blocks_told(server) == []


def test_an_orphan_that_is_held_already_makes_the_node_ask_whoever_brings_it_again(
    tmp_path: Path, serve: Serve
) -> None:
    chain, other = ChainBuilder(COIN), ChainBuilder(COIN, "other")
    silent, server = serve(listener(other)), serve(listener(chain))
    with gossiping(tmp_path / "node", [silent.url, server.url]) as node:
        wait_until_told(silent)
        wait_until_told(server)
        chain.grow(20)
        # The first that sends it lacks its parent, so asking there brings nothing.
        assert push_as(other, node, "/p2p/block", chain.raw[-1]) == {"status": "orphan"}
        server.routes.update(listener(chain))
        assert push_as(chain, node, "/p2p/block", chain.raw[-1]) == {"status": "orphan"}
        node.wait_for_tip(chain, 8)


def test_an_orphan_of_a_stranger_makes_the_node_call_nobody(tmp_path: Path, serve: Serve) -> None:
    chain, stranger = ChainBuilder(COIN), ChainBuilder(COIN, "stranger")
    server = serve(listener(chain))
    with gossiping(tmp_path / "node", [server.url]) as node:
        wait_until_told(server)
        stranger.grow(5)
        wait_until(lambda: server.bodies("/p2p/peers"), SOON, "the node to have nothing more to ask")
        asked = len(server.asked)
        assert push_as(stranger, node, "/p2p/block", stranger.raw[-1]) == {"status": "orphan"}
        node.extend()
        wait_until(lambda: blocks_told(server) == [node.chain.tip_hash], SOON, "the next thing that happens")
        assert {path for path, _ in server.asked[asked:]} <= {"POST /p2p/block", "GET /p2p/hello"}


def test_a_manual_node_neither_pushes_nor_pulls(tmp_path: Path, serve: Serve) -> None:
    chain = ChainBuilder(COIN, "theirs")
    chain.grow(3)
    server = serve(listener(chain))
    with running(tmp_path / "silent", COIN, peers=(server.url,)) as node:
        wait_until(lambda: node.get("/v1/peers").json["peers"], SOON, "the peer to be known")
        node.extend()
        post_transfer(node, transfer(COIN, ALICE, BOB, 5))
        assert push_as(chain, node, "/p2p/block", chain.raw[-1]) == {"status": "orphan"}
        with gossiping(tmp_path / "third", [node.url], outbound=1) as third:
            # But it answers, so a peer that gossips takes from it and sends to it.
            third.wait_for_tip(node.chain)
            third.chain = node.chain
            third.extend()
            node.wait_for_tip(third.chain)
        assert {path for path, _ in server.asked} == {"GET /p2p/hello"}
        assert node.get("/replace_chain").json["message"] == "nodes updated."


def test_blocks_that_a_peer_fetches_are_not_pushed_to_it_as_well(tmp_path: Path, serve: Serve) -> None:
    """A peer that is far behind hears of the tip, fetches what leads there, and is then not sent it one by one."""
    peer = serve(listener(ChainBuilder(COIN)))
    with gossiping(tmp_path / "node") as node:
        for _ in range(MAX_PATH + 4):
            node.extend()
        hashes = [codec.block_hash(block.header) for block in node.chain.blocks[1:]]

        def fetch(raw: bytes) -> Answer:
            fetched = node.post("/p2p/blocks", wire.blocks_request(hashes[:-1]), {**JSON, **sender})
            assert fetched.status == 200, fetched.body
            return Answer(b'{"status": "orphan"}')

        sender = {"Moneyer-Node": str(hello_of(node.chain)["node_id"])}
        peer.routes["POST /p2p/block"] = fetch
        assert node.post("/v1/peers", {"url": peer.url}).status == 201
        wait_until_told(peer)
        assert set(blocks_told(peer)) == {hashes[-1]}
