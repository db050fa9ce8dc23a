"""A node with `--only-peers` links with those that its owner names, and with no other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.kit.net.gossip import SOON, gossiping, peers_of
from tests.kit.running import RunningNode
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until


def test_a_closed_node_links_with_its_peers_alone_until_its_owner_adds_one(tmp_path: Path) -> None:
    """Left – middle – right: the ends hear of each other and stay apart, and a stranger is refused by a sentence."""
    ports = {name: free_port() for name in ("left", "middle", "right")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}

    def closed(name: str, *peers: str) -> AbstractContextManager[RunningNode]:
        return gossiping(tmp_path / name, [urls[each] for each in peers], port=ports[name], only_peers=True)

    with (
        closed("middle", "left", "right") as middle,
        closed("left", "middle") as left,
        closed("right", "middle") as right,
    ):
        wait_until(lambda: list(peers_of(middle).values()) == ["connected"] * 2, SOON, "the middle to be linked")
        wait_until(lambda: len(left.get("/v1/network").json["nodes"]) == 3, SOON, "the left to hear of the right")
        # The middle may have called an end that has not called the middle yet.
        for end in (left, right):
            wait_until(lambda end=end: list(peers_of(end)) == [middle.url], SOON, "the ends' only peer")  # type: ignore[misc]

        with gossiping(tmp_path / "stranger", [left.url]) as stranger:
            wait_until(lambda: left.url in peers_of(stranger), SOON, "the stranger to know the left")
            asked = {"url": stranger.url, "chain_id": stranger.get("/v1/status").json["chain_id"], "node_id": "s" * 8}
            refused = left.post("/p2p/connect", asked)
            assert (refused.status, refused.code) == (403, "not_admitted")
            assert "--only-peers" in refused.json["error"]["message"]
            assert list(peers_of(left)) == [middle.url]

            assert left.post("/v1/peers", {"url": stranger.url}).status == 201
            wait_until(lambda: peers_of(left).get(stranger.url) == "connected", SOON, "the owner's word to count")
            stranger.extend()
            right.wait_for_tip(stranger.chain, SOON)


def test_the_peers_of_an_earlier_run_are_not_those_of_a_closed_node(tmp_path: Path) -> None:
    with gossiping(tmp_path / "other") as other:
        with gossiping(tmp_path / "node", [other.url]) as node:
            wait_until(lambda: peers_of(node) == {other.url: "connected"}, SOON, "a link")
        with gossiping(tmp_path / "node", only_peers=True) as node:
            other.extend()
            assert node.post("/replace_chain").json["asked"] == 0
            assert node.height == 0
            assert peers_of(node)[other.url] != "connected"
