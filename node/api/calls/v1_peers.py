"""The peers that this node knows: listed, added, removed; and the network round it as a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from msgspec import Meta, Struct

from ...core.codec import show, show_work
from ...p2p.gossip import neighbourhood
from ...p2p.gossip.neighbourhood import SELF, Neighbourhood
from ...p2p.peer.urls import MAX_URL
from ...p2p.table.reach import own_url
from ...p2p.table.standing import CUT
from ...service import Node
from ...store import blocks
from ...system.shares import PEER_WAITS
from ..endpoint import Call, endpoint
from ..http.errors import NotFound
from ..shapes.explore import Network, NetworkLink, NetworkNode
from ..shapes.render import peer_view
from ..shapes.v1 import PeerPage, PeerView, RemovedPeer
from .p2p_calls import agent


class PeerBody(Struct, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL)]


@endpoint("GET", "/v1/peers", "Every peer that this node knows", reply=PeerPage)
def list_peers(node: Node, call: Call[None, None]) -> PeerPage:
    live = node.gossip.live()
    rows = [replace(row, state=CUT) if node.peers.is_cut(row.url) else row for row in node.peers.listed()]
    return PeerPage([peer_view(row, live.get(row.url)) for row in rows])


@endpoint(
    "POST",
    "/v1/peers",
    "Connect a peer: it is asked who it is, and taken in where it runs the same coin",
    reply=PeerView,
    status=201,
    body=PeerBody,
    changes=True,
    token=True,
    errors=(422, 503),
    bound=PEER_WAITS,
    peers=True,
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
    errors=(404, 503),
    peers=True,
)
def remove_peer(node: Node, call: Call[None, None]) -> RemovedPeer:
    peer = call.path["peer"]
    if not node.peers.remove(peer):
        raise NotFound("this node knows no such peer", peer=peer[:MAX_URL])
    return RemovedPeer(peer)


@endpoint(
    "GET",
    "/v1/network",
    "This node, its peers and the nodes that these are linked with, with height, tip and lag",
    reply=Network,
)
def network(node: Node, call: Call[None, None]) -> Network:
    node.gossip.watch()
    with node.store.read() as conn:
        tip = blocks.tip(conn)
    own = neighbourhood.NetworkNode(
        node.node_id, own_url(node.config), SELF, tip.height, tip.block_hash, tip.work, agent()
    )
    return _picture(neighbourhood.look_round(own, node.peers.listed(), node.gossip.live()))


def _picture(seen: Neighbourhood) -> Network:
    return Network(
        nodes=[_node(each, seen.best_height) for each in seen.nodes],
        links=[NetworkLink(link.start, link.end, link.is_mutual) for link in seen.links],
        best_height=seen.best_height,
        truncated=seen.is_cut,
    )


def _node(node: neighbourhood.NetworkNode, best: int) -> NetworkNode:
    return NetworkNode(
        id=node.node_id,
        url=node.url,
        is_self=node.state == SELF,
        state=node.state,
        height=node.height,
        lag=None if node.height is None else max(0, best - node.height),
        tip=None if node.tip is None else show(node.tip),
        work=None if node.work is None else show_work(node.work),
        agent=node.agent,
        latency_ms=node.latency_ms,
        last_seen=node.last_seen,
    )
