"""The network as this node sees it: itself, its peers, and the nodes that these say they are linked with.

What a peer says of others is hearsay: it is shown, bounded in number, and used for nothing. What a connected peer says
of itself wins over what others say of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ...core.codec import unshow
from ...store.peers import PeerRow
from ..peer.wire import Neighbour
from ..table.standing import CONNECTED
from .links import LinkSnapshot

MAX_NODES: Final = 300
MAX_LINKS: Final = 2_000
"""Of a picture. Every one of 72 peers may tell of 100 links."""
TOLD: Final = "told"
"""State of a node that only peers told of."""
SELF: Final = "self"


@dataclass(frozen=True, slots=True)
class NetworkNode:
    """A node. What is None is not known: of a peer that is not connected, the tip; of one that was told, the latency.

    `state`: of a peer as in the table of peers, else `self` or `told`; `work`: cumulative; `last_seen`: Unix seconds.
    """

    node_id: str
    """As it says of itself, or as a peer says; its URL where neither did."""
    url: str | None
    state: str
    height: int | None
    tip: bytes | None
    work: int | None
    agent: str | None
    latency_ms: int | None = None
    last_seen: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """`start` is linked with `end`; `is_mutual`: `end` with `start`, too, as far as this node is told. By node_id."""

    start: str
    end: str
    is_mutual: bool


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """This node first, then its peers, then those that were told of."""

    nodes: list[NetworkNode]
    links: list[NetworkLink]
    best_height: int
    """The highest that this node or a connected peer says it is at."""
    is_cut: bool
    """Whether nodes or links were left out."""


def look_round(own: NetworkNode, rows: Iterable[PeerRow], live: Mapping[str, LinkSnapshot]) -> Neighbourhood:
    """`rows`: the table of peers; `live`: URL -> what is known of a connected peer now."""
    nodes = {own.node_id: own}
    for peer in sorted((_peer(row, live.get(row.url)) for row in rows), key=lambda peer: peer.state != CONNECTED):
        nodes.setdefault(peer.node_id, peer)
    told = {url: snapshot for url, snapshot in live.items() if snapshot.node_id in nodes}
    for snapshot in told.values():
        for neighbour in snapshot.neighbours:
            nodes[neighbour.node_id] = _better(nodes.get(neighbour.node_id), _told(neighbour))
    shown = dict(list(nodes.items())[:MAX_NODES])
    asks = [(own.node_id, node.node_id) for node in nodes.values() if node.state == CONNECTED]
    asks += [(each.node_id, neighbour.node_id) for each in told.values() for neighbour in each.neighbours]
    links = _paired(link for link in asks if link[0] in shown and link[1] in shown)
    heights = [node.height for node in nodes.values() if node.state in (SELF, CONNECTED) and node.height is not None]
    is_cut = len(shown) < len(nodes) or len(links) > MAX_LINKS
    return Neighbourhood(list(shown.values()), links[:MAX_LINKS], max(heights), is_cut)


def _peer(row: PeerRow, live: LinkSnapshot | None) -> NetworkNode:
    node = NetworkNode(
        node_id=row.node_id or row.url,
        url=row.url,
        state=row.state,
        height=row.height if row.last_seen is not None else None,
        tip=None,
        work=row.work if row.last_seen is not None else None,
        agent=row.agent or None,
        latency_ms=row.latency_ms,
        last_seen=row.last_seen,
    )
    if live is None:
        return node
    last_seen = max(filter(None, (row.last_seen, live.heard_at)), default=None)
    node = replace(node, node_id=live.node_id, height=live.height, tip=live.tip or None, work=live.work)
    return replace(node, agent=live.agent, latency_ms=live.latency_ms, last_seen=last_seen)


def _told(neighbour: Neighbour) -> NetworkNode:
    tip, work = unshow(neighbour.tip), int(neighbour.work, 16)
    return NetworkNode(
        neighbour.node_id, neighbour.url or None, TOLD, neighbour.height, tip, work, neighbour.agent or None
    )


def _better(known: NetworkNode | None, told: NetworkNode) -> NetworkNode:
    """What to show of a node that a peer tells of. Of several tales the one with the most work: it is the newest."""
    if known is None:
        return told
    if known.state in (SELF, CONNECTED) or (known.tip is not None and (known.work or 0) >= (told.work or 0)):
        return known
    return replace(known, height=told.height, tip=told.tip, work=told.work, agent=told.agent or known.agent)


def _paired(asks: Iterable[tuple[str, str]]) -> list[NetworkLink]:
    """One link for two nodes, whichever of them asks the other."""
    found: dict[tuple[str, str], NetworkLink] = {}
    for start, end in asks:
        if start == end:
            continue
        if (end, start) in found:
            found[end, start] = NetworkLink(end, start, True)
        else:
            found.setdefault((start, end), NetworkLink(start, end, False))
    return list(found.values())
