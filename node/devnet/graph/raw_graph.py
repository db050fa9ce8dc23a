"""What stands in a file that a reader has read, and its way into a `NetworkGraph`: every rule of graphs is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ...network_file import RESERVED
from ...system.text import shown
from ...wallet.errors import BadName
from ...wallet.names import check_name, name_key
from . import attributes
from .attributes import Attributes, Hashes
from .graph import MOST_EDGES, MOST_NODES, BadGraph, EdgeSpec, NetworkGraph, NodeSpec, Place

_LONGEST: Final = 40
"""Characters of a wrong name that an error repeats."""


@dataclass(frozen=True, slots=True)
class RawNode:
    """A vertex as it stands in a file."""

    id: str
    attributes: Attributes
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RawEdge:
    """An edge between the ids `a` and `b`."""

    a: str
    b: str
    attributes: Attributes
    line: int | None = None
    is_directed: bool = False
    """From a to b; then b to a is the same connection, and not a double edge."""
    may_repeat: bool = False
    """A second one of these is the same connection, too (a `strict` graph of DOT)."""


@dataclass(frozen=True, slots=True)
class RawGraph:
    """A graph as it stands in a file."""

    place: Place
    nodes: Sequence[RawNode]
    edges: Sequence[RawEdge]


def check(raw: RawGraph, text: str) -> NetworkGraph:
    """The graph, if it can be a network. `text`: what it is called. Raises BadGraph."""
    if not raw.nodes:
        raise raw.place.refuse("the graph has no nodes: a network has at least one")
    if len(raw.nodes) > MOST_NODES or len(raw.edges) > MOST_EDGES:
        raise raw.place.refuse(
            f"the graph has {len(raw.nodes):,} nodes and {len(raw.edges):,} edges: {MOST_NODES:,} nodes and "
            f"{MOST_EDGES:,} edges are the most"
        )
    names, nodes = _nodes(raw)
    _check_hash_rates(raw, names, nodes)
    return NetworkGraph(text, tuple(nodes.values()), tuple(_edges(raw, names).values()))


def place_of(place: Place, kind: str, name: str, line: int | None) -> Place:
    return place.at(line, f"{kind} {shown(name, _LONGEST)}")


# --- nodes -------------------------------------------------------------------------------------------------------


def _nodes(raw: RawGraph) -> tuple[dict[str, str], dict[str, NodeSpec]]:
    """id -> name, and name -> node."""
    names: dict[str, str] = {}
    nodes: dict[str, NodeSpec] = {}
    folders: dict[str, RawNode] = {}
    for row in raw.nodes:
        place = place_of(raw.place, "node", row.id, row.line)
        if row.id in names:
            raise place.refuse("it is in the file twice: leave one out")
        read = attributes.read(row.attributes, attributes.OF_NODES, place)
        name = _name(str(read.pop("name", row.id)), place)
        other = folders.setdefault(name_key(name), row)
        if other is not row:
            first = names[other.id]
            raise place.refuse(
                f"there is a node {first} already{_line(other)}"
                + ("" if first == name else f", and {name} differs from it in the case of letters only")
                + ": each node has a folder of its name, so give them names of their own"
            )
        names[row.id] = name
        nodes[name] = _node(name, read, place)
    return names, nodes


def _name(name: str, place: Place) -> str:
    try:
        clean = check_name(name)
    except BadName as error:
        raise place.refuse(error.message) from None
    if name_key(clean) in RESERVED:
        raise place.refuse(f"{clean} is kept in the network's folder for other things: give the node another name")
    return clean


def _node(name: str, read: dict[str, Any], place: Place) -> NodeSpec:
    if isinstance(read.get("hashrate"), Hashes):
        if "hashes" in read:
            raise place.refuse("it has its hashes a second twice, in hashrate and in hashes: leave one out")
        read["hashes"] = float(read.pop("hashrate"))
    node = NodeSpec(name, **read)
    if node.hashrate is not None and node.hashes is not None:
        raise place.refuse("it has a hashrate (a share) and hashes (a second): leave one out")
    if not node.miner and (node.hashrate or node.hashes):
        raise place.refuse("it does not mine (miner is false), so it has no hash rate: leave one out")
    return replace(node, hashrate=None, hashes=None) if not node.miner else node


def _check_hash_rates(raw: RawGraph, names: dict[str, str], nodes: dict[str, NodeSpec]) -> None:
    """Shares or hashes, not both; hashes for all miners or none; shares that leave something to share."""
    miners = [(row, nodes[names[row.id]]) for row in raw.nodes if nodes[names[row.id]].miner]

    def refuse(row: RawNode, why: str) -> BadGraph:
        return place_of(raw.place, "node", names[row.id], row.line).refuse(why)

    absolute = next((node for _, node in miners if node.hashes is not None), None)
    if absolute is not None:
        for row, node in miners:
            if node.hashrate is not None:
                raise refuse(row, f"it has a share of the work, and {absolute.name} hashes a second: use one for all")
            if node.hashes is None:
                raise refuse(row, f"it has no hashes, and {absolute.name} has: give each miner its hashes a second")
        return
    told = [(row, node.hashrate) for row, node in miners if node.hashrate is not None]
    silent = [node.name for _, node in miners if node.hashrate is None]
    total = sum(share for _, share in told)
    if told and silent and total >= 1:
        raise refuse(
            told[-1][0],
            f"the shares that nodes have are {total:g} together, which leaves nothing for {silent[0]}, a miner without "
            "one: shares are parts of 1 (0.4), or all miners have one",
        )
    if told and not silent and not total:
        raise refuse(told[-1][0], "every miner's share is 0, so nobody mines: give one of them a share")


# --- edges -------------------------------------------------------------------------------------------------------


def _edges(raw: RawGraph, names: dict[str, str]) -> dict[tuple[str, str], EdgeSpec]:
    found: dict[tuple[str, str], EdgeSpec] = {}
    rows: dict[tuple[str, str], RawEdge] = {}
    for row in raw.edges:
        place = place_of(raw.place, "edge", f"{names.get(row.a, row.a)}-{names.get(row.b, row.b)}", row.line)
        for end in (row.a, row.b):
            if end not in names:
                raise place.refuse(f"there is no node {shown(end, _LONGEST)} in the file")
        if row.a == row.b:
            raise place.refuse("it leads from a node to itself: leave it out")
        a, b = names[row.a], names[row.b]
        edge = EdgeSpec(a, b, **attributes.read(row.attributes, attributes.OF_EDGES, place))
        between = (min(a, b), max(a, b))
        if between not in found:
            found[between], rows[between] = edge, row
            continue
        first = rows[between]
        _check_repeats(first, row, place)
        if not first.attributes:
            found[between] = replace(edge, a=found[between].a, b=found[between].b)
        elif row.attributes and _conditions(edge) != _conditions(found[between]):
            raise place.refuse(
                f"it stands in the file for both directions, with another delay, loss or rate{_line(first)}: a "
                "connection is the same both ways, so make them equal"
            )
    return found


def _conditions(edge: EdgeSpec) -> tuple[float, float, int | None]:
    return edge.latency_ms, edge.loss, edge.rate


def _check_repeats(first: RawEdge, second: RawEdge, place: Place) -> None:
    """Raises BadGraph where `second` is another edge between the same nodes, and not the way back of `first`."""
    is_way_back = first.is_directed and second.is_directed and (first.a, first.b) == (second.b, second.a)
    if not is_way_back and not (first.may_repeat and second.may_repeat):
        raise place.refuse(f"there is an edge between these two already{_line(first)}: leave one out")


def _line(row: RawNode | RawEdge) -> str:
    return f" (line {row.line:,})" if row.line is not None else ""
