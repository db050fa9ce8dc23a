"""The network: this node, its peers and theirs, as a graph and as a table."""

from __future__ import annotations

from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, page
from .known_nodes import neighbours_of


@page("/network", bound=DEAR_READS, kept_seconds=1.0)
def network_page(visit: Visit[None]) -> Page:
    found = neighbours_of(visit)
    connected = sum(each.told.state == "connected" for each in found.nodes)
    content = {
        "found": found,
        "connected": connected,
        "behind": max((each.told.lag or 0 for each in found.nodes if each.told.is_self), default=0),
    }
    return Page("network.html", content)
