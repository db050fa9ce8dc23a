"""The network that was made from a graph, as a picture: every node of it, also those that are stopped or cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....service import Node
from ....system.shares import PEER_WAITS
from ...endpoint import Call, endpoint
from ...http.errors import NotFound
from ...parts.graph_members import Member, members_of, plan_of
from ...shapes.explore import GraphEdge, GraphNode, NetworkGraph

if TYPE_CHECKING:
    from ....network_file import NetPlan, PlannedEdge


@endpoint(
    "GET",
    "/v1/network/graph",
    "The whole network that was made from a graph, with stopped nodes and cut connections",
    reply=NetworkGraph,
    errors=(404,),
    bound=PEER_WAITS,
)
def network_graph(node: Node, call: Call[None, None]) -> NetworkGraph:
    plan = plan_of(node.config)
    if plan is None:
        raise NotFound("this node belongs to no network from a graph: `moneyer net up --graph ring:6` makes one")
    return _picture(plan, members_of(node, plan))


def _picture(plan: NetPlan, members: list[Member]) -> NetworkGraph:
    best = max((each.height or 0 for each in members), default=0)
    states = {each.node.name: each.state for each in members}
    return NetworkGraph(
        graph=plan.graph,
        nodes=[_node(each, best) for each in members],
        edges=[_edge(each, states) for each in plan.edges],
        best_height=best,
    )


def _node(member: Member, best: int) -> GraphNode:
    return GraphNode(
        name=member.node.name,
        url=member.node.url,
        is_self=member.is_self,
        mines=member.node.miner,
        state=member.state,
        height=member.height,
        lag=None if member.height is None else best - member.height,
        tip=member.tip,
        work=member.work,
    )


def _edge(edge: PlannedEdge, states: dict[str, str]) -> GraphEdge:
    is_open = states[edge.a] == states[edge.b] == "up"
    return GraphEdge(
        from_=edge.a,
        to=edge.b,
        state="cut" if edge.is_cut else "open" if is_open else "down",
        latency_ms=edge.latency_ms,
        loss=edge.loss,
        rate=edge.rate,
    )
