"""A network's plan as a file, its folder made or refused, its logs, how many nodes a machine bears. No processes."""

from __future__ import annotations

import json
import os
import shlex
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from honcho.environ import parse_procfile
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.config import NETWORK_FILE, has_plan
from moneyer.node.devnet.coinfiles import read_coin
from moneyer.node.devnet.graph.graph import EdgeSpec, NetworkGraph, NodeSpec
from moneyer.node.devnet.graph.graph_reading import read_graph
from moneyer.node.devnet.net import capacity
from moneyer.node.devnet.net.building import NetworkUp, PortsTaken, Wishes, build, hold_folder
from moneyer.node.devnet.net.node_logs import MAX_BYTES, NodeLogs, last_lines, log_path, older_log
from moneyer.node.devnet.net.plan import network_rate, node_arguments, write_plan
from moneyer.node.network_file import BadNetwork, NetPlan, PlannedEdge, PlannedNode, plan_json, read_plan
from moneyer.node.p2p.peer.link_conditions import LinkConditions, read_conditions
from tests.kit.system.ports import free_ports
from tests.kit.waiting import wait_until

NAMES = st.lists(st.text("abcXYZäß0123 -'", min_size=1, max_size=8), min_size=2, max_size=6, unique_by=str.casefold)


@pytest.fixture
def wishes() -> Wishes:
    return Wishes(read_graph("line:3"), first_port=free_ports(3))


@given(NAMES, st.data())
def test_a_plan_that_was_written_is_read_as_it_was(names: list[str], data: st.DataObject) -> None:
    rates = st.floats(0, 1e9)
    nodes = tuple(
        PlannedNode(name, 5_000 + number, Path("/net") / name, data.draw(st.booleans()), data.draw(rates), None, False)
        for number, name in enumerate(names)
    )
    cut = PlannedEdge(names[0], names[1], data.draw(st.floats(0, 60_000)), data.draw(st.floats(0, 0.9)), 7, is_cut=True)
    plan = NetPlan(Path("/net"), "a graph: ü", nodes, (cut,), data.draw(st.booleans()))
    assert parsed(plan_json(plan), Path("/net")) == plan


def parsed(content: bytes, data: Path) -> NetPlan:
    """What a file of this content says, as if it lay in `data`."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / NETWORK_FILE).write_bytes(content)
        plan = read_plan(Path(name))
    nodes = tuple(replace(node, folder=data / node.name) for node in plan.nodes)
    return replace(plan, data=data, nodes=nodes)


NODE = {"name": "1", "port": 5001, "miner": True, "hashes": 1.0, "mode": None, "manual": False}
EDGE = {"a": "1", "b": "2", "latency_ms": 0, "loss": 0, "rate": None, "cut": False}


def content(
    *, nodes: list[dict[str, Any]] | None = None, edges: list[dict[str, Any]] | None = None, **more: Any
) -> str:
    two = [NODE, {**NODE, "name": "2", "port": 5002}] if nodes is None else nodes
    return json.dumps({"version": 1, "graph": "g", "mining": True, "nodes": two, "edges": edges or [], **more})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (content(version=2), "of version 2"),
        (content(colour="red"), "unknown field"),
        (content(nodes=[]), "length >= 1"),
        (content(nodes=[{**NODE, "port": 0}]), ">= 1"),
        (content(nodes=[{**NODE, "hashes": -1}]), ">= 0"),
        (content(nodes=[{**NODE, "name": ".."}]), "is no name of a folder"),
        (content(nodes=[{**NODE, "name": "a/b"}]), "is no name of a folder"),
        (content(nodes=[{**NODE, "name": "a\x00b"}]), "is no name of a folder"),
        (content(nodes=[{**NODE, "name": "Logs"}]), "something else in a network's folder"),
        (content(nodes=[NODE, {**NODE, "port": 5002}]), "two nodes are named 1"),
        (content(nodes=[NODE, {**NODE, "name": "2"}]), "two nodes have the same port"),
        (content(edges=[{**EDGE, "b": "3"}]), "no two nodes for the edge 1-3"),
        (content(edges=[{**EDGE, "loss": 1}]), "< 1"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / NETWORK_FILE).write_text(text)
    with pytest.raises(BadNetwork) as refused:
        read_plan(tmp_path)
    assert says in refused.value.message
    assert str(tmp_path / NETWORK_FILE) in refused.value.message


def test_what_stands_in_its_place_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NETWORK_FILE)
    assert not has_plan(tmp_path)
    with pytest.raises(BadNetwork, match="holds no network"):
        read_plan(tmp_path)


def test_a_folder_is_made_with_coin_nodes_links_and_a_procfile(tmp_path: Path) -> None:
    data = tmp_path / "my net"
    graph = NetworkGraph(
        "g",
        (NodeSpec("1", hashrate=0.25), NodeSpec("é b"), NodeSpec("node1", miner=False, manual=True)),
        (EdgeSpec("1", "é b", latency_ms=300, loss=0.1), EdgeSpec("é b", "node1")),
    )
    first = free_ports(3)
    lock = hold_folder(data)
    try:
        plan = build(data, Wishes(graph, first_port=first, block_time=2, retarget=True))
    finally:
        lock.release()
    assert plan == read_plan(data)
    coin = read_coin(plan.coin_file)
    assert (coin.block_time, coin.retarget) == (2, True)
    total = network_rate(coin)
    assert total == 65_537 / 2
    assert [node.hashes for node in plan.nodes] == [total / 4, total * 3 / 4, 0]
    for node in plan.nodes:
        assert read_coin(node.folder / "coin.toml").chain_id == coin.chain_id
    slow = LinkConditions(latency_ms=300, loss=0.1)
    assert read_conditions(plan.node("1").folder / "links.json") == {f"http://127.0.0.1:{first + 1}": slow}
    assert read_conditions(plan.node("node1").folder / "links.json") == {}
    words = node_arguments(plan)["node1"]
    assert [words[at + 1] for at, word in enumerate(words) if word == "--peer"] == [f"http://127.0.0.1:{first + 1}"]
    assert {"--only-peers", "--lab", "--manual"} <= set(words)
    processes = parse_procfile((data / "Procfile").read_text()).processes
    assert list(processes) == ["node1", "node2", "node3", "worker"]
    assert str(plan.node("é b").folder) in shlex.split(processes["node2"])


def test_it_goes_on_as_it_was_and_no_other_network_takes_its_place(tmp_path: Path, wishes: Wishes) -> None:
    plan = build(tmp_path, wishes)
    changed = replace(plan, edges=(replace(plan.edges[0], is_cut=True), *plan.edges[1:]))
    write_plan(changed)
    assert build(tmp_path, Wishes()) == changed
    assert build(tmp_path, Wishes(read_graph("line:3"))) == changed
    assert build(tmp_path, Wishes(is_mining=False)) == replace(changed, is_mining=False)
    moved = build(tmp_path, Wishes(first_port=free_ports(3)))
    assert [node.port for node in moved.nodes] != [node.port for node in plan.nodes]
    with pytest.raises(BadNetwork, match="holds another network"):
        build(tmp_path, Wishes(read_graph("line:4")))
    with pytest.raises(BadNetwork, match="--block-time goes with a new one"):
        build(tmp_path, Wishes(block_time=9))


def test_what_is_in_the_way_is_said(tmp_path: Path, wishes: Wishes) -> None:
    with pytest.raises(BadNetwork, match="say which with --graph"):
        build(tmp_path, Wishes())
    (tmp_path / "node1").mkdir()
    with pytest.raises(BadNetwork, match="holds the data of a node"):
        build(tmp_path, wishes)
    assert not has_plan(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = Wishes(read_graph("line:2"), first_port=busy.getsockname()[1])
        with pytest.raises(PortsTaken, match="taken by another program"):
            build(tmp_path / "a", taken)
        found = build(tmp_path / "b", replace(taken, any_port=True))
        assert busy.getsockname()[1] not in [node.port for node in found.nodes]
    with pytest.raises(PortsTaken, match="ports above 65535"):
        build(tmp_path / "c", Wishes(read_graph("line:9"), first_port=65_530))


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    lock = hold_folder(tmp_path / "net")
    try:
        with pytest.raises(NetworkUp, match="a network runs on"):
            hold_folder(tmp_path / "net")
    finally:
        lock.release()


def test_the_machine_says_how_many_nodes_it_bears() -> None:
    bounds = capacity.bounds()
    assert all(bound.nodes > 0 and bound.why for bound in bounds)
    capacity.check_capacity(1)

    def says_the_least() -> bool:
        """What is free changes while other programs run, also between the two looks."""
        least = min(bound.nodes for bound in capacity.bounds())
        with pytest.raises(
            capacity.TooManyNodes, match=r"this machine bears about [\d,]+ nodes now .*10,000,000"
        ) as refused:
            capacity.check_capacity(10_000_000)
        return bool(refused.value.details["expected"] == least)

    wait_until(says_the_least, 10, "two equal looks at this machine")


def test_a_machine_is_measured_by_its_first_nodes() -> None:
    each = capacity.memory_of([os.getpid()])
    assert each is None or each > 1_000_000
    capacity.check_rest(1, [os.getpid()])
    if each is not None:
        with pytest.raises(capacity.TooManyNodes, match=r"a node takes \d+ MB, measured on the first 1\)"):
            capacity.check_rest(10_000_000, [os.getpid()])


def test_a_log_is_bounded_and_keeps_the_last_lines(tmp_path: Path) -> None:
    logs = NodeLogs(tmp_path)
    for number in range(2_500):
        logs.write("1", f"{number} ".encode() + b"x" * 1_000)
    logs.close()
    path = log_path(tmp_path, "1")
    assert path.stat().st_size <= MAX_BYTES
    assert older_log(path).stat().st_size <= MAX_BYTES
    assert sorted(each.name for each in path.parent.iterdir()) == ["1.log", "1.log.1"]
    assert [line.split()[0] for line in last_lines(tmp_path, "1", 1_200)] == [str(n) for n in range(1_300, 2_500)]
    assert last_lines(tmp_path, "2", 5) == []
