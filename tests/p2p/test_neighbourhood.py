"""The network as one node sees it: its peers and theirs, from what it knows and what it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core.codec import show
from moneyer.node.p2p.gossip import neighbourhood
from moneyer.node.p2p.gossip.links import LinkSnapshot
from moneyer.node.p2p.gossip.neighbourhood import NetworkNode, look_round
from moneyer.node.p2p.peer.wire import Neighbour
from moneyer.node.store.peers import PeerRow
from tests.kit.chains import ChainBuilder
from tests.kit.net.gossip import COIN, SOON, blocks_told, gossiping, line, listener, node_id_of
from tests.kit.net.peers import Serve, as_json
from tests.kit.running import RunningNode, running
from tests.kit.waiting import wait_until

OWN = NetworkNode("own-node", "http://127.0.0.1:1", "self", 10, b"t" * 32, 10, "moneyer/1")


def told(name: str, height: int = 5, work: int = 5) -> Neighbour:
    tip = show(name.encode().ljust(32, b"-"))
    return Neighbour(f"node-{name}", f"http://{name}:1", height, tip, f"{work:064x}", "moneyer/1")


def row(name: str, state: str = "connected", height: int = 5) -> PeerRow:
    return PeerRow(f"http://{name}:1", f"node-{name}", state, height, 5, "old", "outbound", 1, 7, 3, 100, None)


def live(name: str, *neighbours: Neighbour, height: int = 5) -> LinkSnapshot:
    return LinkSnapshot(height, 5, 3, 9, f"node-{name}", name.encode().ljust(32, b"+"), "new", neighbours)


def picture(node: RunningNode) -> Any:
    answer = node.get("/v1/network")
    assert answer.status == 200
    return answer.json


def test_a_node_alone_sees_itself() -> None:
    found = look_round(OWN, [], {})
    assert (found.nodes, found.links, found.best_height, found.is_cut) == ([OWN], [], 10, False)


def test_what_a_connected_peer_says_of_itself_wins_over_what_others_say() -> None:
    lie = told("a", height=99, work=99)
    found = look_round(OWN, [row("a"), row("b")], {"http://a:1": live("a"), "http://b:1": live("b", lie)})
    assert [(node.node_id, node.height, node.state) for node in found.nodes] == [
        ("own-node", 10, "self"),
        ("node-a", 5, "connected"),
        ("node-b", 5, "connected"),
    ]
    assert [(link.start, link.end, link.is_mutual) for link in found.links] == [
        ("own-node", "node-a", False),
        ("own-node", "node-b", False),
        ("node-b", "node-a", False),
    ]


def test_a_peer_that_is_not_connected_is_shown_as_its_neighbours_tell_of_it() -> None:
    tales = {
        "http://a:1": live("a", told("c", height=8, work=8)),
        "http://b:1": live("b", told("c", height=9, work=9), told("c", height=7, work=7)),
    }
    found = look_round(OWN, [row("c", "reserve"), row("a"), row("b")], tales)
    node = next(node for node in found.nodes if node.node_id == "node-c")
    assert (node.state, node.height, node.tip) == ("reserve", 9, b"c".ljust(32, b"-"))
    assert [node.node_id for node in found.nodes] == ["own-node", "node-a", "node-b", "node-c"]


def test_heights_that_are_only_told_set_no_lag() -> None:
    found = look_round(OWN, [row("a")], {"http://a:1": live("a", told("far", height=2**32 - 1), height=12)})
    assert found.best_height == 12


def test_two_nodes_that_ask_each_other_have_one_link() -> None:
    own = replace(OWN, node_id="node-own")
    tale = live("a", told("own"), told("a"), told("b"), told("b"))
    found = look_round(own, [row("a")], {"http://a:1": tale})
    assert [(link.start, link.end, link.is_mutual) for link in found.links] == [
        ("node-own", "node-a", True),
        ("node-a", "node-b", False),
    ]


def test_a_crowd_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = [told(f"n{number}") for number in range(100)]
    tales = {f"http://{name}:1": live(name, *crowd) for name in ("a", "b")}
    monkeypatch.setattr(neighbourhood, "MAX_NODES", 50)
    found = look_round(OWN, [row("a"), row("b")], tales)
    assert (len(found.nodes), found.is_cut) == (50, True)
    assert {link.end for link in found.links} <= {node.node_id for node in found.nodes}
    monkeypatch.setattr(neighbourhood, "MAX_NODES", 500)
    monkeypatch.setattr(neighbourhood, "MAX_LINKS", 30)
    found = look_round(OWN, [row("a"), row("b")], tales)
    assert (len(found.nodes), len(found.links), found.is_cut) == (103, 30, True)


def test_the_far_end_of_a_line_is_seen_with_its_own_tip(tmp_path: Path) -> None:
    with line(tmp_path, 3) as (first, middle, last):
        ids = [node_id_of(node) for node in (first, middle, last)]

        def is_seen() -> bool:
            found = {node["id"]: node for node in picture(first)["nodes"]}
            return ids[2] in found and found[ids[2]]["tip"] == last.get("/v1/status").json["tip"]

        wait_until(is_seen, SOON, "the last node in the first one's picture")
        first.extend()
        last.wait_for_tip(first.chain)
        wait_until(is_seen, SOON, "the last node's new tip in the first one's picture")
        found = picture(first)
        assert [node["id"] for node in found["nodes"]] == ids
        assert [node["is_self"] for node in found["nodes"]] == [True, False, False]
        assert (found["best_height"], found["truncated"]) == (1, False)
        assert {(link["from"], link["to"], link["mutual"]) for link in found["links"]} == {
            (ids[0], ids[1], True),
            (ids[1], ids[2], False),  # the last node itself is not asked
        }
        last.stop()

        def is_gone() -> bool:
            return not any(ids[2] in (link["from"], link["to"]) for link in picture(first)["links"])

        wait_until(is_gone, SOON, "the link to a node that ended to go")


def test_a_peer_is_asked_for_its_links_only_while_somebody_looks(tmp_path: Path, serve: Serve) -> None:
    chain = ChainBuilder(COIN)
    peer = serve(listener(chain))

    def asked() -> int:
        return len(peer.bodies("/p2p/peers"))

    with gossiping(tmp_path / "node", [peer.url]) as node:
        wait_until(lambda: asked() == 1, SOON, "the first question")
        wait_until(lambda: picture(node)["nodes"][1:] and asked() >= 3, SOON, "questions while somebody looks")


@pytest.mark.parametrize(
    "links",
    [
        [{"node_id": "node-far", "url": "http://x:1", "height": -1, "tip": "0" * 64, "work": "0" * 64}],
        [{"node_id": "<b>", "url": "http://x:1", "height": 1, "tip": "0" * 64, "work": "0" * 64}],
        [{"node_id": "node-far", "url": "\u202ehttp://x", "height": 1, "tip": "0" * 64, "work": "0" * 64}],
        [{"node_id": "node-far", "url": "http://x:1", "height": 1, "tip": "0" * 63, "work": "0" * 64}],
        [{"node_id": "node-far", "url": "", "height": 1, "tip": "0" * 64, "work": "0" * 64}] * 101,
        "all of them",
    ],
)
def test_a_peer_that_tells_nonsense_of_its_links_is_blamed(tmp_path: Path, serve: Serve, links: Any) -> None:
    peer = serve(listener(ChainBuilder(COIN)))
    peer.routes["GET /p2p/peers"] = as_json({"peers": [], "links": links})
    with gossiping(tmp_path / "node", [peer.url]) as node:

        def is_blamed() -> bool:
            return any(each["score"] < 100 for each in node.get("/v1/peers").json["peers"])

        wait_until(is_blamed, SOON, "the peer to be blamed")
        assert [found["state"] for found in picture(node)["nodes"] if found["state"] == "told"] == []


def test_a_manual_node_asks_the_peers_that_it_was_given_for_their_tips_while_somebody_looks(
    tmp_path: Path, serve: Serve
) -> None:
    chain = ChainBuilder(COIN)
    chain.grow(2)
    peer = serve(listener(chain))
    with running(tmp_path / "node", COIN) as node:
        node.post("/connect_node", {"node": [peer.url]})
        first = picture(node)
        assert [each["state"] for each in first["nodes"]] == ["self", "connected"]
        assert first["nodes"][1]["tip"] in (None, show(chain.tip_hash))  # it is asked from this look on
        assert len(first["links"]) == 1
        wait_until(lambda: picture(node)["nodes"][1]["tip"] == show(chain.tip_hash), SOON, "the peer's tip")
        found = picture(node)["nodes"]
        assert [(each["height"], each["lag"]) for each in found] == [(0, 2), (2, 0)]
        assert node.height == 0  # it fetched nothing
        peer.close()
        wait_until(lambda: picture(node)["nodes"][1]["state"] == "down", SOON, "the peer to be missed")


def test_a_peer_that_took_a_block_as_a_side_branch_stands_on_its_own_tip(tmp_path: Path, serve: Serve) -> None:
    chain = ChainBuilder(COIN)
    peer = serve(listener(chain))
    peer.routes["POST /p2p/block"] = as_json({"status": "side_branch"})
    with gossiping(tmp_path / "node", [peer.url]) as node:
        wait_until(lambda: picture(node)["nodes"][1:], SOON, "the peer to be known")
        theirs = show(chain.tip_hash)
        chain.grow(1)
        node.take(chain)
        wait_until(lambda: blocks_told(peer), SOON, "the block to be sent")
        wait_until(lambda: node.height == 1, SOON, "the block to be taken")
        assert [each["tip"] for each in picture(node)["nodes"]] == [show(chain.tip_hash), theirs]
