"""The conditions of a node's links in an experiment, and its way back to a snapshot."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ....core.codec import show
from ....p2p.peer.link_conditions import MAX_FILE_BYTES, MAX_LINKS, LinkFields, from_fields, to_fields
from ....service import Node
from ....store import blocks
from ....store.errors import StoreRefused
from ....store.snapshots.take import check_name, find
from ....system.shares import PEER_WAITS
from ...endpoint import Call, endpoint
from ...http.errors import BadField, BadSnapshot, NoLab, NotFound, NotNow
from ...shapes.fields import Count, Hash


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


class RestoreBody(Struct, forbid_unknown_fields=True):
    snapshot: Annotated[str, Meta(min_length=1, max_length=64)]


class WentBack(Struct):
    """Where the chain is now."""

    snapshot: str
    height: Count
    tip: Hash


@endpoint(
    "POST",
    "/v1/restore",
    "Go back to a snapshot of this node (--lab): whatever happened since is gone",
    reply=WentBack,
    body=RestoreBody,
    changes=True,
    token=True,
    errors=(404, 409),
)
def restore(node: Node, call: Call[None, RestoreBody]) -> WentBack:
    if not node.config.lab:
        raise _no_lab()
    name, data = call.body.snapshot, node.config.data.absolute()
    try:
        check_name(name)
    except StoreRefused as error:
        raise BadField(error.message, field="snapshot", found=name) from None
    folder = data.parent / "snapshots" / name
    if (file := find(folder, data.name)) is None:
        raise NotFound(f"there is no snapshot {name} of this node: {folder} has no {data.name}.db", snapshot=name)
    try:
        node.go_back(file)
    except StoreRefused as error:
        raise BadSnapshot(error.message, snapshot=name) from None
    call.parts.templates.forget()
    call.parts.feed.went_back()
    with node.store.read() as conn:
        tip = blocks.tip(conn)
    return WentBack(name, tip.height, show(tip.block_hash))


def _no_lab() -> NoLab:
    return NoLab("this node is not part of an experiment: start it with --lab")
