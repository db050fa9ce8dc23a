"""The conditions of a node's links in an experiment: cut, late, lossy, narrow."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ....p2p.peer.link_conditions import MAX_FILE_BYTES, MAX_LINKS, LinkFields, from_fields, to_fields
from ....service import Node
from ....system.shares import PEER_WAITS
from ...endpoint import Call, endpoint
from ...http.errors import NoLab, NotNow


class LinkConditionsBody(Struct, forbid_unknown_fields=True):
    """By the peers' URLs; a link that is not named is like any other."""

    conditions: Annotated[dict[str, LinkFields], Meta(max_length=MAX_LINKS)]


class LinkConditionsPage(Struct):
    conditions: dict[str, LinkFields]


@endpoint(
    "GET",
    "/v1/peers/conditions",
    "How the links with peers are in this experiment (--lab): cut, late, lossy, narrow",
    reply=LinkConditionsPage,
    errors=(409,),
)
def link_conditions(node: Node, call: Call[None, None]) -> LinkConditionsPage:
    links = node.peers.links
    if links is None:
        raise _no_lab()
    return LinkConditionsPage(to_fields(links.conditions))


@endpoint(
    "PUT",
    "/v1/peers/conditions",
    "Set them for all links (--lab); when this answers, nothing is under way on a link that is cut",
    reply=LinkConditionsPage,
    body=LinkConditionsBody,
    changes=True,
    token=True,
    errors=(409, 503),
    limit=MAX_FILE_BYTES,
    bound=PEER_WAITS,
)
def set_link_conditions(node: Node, call: Call[None, LinkConditionsBody]) -> LinkConditionsPage:
    if node.peers.links is None:
        raise _no_lab()
    conditions = from_fields(call.body.conditions)
    if not node.gossip.set_conditions(conditions):
        raise NotNow("the conditions hold, but a request over a link that is cut is still under way: ask again")
    return LinkConditionsPage(to_fields(conditions))


def _no_lab() -> NoLab:
    return NoLab("this node is not part of an experiment: start it with --lab")
