"""The edges of a network as a person names them, and what becomes of them: cut, healed, slow. Pure: no file, no node.

Each function takes a plan and gives a plan or a part of one; `live_edges` makes the nodes do it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...system.words import joined, nearest, quoted
from .errors import BadCut, UnknownNode

if TYPE_CHECKING:
    from ..net.plan import NetPlan, PlannedEdge, PlannedNode

REST: Final = "rest"
"""In place of a group: all nodes that no other group has."""
MAX_LATENCY_MS: Final = 60_000
"""A minute one way; a node waits less than that for an answer."""
MAX_LOSS: Final = 0.99
MIN_RATE: Final = 100
MAX_RATE: Final = 10**9
"""Bytes a second."""
MAX_HASHES: Final = 10**12
_NAMES: Final = 12
"""Names that a sentence lists at most."""


def node_of(plan: NetPlan, name: object) -> PlannedNode:
    """The node of a name; a whole number is the name that it is written as.

    Raises UnknownNode with the nearest name, or those there are.
    """
    name = str(name) if type(name) is int else name  # networkx counts its nodes
    found = next((node for node in plan.nodes if node.name == name), None)
    if found is not None:
        return found
    names = [node.name for node in plan.nodes]
    wrong = name if isinstance(name, str) else type(name).__name__
    near = nearest(wrong, names)
    hint = f": did you mean {near}?" if near else f". Its nodes are {listed(names)}"
    raise UnknownNode(f"there is no node {quoted(wrong)} in this network{hint}", nearest=near, known=names[:_NAMES])


def edge_of(plan: NetPlan, a: object, b: object) -> PlannedEdge:
    """The edge between two nodes, in whichever order. Raises UnknownNode; BadCut where the graph has none."""
    first, second = node_of(plan, a).name, node_of(plan, b).name
    for edge in plan.edges:
        if {edge.a, edge.b} == {first, second} and first != second:
            return edge
    others = plan.neighbours(first)
    has = f"{first} is linked with {listed(others)}" if others else f"{first} has no edge"
    raise BadCut(f"the graph has no edge {first}-{second}: {has}", known=others[:_NAMES])


def edge_named(plan: NetPlan, text: str) -> PlannedEdge:
    """The edge that `A-B` means; names may have hyphens themselves. Raises UnknownNode, BadCut."""
    names = {node.name for node in plan.nodes}
    ways = [(text[:place], text[place + 1 :]) for place, letter in enumerate(text) if letter == "-"]
    known = [way for way in ways if names.issuperset(way)]
    edges = {frozenset((edge.a, edge.b)) for edge in plan.edges}
    meant = [way for way in known if frozenset(way) in edges] or known
    if len(meant) > 1:
        raise BadCut(f"{quoted(text)} may mean {joined(f'{a} and {b}' for a, b in meant)}: rename one of those nodes")
    if meant:
        return edge_of(plan, *meant[0])
    if not ways:
        raise BadCut(f"{quoted(text)} is no edge: an edge is written A-B, with the names of its two nodes")
    return edge_of(plan, *ways[0])


def groups_of(plan: NetPlan, groups: Sequence[Collection[str]]) -> list[list[str]]:
    """The groups of a split, checked; one group alone is split from all others. Raises UnknownNode, BadCut.

    `rest` as a group stands for all nodes that are in no other (unless a node has that name).
    """
    names = [node.name for node in plan.nodes]
    known: list[list[str]] = []
    rest: int | None = None
    if len(groups) == 1:
        groups = [*groups, [REST]]
    for group in groups:
        members = [group] if isinstance(group, str) else list(group)
        if members == [REST] and REST not in names:
            if rest is not None:
                raise BadCut("rest stands for all other nodes, so it can be said once")
            rest = len(known)
            members = []
        known.append([node_of(plan, name).name for name in members])
    placed = [name for group in known for name in group]
    twice = next((name for name in placed if placed.count(name) > 1), None)
    if twice is not None:
        raise BadCut(f"{twice} is named twice: a node is on one side of a split")
    left = [name for name in names if name not in placed]
    if rest is not None:
        known[rest] = left
    elif left:
        be = "is" if len(left) == 1 else "are"
        raise BadCut(f"{listed(left)} {be} in no group: name them too, or write `rest` as the last group", missing=left)
    if len(known) < 2 or not all(known):
        raise BadCut("a split has two groups or more, and a node in each")
    return known


def groups_named(text: str) -> list[list[str]]:
    """`A,B / C,D` as groups of names; not checked yet."""
    return [[name for name in map(str.strip, group.split(",")) if name] for group in text.split("/")]


def between(plan: NetPlan, groups: Sequence[Collection[str]]) -> list[PlannedEdge]:
    """The edges that lead from one group to another."""
    side = {name: number for number, group in enumerate(groups) for name in group}
    return [edge for edge in plan.edges if side.get(edge.a) != side.get(edge.b)]


def with_edges(plan: NetPlan, edges: Iterable[PlannedEdge], **changes: Any) -> NetPlan:
    """The plan with these edges changed, by fields of PlannedEdge."""
    chosen = {frozenset((edge.a, edge.b)) for edge in edges}
    return replace(
        plan,
        edges=tuple(replace(edge, **changes) if frozenset((edge.a, edge.b)) in chosen else edge for edge in plan.edges),
    )


def parts(plan: NetPlan) -> list[list[str]]:
    """The nodes that hang together by edges that are not cut: one list where the network is whole."""
    near: dict[str, list[str]] = {node.name: [] for node in plan.nodes}
    for edge in plan.edges:
        if not edge.is_cut:
            near[edge.a].append(edge.b)
            near[edge.b].append(edge.a)
    place = {node.name: number for number, node in enumerate(plan.nodes)}
    seen: set[str] = set()
    found: list[list[str]] = []
    for name in near:
        if name not in seen:
            part, waiting = {name}, [name]
            while waiting:
                fresh = set(near[waiting.pop()]) - part
                part |= fresh
                waiting.extend(fresh)
            seen |= part
            found.append(sorted(part, key=place.__getitem__))
    return found


def latency(value: object) -> float:
    """Milliseconds one way. Raises BadCut."""
    return _within(value, "a delay", 0, MAX_LATENCY_MS, "milliseconds")


def loss(value: object) -> float:
    """The share of messages that are lost. Raises BadCut."""
    return _within(value, "loss", 0, MAX_LOSS, "as a share: 0.1 is a tenth")


def rate(value: object) -> int | None:
    """Bytes a second; None, or 0, is no bound. Raises BadCut."""
    if value is None or (value == 0 and not isinstance(value, bool)):
        return None
    return int(_within(value, "a rate", MIN_RATE, MAX_RATE, "bytes a second, or 0 for no bound"))


def with_hashes(plan: NetPlan, name: str, value: object) -> tuple[NetPlan, float]:
    """The plan with another hash rate of a node, and the one before. Raises UnknownNode, BadCut."""
    wanted, changed = _within(value, "a hash rate", 0, MAX_HASHES, "hashes a second"), node_of(plan, name)
    if not changed.miner:
        raise BadCut(f"node {changed.name} has no worker: the graph says that it does not mine", node=changed.name)
    nodes = (
        replace(node, hashes=wanted if node is changed else node.hashes if plan.is_mining else 0.0)
        for node in plan.nodes
    )
    before = changed.hashes if plan.is_mining else 0.0
    return replace(plan, nodes=tuple(nodes), is_mining=True), before


def _within(value: object, what: str, low: float, high: float, unit: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
        return value
    raise BadCut(f"{what} is a number from {low:,} to {high:,} ({unit}), not {quoted(str(value))}")


def listed(names: Sequence[str]) -> str:
    """`a, b and c`, and how many more there are."""
    if len(names) > _NAMES:
        return f"{', '.join(names[:_NAMES])} and {len(names) - _NAMES} more"
    return joined(names, "and") if names else "none"
