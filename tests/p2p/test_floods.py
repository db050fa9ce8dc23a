"""Floods that any sender can cause: what a node keeps of them is bounded, and it goes on working."""

from __future__ import annotations

from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.p2p.gossip.link_manager import MAX_INBOUND
from moneyer.node.p2p.table.standing import MAX_PEERS
from moneyer.node.system.shares import ORPHANS
from tests.kit.chains import ChainBuilder, block_on
from tests.kit.net.gossip import SOON, gossiping, listener, peers_of, wait_for_peers
from tests.kit.net.many_peers import Crowd
from tests.kit.net.peers import Serve, as_json
from tests.kit.running import rich_coin, running
from tests.kit.waiting import wait_until

COIN = rich_coin()
A_CALL = 64
"""URLs that `/connect_node` takes at once."""


def test_of_a_flood_of_orphans_a_hundred_are_held(tmp_path: Path) -> None:
    """Seen from outside: when their parent comes, at most so many join the chain."""
    with running(tmp_path / "node", COIN) as node:
        parent = node.chain.next_block()
        held = node.get("/v1/tips").body
        for number in range(3 * ORPHANS.each):
            orphan = block_on(COIN, parent.header, 2, extra=number.to_bytes(4, "little"))
            assert node.push(codec.encode_block(orphan)).json["status"] == "orphan"
        assert node.get("/v1/tips").body == held
        assert node.push(codec.encode_block(parent)).json["status"] == "extended"
        tips = node.get("/v1/tips").json["tips"]
        assert len(tips) == ORPHANS.each
        assert {tip["height"] for tip in tips} == {2}


@pytest.mark.slow
def test_ten_thousand_peer_urls_leave_a_bounded_table(tmp_path: Path) -> None:
    """A tenth of them answer, which is more than there is room for."""
    chain = ChainBuilder(COIN)
    with Crowd(chain, MAX_PEERS + 100) as crowd, running(tmp_path / "node", COIN) as node:
        silent = [f"http://127.9.{number // 250}.{number % 250 + 1}:9" for number in range(10_000 - len(crowd.urls))]
        codes: dict[str, int] = {}
        everyone = silent + crowd.urls
        for start in range(0, len(everyone), A_CALL):
            asked = everyone[start : start + A_CALL]
            while asked:
                answer = node.post("/connect_node", {"node": asked})
                assert answer.status == 201, answer.body
                failed = answer.json.get("failed", [])
                for code in (each["code"] for each in failed if each["code"] != "timeout"):
                    codes[code] = codes.get(code, 0) + 1
                # Where this process is held up for five seconds, its peers are late: they are asked again.
                asked = [each["node"] for each in failed if each["code"] == "timeout"]
        assert codes == {"table_full": 100, "unreachable": len(silent)}
        assert len(peers_of(node)) == MAX_PEERS
        full = node.post("/v1/peers", {"url": crowd.urls[-1]})
        assert (full.status, full.code) == (422, "table_full")
        assert node.post("/connect_node", {"node": ["http://127.0.0.1:9"] * 65}).status == 400
        node.extend()
        assert node.get("/v1/status").json["height"] == 1


@pytest.mark.slow
def test_a_host_that_asks_from_hundreds_of_ports_leaves_room_for_whom_the_owner_wants(tmp_path: Path) -> None:
    with (
        Crowd(ChainBuilder(COIN), MAX_PEERS // 2 + 10) as crowd,
        running(tmp_path / "friend", COIN) as friend,
        gossiping(tmp_path / "node", [], COIN, outbound=0) as node,
    ):
        for url in crowd.urls:
            told = {"url": url, "chain_id": show(COIN.chain_id), "node_id": "0" * 32}
            assert node.post("/p2p/connect", told).status == 200
        known = peers_of(node)
        assert len(known) == MAX_PEERS // 2
        assert list(known.values()).count("connected") <= MAX_INBOUND
        assert node.post("/v1/peers", {"url": friend.url}).status == 201
        assert friend.url in peers_of(node)


def test_what_peers_tell_of_peers_fills_neither_table_nor_connections(tmp_path: Path, serve: Serve) -> None:
    """One peer tells 1,000 that answer, whenever it is asked; another tells more than an answer may hold."""
    with Crowd(ChainBuilder(COIN), 1_000) as crowd:
        teller, liar = serve(listener(ChainBuilder(COIN, "teller"))), serve(listener(ChainBuilder(COIN, "liar")))
        teller.routes["GET /p2p/peers"] = as_json({"peers": crowd.urls})
        liar.routes["GET /p2p/peers"] = as_json({"peers": [f"http://127.9.9.9:{port}" for port in range(1, 10_001)]})
        with gossiping(tmp_path / "node", [teller.url, liar.url], COIN, outbound=8) as node:
            wait_until(lambda: peers_of(node).get(liar.url) == "down", SOON, "the liar to be marked")
            wait_for_peers(node, 7)
            node.extend()
            wait_until(lambda: teller.bodies("/p2p/block"), SOON, "the node to go on")
            known = peers_of(node)
            assert known[teller.url] == "connected"
            assert len(known) <= 2 + 8
            assert set(known) <= {teller.url, liar.url, *crowd.urls}
