"""Several nodes on one database: each does what its role says, and one at a time speaks to other nodes."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.core import codec
from tests.kit.chains import ChainBuilder
from tests.kit.commands import moneyer, refusal
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until
from tests.scale.machines import HUNG_SECONDS, Machines, machines, one_that_speaks, one_that_stands_by, submit

WORKER_SECONDS = 60
"""For the first block of a worker that has just been started, on a machine that is busy."""


@pytest.fixture
def here(tmp_path: Path, fresh_database: str) -> Iterator[Machines]:
    with machines(tmp_path, fresh_database, rich_coin()) as made:
        yield made


@pytest.fixture
def far(tmp_path: Path) -> Iterator[RunningNode]:
    """A node of the same coin elsewhere, with a file."""
    with running(tmp_path / "far", rich_coin(), manual=False, discovery=False) as node:
        yield node


def test_one_of_two_nodes_speaks_to_others_and_the_other_says_who_does(here: Machines) -> None:
    nodes = [here.node(), here.node()]
    speaker = one_that_speaks(nodes)
    other = one_that_stands_by(nodes, speaker)
    for path in ("/p2p/hello", "/p2p/peers", "/p2p/mempool"):
        answer = other.get(path)
        assert (answer.status, answer.code) == (503, "no_peers_here")
        assert answer.json["error"]["details"]["peer"] == speaker.url
        assert speaker.url in answer.json["error"]["message"]
    assert other.post("/v1/peers", {"url": "http://127.0.0.1:1"}).code == "no_peers_here"
    assert other.get("/v1/status").json["chain_id"] == speaker.get("/v1/status").json["chain_id"]


def test_who_joins_at_a_node_without_the_turn_is_told_whom_to_ask(here: Machines, tmp_path: Path) -> None:
    nodes = [here.node(), here.node()]
    speaker = one_that_speaks(nodes)
    other = one_that_stands_by(nodes, speaker)
    said = refusal(moneyer("join", other.url, "--data", tmp_path / "friend", "--open"), 4)
    assert f"ask {speaker.url}, which speaks to other nodes in its place" in said
    assert moneyer("join", speaker.url, "--data", tmp_path / "friend", "--open").returncode == 0


def test_another_node_takes_over_from_one_that_is_killed(here: Machines) -> None:
    nodes = [here.node(), here.node(), here.node()]
    while len(nodes) > 1:
        speaker = one_that_speaks(nodes)
        nodes.remove(speaker)
        speaker.kill()
        one_that_speaks(nodes)


def test_a_node_that_is_held_still_is_passed_over_and_stands_by_when_it_wakes(here: Machines) -> None:
    nodes = [here.node(), here.node()]
    stuck = one_that_speaks(nodes)
    other = next(node for node in nodes if node is not stuck)
    stuck.signal(signal.SIGSTOP)
    wait_until(lambda: other.is_speaking, HUNG_SECONDS, "the other node to take over")
    stuck.signal(signal.SIGCONT)
    wait_until(lambda: not stuck.is_speaking, 10, "the first one to see that it has lost its turn")
    assert one_that_speaks(nodes) is other


def test_a_node_of_each_role_does_what_it_is_for(here: Machines) -> None:
    peer, api = here.node("peer"), here.node("api")
    wait_until(lambda: peer.is_speaking, HUNG_SECONDS, "the peer to speak")
    assert not api.is_speaking
    assert api.get("/v1/blocks").status == 200
    for path in ("/v1/blocks", "/v1/accounts", "/chain", "/"):
        answer = peer.get(path)
        assert answer.status == 404, path
    assert peer.get("/v1/blocks").code == "peers_only"
    for path in ("/healthz", "/metrics", "/v1/status", "/v1/coin", "/v1/peers"):
        assert peer.get(path).status == 200, path
    styles = re.search(r'href="(/static/[^"]+/app\.css)"', api.get("/").body.decode())
    assert styles is not None
    assert peer.get(styles[1]).status == 200, "a browser shows its refusal as a page"
    assert "moneyer_speaks_to_peers 1.0" in peer.get("/metrics").body.decode()
    assert "moneyer_speaks_to_peers 0.0" in api.get("/metrics").body.decode()
    told = [(each["role"], each["speaks_to_peers"]) for each in (node.get("/v1/status").json for node in (peer, api))]
    assert told == [("peer", True), ("api", False)]
    shown = moneyer("status", "--node", api.url).stdout
    assert re.search(r"role +api\n", shown)
    assert f"peers       0 known; the node at {peer.url} speaks to other nodes, in place of this one\n" in shown
    assert "peers       0 known\n" in moneyer("status", "--node", peer.url).stdout
    peer.kill()
    wait_until(lambda: api.get("/v1/status").json["speaker"] is None, 10, "its end")
    assert "; no node on this database speaks to other nodes now\n" in moneyer("status", "--node", api.url).stdout


def test_an_api_node_never_takes_the_turn(here: Machines) -> None:
    api, peer = here.node("api"), here.node("peer")
    assert one_that_speaks([api, peer]) is peer
    peer.kill()
    answer = wait_until(
        lambda: (found := api.get("/p2p/hello")).json["error"]["details"]["peer"] is None and found, 10, "its end"
    )
    assert answer
    assert "no node of its database does now" in answer.json["error"]["message"]
    assert one_that_speaks([here.node("peer"), api]) is not api


def test_what_comes_to_any_machine_reaches_the_network_and_back(here: Machines, far: RunningNode) -> None:
    api = here.node("api")
    here.node("peer", "--peer", far.url)
    far.extend()
    api.wait_for_height(1)
    submit(api, codec.encode_transaction(far.chain.transfer(ALICE, BOB, 5, fee=1)))
    wait_until(lambda: far.get("/v1/status").json["mempool"]["count"] == 1, 20, "the transfer, far away")
    here.worker("--mode", "instant")
    far.wait_for_height(2, WORKER_SECONDS)
    assert api.tip_hash == far.tip_hash


def test_a_server_that_is_started_anew_gets_one_speaker_again(tmp_path: Path, far: RunningNode) -> None:
    with PostgresServer() as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE beach")
        with machines(tmp_path, server.url("beach"), rich_coin()) as here:
            nodes = [here.node("all", "--peer", far.url), here.node("all", "--peer", far.url)]
            one_that_speaks(nodes)
            server.restart()
            one_that_speaks(nodes)
            here.worker("--mode", "instant")
            submit(nodes[0], codec.encode_transaction(ChainBuilder(here.coin).transfer(ALICE, BOB, 5, fee=1)))
            far.wait_for_height(1, WORKER_SECONDS)


def test_a_server_that_is_away_is_told_once_and_so_is_its_return(tmp_path: Path) -> None:
    with PostgresServer() as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE beach")
        with machines(tmp_path, server.url("beach"), rich_coin()) as here:
            node = here.node("api")
            server.stop()
            wait_until(lambda: "events: the database cannot be reached now" in node.log, 30, "the loss to be told")
            server.start()
            wait_until(lambda: "events: all well again" in node.log, 30, "its end to be told")
            assert node.log.count("events: the database cannot") == 1
            assert "This probably means" not in node.log
            assert "Is the server running" not in node.log
