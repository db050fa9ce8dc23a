"""From a graph to links with delays: who passes blocks to whom, and how long a block is on its way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...core.errors import quoted
from ..graph.graph import BadGraph, NetworkGraph
from ..graph.graph_reading import read_graph
from .chances import MICROS, BadScenario, Chance, latency_of, shares_of, weights_of
from .scenario import Scenario

_COUNTED: Final = {
    "ring": 2,
    "line": 2,
    "star": 2,
    "tree": 2,
    "complete": None,
    "random": 0,
    "smallworld": 0,
    "grid": 4,
}
"""Shapes that take the number of nodes from the scenario, and about how many links a node has; 0: it is said there."""


class Link(NamedTuple):
    """One direction of an edge: over it a node pushes blocks to a peer, one request at a time."""

    peer: int
    delay: int
    """Microseconds until a block that is sent can be passed on there."""
    trip: int
    """The same until the answer is here, and the link is free; 0: it is free at once."""
    loss: float
    """Share of the messages that are lost, and sent again."""


Links = list[tuple[Link, ...]]
"""By node."""


@dataclass(frozen=True)
class Topology:
    """Nodes are numbers from 0 on, in the graph's order."""

    names: tuple[str, ...]
    links: Links
    shares: list[float]
    """Of the hash rate, the attacker's too; together 1."""
    attacker: int | None

    @property
    def degree(self) -> float:
        """Links of a node, on average."""
        return sum(map(len, self.links)) / len(self.links)


def build_topology(scenario: Scenario) -> Topology:
    """Make or read the graph, and draw what it leaves open. Raises BadGraph, BadScenario."""
    graph = _graph(scenario)
    number = {name: index for index, name in enumerate(graph.names)}
    links: list[list[Link]] = [[] for _ in number]
    draw, chance = latency_of(scenario.latency), Chance(scenario.seed, "latency")
    validation = round(scenario.validation_ms * 1_000)
    for edge in graph.edges:
        latency = round(edge.latency_ms * 1_000) if edge.latency_ms else draw(chance)
        rate = edge.rate or scenario.rate
        delay = latency + validation + (math.ceil(scenario.block_bytes * MICROS / rate) if rate else 0)
        a, b = number[edge.a], number[edge.b]
        loss = edge.loss or scenario.loss
        trip = 0 if scenario.parallel else delay + latency
        links[a].append(Link(b, delay, trip, loss))
        links[b].append(Link(a, delay, trip, loss))
    attacker = 0 if scenario.attacker else None
    shares = _shares(scenario, graph)
    return Topology(graph.names, [tuple(each) for each in links], shares, attacker)


def shape_text(graph: str, nodes: int) -> str:
    """The shape as `read_graph` takes it: with the number of nodes, where it is left out. Raises BadScenario."""
    kind, _, rest = graph.strip().partition(":")
    kind = kind.lower()
    if kind not in _COUNTED or "/" in graph:
        return graph
    if kind == "grid":
        if rest:
            return graph
        rows = next(each for each in range(math.isqrt(nodes), 0, -1) if nodes % each == 0)
        return f"grid:{rows}x{nodes // rows}"
    if kind in ("random", "smallworld"):
        if not rest:
            raise BadScenario(f"graph {quoted(graph)}: say how many links a node has, such as {kind}:8", field="graph")
        return graph if ":" in rest else f"{kind}:{nodes}:{rest}"
    return graph if rest else f"{kind}:{nodes}"


def check_size(scenario: Scenario) -> None:
    """Refuse what does not fit in memory, before a graph is made. Raises BadScenario."""
    text = shape_text(scenario.graph, scenario.nodes)
    kind, _, rest = text.partition(":")
    if kind.lower() not in _COUNTED:
        return  # a file: its size is bounded by who reads it
    degree = rest.split(":")[-1] if kind in ("random", "smallworld") else str(_COUNTED[kind] or scenario.nodes - 1)
    scenario.check_memory(float(degree) if degree.isdecimal() and len(degree) < 10 else 1.0)


def _graph(scenario: Scenario) -> NetworkGraph:
    check_size(scenario)
    graph = read_graph(shape_text(scenario.graph, scenario.nodes), seed=scenario.seed)
    if scenario.attacker and len(graph.nodes) < 2:
        raise BadGraph(f"{graph.text} has one node: an attacker needs somebody to attack")
    return graph


def _shares(scenario: Scenario, graph: NetworkGraph) -> list[float]:
    """Node 0 is the attacker, where there is one; the others divide the rest as the scenario or the graph says."""
    first = 1 if scenario.attacker else 0
    honest = graph.nodes[first:]
    if scenario.hashrate == "equal" and not _are_alike(graph):
        told = graph.shares
        weights = [told.get(node.name, node.hashes or 0.0) if node.miner else 0.0 for node in honest]
    else:
        weights = weights_of(scenario.hashrate)(len(honest), Chance(scenario.seed, "hash rate"))
    shares = shares_of(weights)
    return [scenario.attacker] * first + [share * (1.0 - scenario.attacker) for share in shares]


def _are_alike(graph: NetworkGraph) -> bool:
    return all(node.miner and node.hashrate is None and node.hashes is None for node in graph.nodes)
