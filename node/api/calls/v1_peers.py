"""The peers that this node knows: listed, added, removed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...p2p.peer.urls import MAX_URL
from ...service import Node
from ...system.shares import PEER_WAITS
from ..endpoint import Call, endpoint
from ..http.errors import NotFound
from ..shapes.render import peer_view
from ..shapes.v1 import PeerPage, PeerView, RemovedPeer


class PeerBody(Struct, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL)]


@endpoint("GET", "/v1/peers", "Every peer that this node knows", reply=PeerPage)
def list_peers(node: Node, call: Call[None, None]) -> PeerPage:
    live = node.gossip.live()
    return PeerPage([peer_view(row, live.get(row.url)) for row in node.peers.listed()])


@endpoint(
    "POST",
    "/v1/peers",
    "Connect a peer: it is asked who it is, and taken in where it runs the same coin",
    reply=PeerView,
    status=201,
    body=PeerBody,
    changes=True,
    token=True,
    errors=(422,),
    bound=PEER_WAITS,
)
def add_peer(node: Node, call: Call[None, PeerBody]) -> PeerView:
    return peer_view(node.peers.add(call.body.url))


@endpoint(
    "DELETE",
    "/v1/peers/{peer}",
    "Forget a peer, named as host:port",
    reply=RemovedPeer,
    changes=True,
    token=True,
    errors=(404,),
)
def remove_peer(node: Node, call: Call[None, None]) -> RemovedPeer:
    peer = call.path["peer"]
    if not node.peers.remove(peer):
        raise NotFound("this node knows no such peer", peer=peer[:MAX_URL])
    return RemovedPeer(peer)
