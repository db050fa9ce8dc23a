"""Places the nodes of a graph in a picture, by its shape where it has one, else by forces; the same graph always alike.

A ring and a complete graph lie on a circle, a star round its middle, a line in a row, a tree in rows, a grid as it is.
Anything else starts on a circle and is moved by springs along its edges while all nodes push each other away
(Fruchterman and Reingold, "Graph Drawing by Force-directed Placement", 1991); networkx's own wants numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from .graph import NetworkGraph

Place = tuple[float, float]
"""x to the right and y down, in distances of two linked nodes."""

_ROUNDS: Final = 120
_MOST_BY_FORCES: Final = 150
"""Nodes; the work grows with their square. More lie on a circle."""


def places(graph: NetworkGraph) -> dict[str, Place]:
    """Where each node stands."""
    kind, _, rest = graph.text.partition(":")
    if kind == "grid" and "x" in rest:
        columns = int(rest.partition("x")[2])
        return {name: (number % columns, number // columns) for number, name in enumerate(graph.names)}
    rows = math.sqrt(len(graph.nodes)) * 2 + 4
    found: dict[str, Place] = {}
    right = top = bottom = 0.0
    for part in graph.components():  # side by side, and in rows
        placed = _part(graph, set(part))
        left, above = min(x for x, _ in placed.values()), min(y for _, y in placed.values())
        width = max(x for x, _ in placed.values()) - left
        if right and right + width > rows:
            right, top = 0.0, bottom
        found |= {name: (x - left + right, y - above + top) for name, (x, y) in placed.items()}
        right += width + 1.2
        bottom = max(bottom, top + max(y for _, y in placed.values()) - above + 1.2)
    return {name: found[name] for name in graph.names}


def _part(graph: NetworkGraph, names: set[str]) -> dict[str, Place]:
    """Places what hangs together."""
    nodes = tuple(node for node in graph.nodes if node.name in names)
    if len(nodes) == 1:
        return {nodes[0].name: (0, 0)}
    part = NetworkGraph(graph.text, nodes, tuple(edge for edge in graph.edges if edge.a in names))
    degrees = {name: len(part.neighbours(name)) for name in part.names}
    place = _by_shape(part, degrees)
    if place is not None:
        return place(part, degrees)
    return _by_forces(part) if len(nodes) <= _MOST_BY_FORCES else _circle(list(part.names))


_Placer = Callable[[NetworkGraph, Mapping[str, int]], dict[str, Place]]


def _by_shape(graph: NetworkGraph, degrees: Mapping[str, int]) -> _Placer | None:
    """How a connected graph is placed that has a shape; None where it has none."""
    count, found = len(graph.nodes), sorted(degrees.values())
    if graph.text.startswith(("smallworld:", "complete:")) or found == [count - 1] * count:
        return lambda graph, _: _circle(list(graph.names))
    if found == [2] * count:
        return lambda graph, _: _circle(_walk(graph, graph.names[0]))
    if len(graph.edges) == count - 1:
        if found[-1] <= 2:
            return _line
        return _star if found[-1] == count - 1 else _tree
    return None


def _circle(names: list[str]) -> dict[str, Place]:
    """Round a circle, the first on top, clockwise."""
    radius = 0.5 / math.sin(math.pi / len(names)) if len(names) > 2 else 0.5
    radius = min(radius, len(names) / 4 + 0.5)
    angles = (2 * math.pi * number / len(names) - math.pi / 2 for number in range(len(names)))
    return {
        name: (radius * math.cos(angle), radius * math.sin(angle)) for name, angle in zip(names, angles, strict=True)
    }


def _walk(graph: NetworkGraph, first: str) -> list[str]:
    """The nodes of a ring or a line in their order from one of them."""
    found = {first: None}
    at: str | None = first
    while at is not None:
        at = next((name for name in graph.neighbours(at) if name not in found), None)
        if at is not None:
            found[at] = None
    return list(found)


def _line(graph: NetworkGraph, degrees: Mapping[str, int]) -> dict[str, Place]:
    first = next(name for name in graph.names if degrees[name] == 1)
    return {name: (number, 0) for number, name in enumerate(_walk(graph, first))}


def _star(graph: NetworkGraph, degrees: Mapping[str, int]) -> dict[str, Place]:
    middle = max(graph.names, key=lambda name: degrees[name])
    round_it = _circle([name for name in graph.names if name != middle])
    longest = max(math.hypot(*place) for place in round_it.values())
    grown = max(1.0, 1 / longest)
    return {middle: (0, 0), **{name: (x * grown, y * grown) for name, (x, y) in round_it.items()}}


def _tree(graph: NetworkGraph, degrees: Mapping[str, int]) -> dict[str, Place]:
    """In rows below the first node; leaves stand side by side, each other node over the middle of its own."""
    order: list[tuple[str, str | None, int]] = []
    waiting: list[tuple[str, str | None, int]] = [(graph.names[0], None, 0)]
    while waiting:
        name, above, depth = waiting.pop()
        order.append((name, above, depth))
        waiting.extend((child, name, depth + 1) for child in reversed(graph.neighbours(name)) if child != above)
    below: dict[str, list[str]] = {}
    for name, above, _ in order:
        below[name] = []
        if above is not None:
            below[above].append(name)
    column: dict[str, float] = {}
    for number, leaf in enumerate(name for name, _, _ in order if not below[name]):
        column[leaf] = number
    for name, _, _ in reversed(order):
        if below[name]:
            column[name] = (column[below[name][0]] + column[below[name][-1]]) / 2
    return {name: (column[name], float(depth)) for name, _, depth in order}


def _by_forces(graph: NetworkGraph) -> dict[str, Place]:
    names = graph.names
    at = {name: [x, y] for name, (x, y) in _circle(list(names)).items()}
    if len(names) < 2:
        return dict.fromkeys(names, (0.0, 0.0))
    size = max(math.hypot(*place) for place in at.values())
    for number in range(_ROUNDS):
        push = {name: [0.0, 0.0] for name in names}
        for index, a in enumerate(names):
            ax, ay = at[a]
            for b in names[index + 1 :]:
                dx, dy = ax - at[b][0], ay - at[b][1]
                square = dx * dx + dy * dy or 1e-9
                _move(push[a], push[b], dx / square, dy / square)
        for edge in graph.edges:
            dx, dy = at[edge.a][0] - at[edge.b][0], at[edge.a][1] - at[edge.b][1]
            length = math.hypot(dx, dy)
            _move(push[edge.a], push[edge.b], -dx * length, -dy * length)
        # As it cools, a node moves less far; all are drawn a little to the middle.
        furthest = size / 5 * (1 - number / _ROUNDS)
        for name in names:
            dx, dy = push[name][0] - at[name][0] / 5, push[name][1] - at[name][1] / 5
            step = min(1.0, furthest / (math.hypot(dx, dy) or 1))
            at[name][0] += dx * step
            at[name][1] += dy * step
    return {name: (round(x, 3), round(y, 3)) for name, (x, y) in at.items()}


def _move(one: list[float], other: list[float], dx: float, dy: float) -> None:
    one[0] += dx
    one[1] += dy
    other[0] -= dx
    other[1] -= dy
