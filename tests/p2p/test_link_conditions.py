"""Links of an experiment: cut and healed, late, lossy and narrow, by the API of nodes with `--lab`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.p2p.peer.conditioned import MOST_LOST, ConditionedLinks
from moneyer.node.p2p.peer.errors import LinkCut, PeerTimeout, PeerUnreachable
from moneyer.node.p2p.peer.link_conditions import BadConditions, LinkConditions, read_conditions, write_conditions
from moneyer.node.store.snapshots.take import take
from tests.kit.callers.events import listening
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.net.gossip import COIN, SOON, gossiping, node_id_of, peers_of, pool_of, post_transfer, wait_for_pool
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

OCTET_STREAM = {"Content-Type": "application/octet-stream"}
URL = "http://127.0.0.1:5003"
HEALED = 5.0
"""Seconds, for `wait_until`: three are promised, and four times five are fewer than the thirty after which a node that
was told nothing of the healing tries again."""


def set_links(node: RunningNode, **conditions: Any) -> None:
    """Have conditions for links, by the names of `cut=URL`, or none."""
    answer = node.call("PUT", "/v1/peers/conditions", {"conditions": conditions})
    assert answer.status == 200, answer.body


def set_edge(one: RunningNode, other: RunningNode, **fields: Any) -> None:
    """At both ends alike; no other link of them has conditions."""
    for node, peer in ((one, other), (other, one)):
        set_links(node, **({peer.url: fields} if fields else {}))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningNode]]:
    """A – B – C, closed; each test leaves them linked and without conditions."""
    folder = tmp_path_factory.mktemp("line")
    ports = [free_port() for _ in range(3)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(gossiping(folder / name, peers, port=port, only_peers=True, lab=True))
            for name, port, peers in zip("abc", ports, (urls[1:2], [urls[0], urls[2]], urls[1:2]), strict=True)
        ]
        wait_until(lambda: list(peers_of(nodes[1]).values()) == ["connected"] * 2, SOON, "the line to be linked")
        yield nodes


def scores_of(*nodes: RunningNode) -> dict[tuple[str, str], int]:
    """By the URLs of a node and of its peer."""
    return {(node.url, peer["url"]): peer["score"] for node in nodes for peer in node.get("/v1/peers").json["peers"]}


def part(node: RunningNode, chain: ChainBuilder, blocks: int) -> None:
    """Hand a node a branch's last blocks."""
    assert node.take(chain, chain.height - blocks + 1) == ["extended"] * blocks


def test_a_cut_link_parts_two_sides_and_they_come_to_the_better_chain_once_it_is_healed(
    line: list[RunningNode],
) -> None:
    a, b, c = line
    common = a.chain
    for _ in range(2):
        a.extend()
    for node in line:
        node.wait_for_tip(common)
    # By the end at C alone: nothing passes in either direction, and B is not to be told for that.
    set_links(c, **{b.url: {"cut": True}})
    assert peers_of(c) == {b.url: "cut"}
    light, heavy = common.branch(2, "light"), common.branch(2, "heavy")
    light.grow(2)
    heavy.grow(3)
    part(c, light, 2)
    part(a, heavy, 3)
    b.wait_for_tip(heavy)
    waiting = post_transfer(b, transfer(COIN, ALICE, BOB, 5))
    wait_for_pool(a, [waiting])
    set_edge(b, c, cut=True)
    assert peers_of(b) == {a.url: "connected", c.url: "cut"}
    refused = c.call("POST", "/p2p/block", heavy.raw[-1], {"Moneyer-Node": node_id_of(b), **OCTET_STREAM})
    assert (refused.status, refused.code) == (403, "link_cut")
    assert c.tip_hash == light.tip_hash
    assert c.get("/v1/mempool").json["count"] == 0
    set_edge(b, c)
    c.wait_for_tip(heavy, HEALED)
    wait_for_pool(c, [waiting])
    for node in line:  # C has the chain as soon as it has called B: B may be calling C still
        peer = b.url if node is not b else c.url
        wait_until(lambda node=node, peer=peer: peers_of(node)[peer] == "connected", SOON, peer)  # type: ignore[misc]
        node.chain = heavy


def test_what_is_under_way_on_a_link_breaks_when_it_is_cut(line: list[RunningNode]) -> None:
    """A push that would travel for 20 seconds: the cut ends it, and when it answers nothing comes through."""
    a, b, c = line
    set_edge(b, c, latency_ms=20_000)
    a.extend()
    b.wait_for_tip(a.chain)
    set_edge(b, c, cut=True)
    assert peers_of(b)[c.url] == peers_of(c)[b.url] == "cut"
    before = c.tip_hash
    set_edge(b, c)
    assert before != a.chain.tip_hash
    c.wait_for_tip(a.chain, HEALED)


def test_late_lossy_and_narrow_links_still_bring_blocks(line: list[RunningNode]) -> None:
    a, b, c = line
    set_edge(b, c, latency_ms=30, loss=0.2, rate=50_000)
    for _ in range(3):
        a.extend()
    c.wait_for_tip(a.chain)
    set_edge(b, c)
    slow = [peer for peer in b.get("/v1/peers").json["peers"] if peer["url"] == c.url]
    assert slow[0]["score"] > 0


def test_a_sync_that_a_cut_ends_is_over_when_the_cut_answers_and_goes_on_once_it_is_healed(
    line: list[RunningNode],
) -> None:
    """The first blocks are there soon; all that follow, full of transfers, would take some twenty seconds."""
    a, b, c = line
    set_edge(b, c, cut=True)
    before = a.chain.height
    for number in range(80):
        first = a.chain.account(BOB).sequence
        a.extend(transfers=[transfer(COIN, BOB, ALICE, 1, sequence=first + each) for each in range(6 * (number > 3))])
    b.wait_for_tip(a.chain)
    scores = scores_of(b, c)
    set_edge(b, c, rate=4_000)
    wait_until(lambda: c.height > before, SOON, "the sync to bring a block")
    set_edge(b, c, cut=True)
    status = c.get("/v1/status").json
    assert not status["syncing"]
    assert status["height"] < a.chain.height
    assert all(score >= scores[peer] for peer, score in scores_of(b, c).items())
    set_edge(b, c)
    c.wait_for_tip(a.chain, HEALED)


def test_a_network_goes_back_to_a_snapshot_while_it_runs_and_goes_on(line: list[RunningNode]) -> None:
    """As `moneyer net restore` has it: all links are cut, each node goes back, the links are healed."""
    a = line[0]
    folder = a.config.data.parent / "snapshots" / "then"
    take({node.config.data.name: node.config.database for node in line}, folder)
    then, left = a.chain, [node.get("/v1/blocks").body for node in line]
    a.chain = then.branch(then.height, "lost")
    lost = post_transfer(a, transfer(COIN, CAROL, BOB, 7))
    for _ in range(3):
        a.extend()
    for node in line:
        node.wait_for_tip(a.chain)
        wait_for_pool(node, [*pool_of(node), lost])
    urls = [node.url for node in line]
    with listening(line[2].port) as listener:
        for node in line:
            set_links(node, **{url: {"cut": True} for url in urls if url != node.url})
        for node in line:
            answer = node.post("/v1/restore", {"snapshot": "then"})
            assert (answer.status, answer.json["height"]) == (200, then.height), answer.body
        assert listener.wait_for("reset")[0]["height"] == then.height
        for node in line:
            set_links(node)
    for node, before in zip(line, left, strict=True):
        assert node.get("/v1/blocks").body == before
        assert lost not in pool_of(node)
    a.chain = then
    a.extend()
    line[2].wait_for_tip(then)
    for name, status, code in (("gone", 404, "not_found"), ("../then", 400, "bad_field")):
        refused = a.post("/v1/restore", {"snapshot": name})
        assert (refused.status, refused.code) == (status, code), refused.body


def test_conditions_that_cannot_be_are_refused_by_name_and_nothing_changes(line: list[RunningNode]) -> None:
    node = line[0]
    for conditions, words in (
        ({URL: {"loss": 1}}, "loss"),
        ({URL: {"latency_ms": -1}}, "latency_ms"),
        ({URL: {"rate": 0}}, "rate"),
        ({URL: {"speed": 5}}, "speed"),
        ({"ftp://x": {}}, "ftp://x"),
        ({URL: {}, "127.0.0.1:5003": {}}, URL),
    ):
        answer = node.call("PUT", "/v1/peers/conditions", {"conditions": conditions})
        assert answer.status == 400, answer.body
        assert words in answer.json["error"]["message"]
    assert node.get("/v1/peers/conditions").json == {"conditions": {}}


def test_a_node_that_is_no_laboratory_takes_none(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        for answer in (
            node.get("/v1/peers/conditions"),
            node.call("PUT", "/v1/peers/conditions", {"conditions": {}}),
            node.post("/v1/restore", {"snapshot": "any"}),
        ):
            assert (answer.status, answer.code) == (409, "no_lab")
            assert "--lab" in answer.json["error"]["message"]
        assert node.get("/v1/status").json["lab"] is False


def test_conditions_outlive_a_restart_and_a_bad_file_is_named(tmp_path: Path) -> None:
    with running(tmp_path / "node", lab=True) as node:
        set_links(node, **{URL: {"cut": True, "latency_ms": 2.5}})
        node.stop()
        node.start()
        node.wait_until_it_answers()
        held = {"cut": True, "latency_ms": 2.5, "loss": 0.0, "rate": None}
        assert node.get("/v1/peers/conditions").json == {"conditions": {URL: held}}
        node.stop()
        node.config.links_file.write_text(json.dumps({URL: {"loss": 7}}))
        node.start()
        assert node.process.wait(30) != 0
        assert f"{node.config.links_file}: {URL}.loss must be" in node.log
        node.config.links_file.unlink()
        node.start()
        node.wait_until_it_answers()
        assert node.get("/v1/status").json["lab"] is True


def test_the_file_says_what_was_written_and_names_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "links.json"
    assert read_conditions(path) == {}
    held = {URL: LinkConditions(is_cut=True), "http://a.example:80": LinkConditions(False, 1.5, 0.25, 10_000)}
    write_conditions(path, held)
    assert read_conditions(path) == held
    for content, words in (
        (json.dumps({URL: {"loss": 2}}), "loss"),
        (json.dumps({URL: {"lost": 0.5}}), "lost"),
        (json.dumps({"no url": {}}), "no url"),
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        (" " * 1_000_001, "bytes"),
    ):
        path.write_text(content)
        with pytest.raises(BadConditions) as refused:
            read_conditions(path)
        assert str(path) in refused.value.message
        assert words in refused.value.message
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadConditions, match="pipe"):  # and it does not wait for somebody to write into it
        read_conditions(path)


def exchange(links: ConditionedLinks, left: float = 20.0) -> None:
    one = links.begin(URL, lambda: None)
    try:
        one.send(100, left)
        one.receive(100, left)
    finally:
        one.end()


def test_a_wait_ends_by_a_cut_or_by_the_deadline(tmp_path: Path) -> None:
    links = ConditionedLinks(tmp_path / "links.json", lambda: {URL: "b" * 32})
    links.replace({URL: LinkConditions(latency_ms=60_000)})
    with pytest.raises(PeerTimeout):
        exchange(links, left=0.01)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            exchange(links)
        except LinkCut as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: links.is_busy(URL), 10, "the exchange to begin")
    assert links.replace({URL: LinkConditions(is_cut=True)}).cut == {URL}
    assert links.wait_until_quiet(10)
    thread.join()
    assert len(ended) == 1
    with pytest.raises(LinkCut):
        links.begin(URL, lambda: None)


def test_the_other_end_of_a_cut_is_refused_by_its_node_id_and_while_that_is_unknown_all_strangers_are(
    tmp_path: Path,
) -> None:
    ids = {URL: "b" * 32, "http://127.0.0.1:5004": "c" * 32}
    links = ConditionedLinks(tmp_path / "links.json", lambda: ids)
    links.replace({URL: LinkConditions(is_cut=True)})
    with pytest.raises(LinkCut), links.incoming("b" * 32):
        pass
    for stranger in ("c" * 32, "d" * 32):
        with links.incoming(stranger):
            pass
    links.replace({"http://127.0.0.1:5005": LinkConditions(is_cut=True)})
    for known in ids.values():
        with links.incoming(known):
            pass
    with pytest.raises(LinkCut), links.incoming("d" * 32):
        pass
    ids["http://127.0.0.1:5006"] = "d" * 32
    with links.incoming("d" * 32):
        pass


def test_a_message_that_is_lost_again_and_again_fails_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = ConditionedLinks(tmp_path / "links.json", dict)
    monkeypatch.setattr("moneyer.node.p2p.peer.conditioned.RETRANSMIT_SECONDS", 1e-6)
    links.replace({URL: LinkConditions(loss=1 - 2**-53)})
    with pytest.raises(PeerUnreachable, match=f"{MOST_LOST} times"):
        exchange(links)
