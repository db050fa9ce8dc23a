"""Makes a network's plan from a graph: ports, hash rates; writes it, and what each node starts with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...config import NETWORK_FILE
from ...core.coin import Coin
from ...core.pow import block_work, decode_bits
from ...network_file import (
    BadNetwork,
    NetPlan,
    PlannedEdge,
    PlannedNode,
    check_plan,
    plan_json,
    read_plan,
)
from ...p2p.peer.link_conditions import LinkConditions
from ...system.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from ..graph.graph import NetworkGraph

__all__ = [
    "BadNetwork",
    "NetPlan",
    "PlannedEdge",
    "PlannedNode",
    "link_conditions",
    "new_plan",
    "node_arguments",
    "read_plan",
    "worker_arguments",
    "write_plan",
]

_PROCESS: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""Names of processes as honcho reads them."""


def new_plan(data: Path, graph: NetworkGraph, ports: Sequence[int], coin: Coin) -> NetPlan:
    """The plan of a graph whose nodes have these ports, in the graph's order. Raises BadNetwork."""
    data = data.absolute()
    hashes = hash_rates(graph, network_rate(coin))
    nodes = tuple(
        PlannedNode(spec.name, port, data / spec.name, spec.miner, hashes[spec.name], spec.mode, spec.manual)
        for spec, port in zip(graph.nodes, ports, strict=True)
    )
    edges = tuple(PlannedEdge(edge.a, edge.b, edge.latency_ms, edge.loss, edge.rate) for edge in graph.edges)
    plan = NetPlan(data, graph.text, nodes, edges)
    check_plan(plan)
    return plan


def network_rate(coin: Coin) -> float:
    """Hashes a second by which all together find a block in the coin's block time, at its easiest."""
    return block_work(decode_bits(coin.pow_limit)) / coin.block_time


def hash_rates(graph: NetworkGraph, total: float) -> dict[str, float]:
    """Hashes a second of each node: those that it asks for, else `total` by its share, where nobody has one by the
    number of miners."""
    shares, miners = graph.shares, sum(spec.miner for spec in graph.nodes)
    return {
        spec.name: 0.0
        if not spec.miner
        else (total * shares.get(spec.name, 1 / miners) if spec.hashes is None else float(spec.hashes))
        for spec in graph.nodes
    }


def with_ports(plan: NetPlan, ports: Sequence[int]) -> NetPlan:
    """The same network on other ports."""
    nodes = tuple(replace(node, port=port) for node, port in zip(plan.nodes, ports, strict=True))
    return replace(plan, nodes=nodes)


def write_plan(plan: NetPlan) -> None:
    """Write `network.json`, whole or not at all. Raises OSError."""
    write_whole(plan.data / NETWORK_FILE, plan_json(plan), mode=0o600)


def link_conditions(plan: NetPlan, name: str) -> dict[str, LinkConditions]:
    """What a node is told of its links, by the neighbour's URL: the conditions of its edges, without plain ones."""
    conditions = {
        node.url: LinkConditions(edge.is_cut, edge.latency_ms, edge.loss, edge.rate)
        for node, edge in plan.edges_of(name)
    }
    return {url: each for url, each in conditions.items() if not each.is_plain}


def node_arguments(plan: NetPlan) -> dict[str, list[str]]:
    """Node's name -> the arguments of `moneyer` that start it: its neighbours are its only peers."""
    network: dict[str, list[str]] = {}
    for node in plan.nodes:
        words = ["node", "--data", str(node.folder), "--port", str(node.port), "--dev", "--lab", "--only-peers"]
        if node.manual:
            words.append("--manual")
        for neighbour in plan.edges_of(node.name):
            words += ["--peer", neighbour[0].url]
        network[node.name] = words
    return network


def worker_arguments(plan: NetPlan) -> list[str]:
    """The arguments of `moneyer` that start the network's worker."""
    return ["net", "worker", "--data", str(plan.data)]


def processes(plan: NetPlan) -> dict[str, list[str]]:
    """As a Procfile has them, where a process's name has ASCII letters and digits only: the nodes, then the worker."""
    named: dict[str, list[str]] = {}
    for number, (name, words) in enumerate(node_arguments(plan).items(), 1):
        plain = f"node{name}" if name.isdecimal() else name
        fits = _PROCESS.fullmatch(plain) is not None and plain not in named
        named[plain if fits else f"node{number}"] = words
    return {**named, "worker": worker_arguments(plan)}
