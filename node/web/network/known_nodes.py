"""The nodes that this one knows of, and their tips: a colour and a letter a tip, the same on each page.

What other nodes say of themselves, and of each other, is untrusted text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from ...api.calls.v1_peers import network
from ...api.shapes.explore import Network, NetworkGraph, NetworkLink, NetworkNode
from ...system.text import lettered, shown
from ..frame.pages import Visit, content_of
from .fork_tree import Label

COLOURS: Final = 8
"""`--c0` to `--c7` of the style sheet."""
LONGEST_LABEL: Final = 19
"""Characters."""
STATES: Final = {
    "self": "this node",
    "connected": "connected",
    "down": "does not answer",
    "refused": "refused",
    "reserve": "in reserve",
    "told": "known by hearsay",
    "up": "runs",
    "stopped": "does not run",
    "silent": "does not answer",
}
"""What each state of `/v1/network` and of `/v1/network/graph` is called."""

FIRST_HAND: Final = ("self", "connected")
"""States of nodes whose tip is not hearsay."""


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as the pages show it."""

    told: NetworkNode
    name: str
    """Its address without the scheme."""
    state: str
    """In words."""
    letter: str
    """Of its tip; empty where that is not known."""
    colour: int | None
    neighbours: tuple[str, ...]
    """The ids of the nodes that it is linked with."""


@dataclass(frozen=True, slots=True)
class KnownTip:
    """A tip, and the nodes that are at it as they say."""

    hash: str
    height: int
    letter: str
    """A, B, … Z, AA, …, in the order of `Neighbours.tips`: a colour alone would not do."""
    colour: int
    nodes: tuple[KnownNode, ...]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Everything that this node knows of the network."""

    nodes: tuple[KnownNode, ...]
    """This one first."""
    tips: tuple[KnownTip, ...]
    """Those of this node and of connected peers before those that are hearsay; the most work first."""
    best_height: int
    truncated: bool


def neighbours_of(visit: Visit[Any]) -> Neighbours:
    """What `/v1/network` answers, gathered by tips."""
    found, _ = content_of(visit.ask(network))
    return gathered(found)


def gathered(found: Network) -> Neighbours:
    """The nodes with their tips."""
    work = {each.tip: int(each.work or "0", 16) for each in found.nodes if each.tip is not None}
    # Whoever tells of others may make them up, with as much work as they like: they come last.
    seen = {each.tip for each in found.nodes if each.state in FIRST_HAND}
    place = {tip: number for number, tip in enumerate(sorted(work, key=lambda tip: (tip not in seen, -work[tip], tip)))}
    linked: dict[str, list[str]] = {each.id: [] for each in found.nodes}
    for link in found.links:
        linked[link.from_].append(link.to)
        linked[link.to].append(link.from_)
    nodes = tuple(
        KnownNode(
            told=each,
            name="this node" if each.is_self else name_of(each),
            state=STATES.get(each.state, each.state),
            letter="" if each.tip is None else lettered(place[each.tip]),
            colour=None if each.tip is None else place[each.tip] % COLOURS,
            neighbours=tuple(dict.fromkeys(linked[each.id])),
        )
        for each in found.nodes
    )
    tips = []
    for tip, number in place.items():
        here = tuple(each for each in nodes if each.told.tip == tip)
        # As the first of them says: this node, else a connected one; hearsay may say any height of a tip.
        tips.append(KnownTip(tip, here[0].told.height or 0, lettered(number), number % COLOURS, here))
    return Neighbours(nodes, tuple(tips), found.best_height, found.truncated)


def gathered_graph(found: NetworkGraph) -> Neighbours:
    """The nodes of a graph with their tips, called by their names; those that run say all of it themselves."""
    nodes = [
        NetworkNode(
            id=each.name,
            url=each.url,
            is_self=each.is_self,
            state=each.state,
            height=each.height,
            lag=each.lag,
            tip=each.tip,
            work=each.work,
            agent=None,
            latency_ms=None,
            last_seen=None,
        )
        for each in found.nodes
    ]
    links = [NetworkLink(each.from_, each.to, mutual=True) for each in found.edges]
    known = gathered(Network(nodes, links, found.best_height, truncated=False))
    named = {each.told.id: replace(each, name=each.told.id) for each in known.nodes}
    tips = tuple(replace(tip, nodes=tuple(named[each.told.id] for each in tip.nodes)) for tip in known.tips)
    return replace(known, nodes=tuple(named.values()), tips=tips)


def name_of(node: NetworkNode) -> str:
    """How a node is called: by its address, or where it has told none by the first digits of its id."""
    return node.url.removeprefix("http://") if node.url else f"node {node.id[:8]}"


def labels_of(tip: KnownTip) -> list[Label]:
    """The tip's nodes as labels below its block."""
    return [Label(shown(each.name, LONGEST_LABEL), each.told.is_self, tip.colour) for each in tip.nodes]
