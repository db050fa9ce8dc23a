"""A network that runs, as a program and as a person has it: one ring of four, which each test finds as new."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from moneyer import Network, errors
from moneyer.node.cli.main import run
from moneyer.node.core.errors import MoneyerError
from moneyer.node.devnet.live import edges
from moneyer.node.devnet.live.live_edges import tell_nodes
from moneyer.node.devnet.net.control import Control
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def ring() -> Iterator[Network]:
    with Network("ring:4") as net:
        net.snapshot("new")
        yield net


@pytest.fixture
def net(ring: Network) -> Iterator[Network]:
    yield ring
    for node in ring:
        if not node.is_running:
            node.start()
    ring.restore("new")
    ring.wait_linked()


def states(net: Network) -> dict[str, str]:
    return {f"{edge['a']}-{edge['b']}": edge["state"] for edge in net.status()["edges"]}


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """A command on a network, in this process: its exit status, and what it prints on stdout and stderr."""

    def call(data: Path, *words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(["net", *words, "--data", str(data)])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def done(net: Network, command: Command) -> Callable[..., str]:
    """What a command that must not fail prints."""

    def call(*words: str) -> str:
        status, out, err = command(net.data, *words)
        assert status == 0, err
        return out

    return call


def test_a_network_that_was_split_and_mined_on_both_sides_has_one_tip_after_healing(net: Network) -> None:
    assert [f"{edge.a}-{edge.b}" for edge in net.split(["1", "2"], ["3", "4"])] == ["1-4", "2-3"]
    assert net.parts == [["1", "2"], ["3", "4"]]
    short, long = net.mine("1", 1), net.mine("4", 2)
    assert net.wait_one_tip(nodes=["1", "2"]) == short[-1]
    assert net.wait_one_tip(nodes=["3", "4"]) == long[-1]
    assert net.status()["tips"] == 2

    net.heal()
    assert net.wait_one_tip() == long[-1]
    assert [net["1"].block(height)["hash"] for height in (1, 2)] == long


def test_nothing_passes_over_a_cut_edge_and_all_that_waited_does_when_it_heals(net: Network) -> None:
    net.cut("1", "2")
    net.cut("4", "1")
    assert states(net) == {"1-2": "cut", "1-4": "cut", "2-3": "linked", "3-4": "linked"}
    sent = net.send("alice", "bob", "2.5", node="1")
    net.mine("2")
    net.wait_height(1, nodes=["2", "3", "4"])
    assert net["1"].height == 0
    with pytest.raises(errors.MoneyerError):
        net["3"].client.transaction(sent.txid)

    net.heal("1")
    net.wait_transfer(sent.txid, 0)
    net.mine("3")
    net.wait_transfer(sent.txid)
    assert {node.balance("bob") for node in net} == {1_002_500_000}


def test_a_slow_edge_is_slow_until_it_is_not(net: Network) -> None:
    slow = net.delay("1", "2", 50)
    assert (slow.latency_ms, net.loss("2", "1", 0.1).loss, net.rate("1", "2", 10_000).rate) == (50, 0.1, 10_000)
    ends = {net["1"].url: net["2"], net["2"].url: net["1"]}
    for url, other in ends.items():
        told = other.client.get("/v1/peers/conditions")["conditions"]
        assert told == {url: {"cut": False, "latency_ms": 50, "loss": 0.1, "rate": 10_000}}
    net.mine("1")
    net.wait_one_tip()

    net.delay("1", "2", 0)
    net.loss("1", "2", 0)
    net.rate("1", "2", None)
    assert net["1"].client.get("/v1/peers/conditions")["conditions"] == {}


def test_a_snapshot_brings_chains_mempools_edges_and_a_killed_node_back(net: Network) -> None:
    net.mine("1", 2)
    net.wait_one_tip()
    sent = net.send("alice", "bob", 1, node="2")
    net.wait_transfer(sent.txid, 0)
    net.cut("1", "2")
    kept = net.snapshot("middle")
    tips = {node.name: node.tip for node in net}
    assert {name: each["tip"] for name, each in kept["nodes"].items()} == tips

    net.heal()
    net.delay("3", "4", 20)
    net.mine("3", 2)
    net.wait_one_tip()
    net.kill("4")
    net.restore("middle")
    net.start("4")
    net.wait_linked()
    assert {node.name: node.tip for node in net} == tips
    assert [node.status()["mempool"]["count"] for node in net] == [1, 1, 1, 1]
    assert states(net) == {"1-2": "cut", "1-4": "linked", "2-3": "linked", "3-4": "linked"}
    assert all(edge.latency_ms == 0 for edge in net.plan.edges)

    net.mine("4")  # and it goes on from there
    net.wait_transfer(sent.txid)
    net.remove_snapshot("middle")
    assert [each["name"] for each in net.snapshots()] == ["new"]


def test_an_edge_that_is_cut_while_its_node_is_away_stays_cut_when_it_comes_back(net: Network) -> None:
    net.stop("2")
    net.cut("2", "3")
    net.start("2")
    net.mine("3")
    net.wait_one_tip()  # around the other way
    assert states(net)["2-3"] == "cut"


def test_edges_that_a_killed_restore_has_left_cut_heal(net: Network) -> None:
    plan = net.plan
    tell_nodes(list(net), edges.with_edges(plan, plan.edges, is_cut=True))  # and it was killed here
    net.wait_for(lambda: set(states(net).values()) == {"waiting"})
    assert net.heal() == []
    net.wait_linked()


def test_a_node_that_was_killed_in_a_restore_has_its_edges_when_it_is_back(net: Network) -> None:
    group = Control.find(net.data).status()["nodes"]["3"]["pid"]
    failed: list[MoneyerError] = []

    def restore() -> None:
        try:
            net.restore("new")
        except MoneyerError as error:
            failed.append(error)

    os.killpg(group, signal.SIGSTOP)  # it will not answer
    restoring = Thread(target=restore)
    restoring.start()
    net.wait_for(lambda: net["1"].client.get("/v1/peers/conditions")["conditions"])
    os.killpg(group, signal.SIGKILL)
    restoring.join(60)
    assert failed
    net.start("3")
    net.wait_linked()


@pytest.mark.parametrize(
    "wrong", [{"hashes": {"1": -5}}, {"edges": [{"latency_ms": 1e300}]}, {"edges": [{"cut": 1}]}, None]
)
def test_a_snapshot_whose_edges_were_changed_by_hand_changes_nothing(net: Network, wrong: Any) -> None:
    net.snapshot("changed")
    file = net.data / "snapshots" / "changed" / "edges.json"
    if wrong is None:
        file.unlink()
        os.mkfifo(file)
    else:
        held = json.loads(file.read_bytes())
        held["hashes"] |= wrong.get("hashes", {})
        held["edges"][0] |= wrong.get("edges", [{}])[0]
        file.write_text(json.dumps(held))
    before = net.plan
    with pytest.raises(errors.BadSnapshot, match=r"edges\.json"):
        net.restore("changed")
    assert net.plan == before
    net.remove_snapshot("changed")


def test_a_network_that_runs_is_attached_to_and_goes_on(net: Network) -> None:
    with Network.attach(net.data) as same:
        assert list(same.nodes) == ["1", "2", "3", "4"]
        same.mine("2")
    assert net["2"].height == 1


@pytest.mark.parametrize(
    ("do", "sentence"),
    [
        (lambda net: net["5"], r'no node "5" in this network. Its nodes are 1, 2, 3 and 4'),
        (lambda net: net.cut("1", "3"), "no edge 1-3: 1 is linked with 2 and 4"),
        (lambda net: net.split(["1"], ["2"]), "3 and 4 are in no group"),
        (lambda net: net.delay("1", "2", -1), "a delay is a number from 0"),
        (lambda net: net.restore("old"), 'no snapshot "old": did you mean|there are new'),
        (lambda net: net.snapshot("../new"), "a snapshot's name has"),
        (lambda net: net.send("alcie", "bob", 1), "did you mean alice"),
        (lambda net: net.start("1"), "node 1 is up already"),
        (lambda net: net.hashrate("1", -1), "a hash rate is a number"),
        (
            lambda net: net.wait_for(lambda: None, 0.05, "snow"),
            r"snow did not come within 0.05 s. Heights.*1: 0",
        ),
        (lambda net: Network("ring:4").mine("1"), "not up"),
        (lambda net: Network.attach(net.data / "elsewhere"), "holds no network"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(ring: Network, do: Callable[[Network], Any], sentence: str) -> None:
    before = ring.plan
    with pytest.raises(MoneyerError, match=sentence):
        do(ring)
    assert ring.plan == before


def test_the_status_is_a_table_for_people_and_json_for_programs(net: Network, done: Callable[..., str]) -> None:
    net.split(["1"])
    net.mine("1")
    net.kill("3")
    told = json.loads(done("status", "--json"))
    assert [row["state"] for row in told["nodes"]] == ["up", "up", "killed", "up"]
    assert [row["lag"] for row in told["nodes"]] == [0, 1, None, 1]
    assert [row["peers"] for row in told["nodes"]] == [0, 0, None, 0]
    assert {"name", "url", "state", "height", "tip", "peers", "mempool", "hashrate"} <= told["nodes"][0].keys()
    assert [edge["state"] for edge in told["edges"]] == ["cut", "cut", "down", "down"]

    shown = done("status")
    assert re.search(r"^3 +killed +http", shown, re.MULTILINE)
    assert "2 tips; the highest is at height 1" in shown
    assert "2 parts: 1 / 2,3,4" in shown
    assert "2 of 4 edges cut: 1-2, 1-4" in shown


def test_commands_do_and_say_what_the_calls_do(net: Network, done: Callable[..., str]) -> None:
    assert done("split", "1,2", "/", "rest") == "cut: 1-4, 2-3\nthe network is in 2 parts: 1,2 / 3,4\n"
    assert done("mine", "1", "2").endswith("node 1 is at height 2\n")
    assert done("heal", "4-1") == "healed: 1-4\nthe network is whole\n"
    assert done("heal") == "healed: 2-3\nthe network is whole\n"
    assert done("heal") == "every edge is whole already\nthe network is whole\n"
    assert done("delay", "1-2", "1.5s") == "1-2: 1500 ms\n"
    assert done("loss", "1-2", "10%") == "1-2: 1500 ms, loses 10 %\n"
    assert done("rate", "1-2", "10kB") == "1-2: 1500 ms, loses 10 %, 10,000 bytes/s\n"
    told = json.loads(done("cut", "1-2", "--json"))
    assert told["edges"] == [{"a": "1", "b": "2", "cut": True, "latency_ms": 1500, "loss": 0.1, "rate": 10_000}]
    net.wait_height(2)
    assert re.match(r"node 4 took [0-9a-f]{16}… \(ready\)", done("send", "alice", "bob", "2.5", "--at", "4"))
    assert done("snapshot", "now").startswith("kept now: 4 nodes, the highest at height 2")
    assert re.search(r"^now .* 2  4 nodes$", done("snapshots"), re.MULTILINE)
    assert done("restore", "now") == "the network is as it was at now\n"
    assert "new" in done("snapshots", "--remove", "now")
    assert "0 → 500 hashes a second" in done("hashrate", "1", "0.5kH/s")


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("cut", "1-3"), 1, "the graph has no edge 1-3"),
        (("cut", "12"), 1, "an edge is written A-B"),
        (("split", "1", "/", "2"), 1, "in no group"),
        (("mine", "9"), 1, 'no node "9"'),
        (("mine", "1", "0"), 2, "whole number from 1"),
        (("mine", "1", "--to", "nobody"), 1, 'has no "nobody"'),
        (("delay", "1-2", "5h"), 2, "no such value"),
        (("loss", "1-2", "100%"), 1, "loss is a number from 0 to 0.99"),
        (("rate", "1-2", "fast"), 2, "no such value"),
        (("restore", "new1"), 1, "did you mean new?"),
        (("snapshots", "--remove", "x"), 1, "no snapshot"),
    ],
)
def test_a_command_that_is_wrong_changes_nothing(
    ring: Network, command: Command, words: tuple[str, ...], status: int, sentence: str
) -> None:
    before = ring.plan
    ended, out, err = command(ring.data, *words)
    assert (ended, out) == (status, "")
    assert sentence in err
    assert ring.plan == before


def test_commands_say_that_no_network_runs(tmp_path: Path, ring: Network, command: Command) -> None:
    (tmp_path / "network.json").write_bytes((ring.data / "network.json").read_bytes())
    status, _, said = command(tmp_path, "status")
    assert status == 1
    assert "no network runs" in said
    assert "moneyer net up --data" in said


def test_the_program_of_the_page_runs(net: Network) -> None:
    page = (REPOSITORY / "docs" / "networks.md").read_text("utf-8")
    program = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    assert 'Network("ring:4")' in program
    exec(program.replace('Network("ring:4")', "Network.attach(data)"), {"data": net.data})
    assert net["4"].balance("bob") == 1_002_500_000
