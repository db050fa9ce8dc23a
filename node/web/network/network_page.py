"""The network: this node, its peers and theirs; or all of the network from a graph that it belongs to.

Both as a picture and as a table. `?view=own` is the first where the second could be shown.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...api.calls.lab.v1_graph import network_graph
from ...api.http.errors import NotFound
from ...api.shapes.explore import NetworkGraph
from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, page
from .known_nodes import gathered_graph, neighbours_of


class NetworkQuery(Struct, forbid_unknown_fields=True):
    view: Annotated[str, Meta(pattern="^own$", extra={"known": ("own",)})] | None = None


@page("/network", query=NetworkQuery, bound=DEAR_READS, kept_seconds=1.0)
def network_page(visit: Visit[NetworkQuery]) -> Page:
    is_own = visit.query.view == "own"
    graph = None if is_own else _graph(visit)
    found = neighbours_of(visit) if graph is None else gathered_graph(graph)
    content = {
        "found": found,
        "graph": graph,
        "is_own": is_own,
        "connected": sum(each.told.state == "connected" for each in found.nodes),
        "running": sum(each.told.state == "up" for each in found.nodes),
        "behind": max((each.told.lag or 0 for each in found.nodes if each.told.is_self), default=0),
    }
    return Page("network.html", content)


def _graph(visit: Visit[NetworkQuery]) -> NetworkGraph | None:
    try:
        return visit.ask(network_graph)
    except NotFound:
        return None
