"""The node at a glance, its health and its figures, and the coin it is for."""

from __future__ import annotations

from ...core.errors import MoneyerError
from ...p2p.table.standing import CONNECTED
from ...service import Node
from ...store import blocks, peers
from ..endpoint import Call, Reply, Text, endpoint
from ..parts.answers import Rendered
from ..parts.metrics import METRICS_TYPE
from ..shapes.fields import encode
from ..shapes.v1 import CoinFields, Health, PeerCounts, Status


@endpoint(
    "GET", "/v1/status", "The node at a glance: coin, tip, work, mempool, peers, worker", reply=Status, bound=None
)
def status(node: Node, call: Call[None, None]) -> Rendered:
    return Rendered(call.parts.status.render())


@endpoint(
    "GET",
    "/v1/coin",
    "The whole coin, so that a newcomer can join with a URL alone",
    reply=CoinFields,
    bound=None,
    kept=True,
)
def coin(node: Node, call: Call[None, None]) -> Rendered:
    return Rendered(encode(node.coin.as_json()))


@endpoint(
    "GET",
    "/healthz",
    "Whether the node can do its work: read its database, write to it; and how many peers answered",
    reply=Health,
    also={503: Health},
    is_health=True,
)
def healthz(node: Node, call: Call[None, None]) -> Health | Reply:
    health = Health(
        status="failing",
        height=None,
        database=False,
        writer=node.store.is_writing,
        peers=PeerCounts(0, 0),
        busy=list(call.parts.flights.places.busy()),
        problem=None,
    )
    try:
        node.store.check_file()
        with node.store.read() as conn:
            health.height = blocks.tip(conn).height
            states = peers.states(conn)
    except MoneyerError as error:
        health.problem = f"the database cannot be used: {error.message}"
        return Reply(503, health)
    health.database = True
    health.peers = PeerCounts(len(states), sum(state == CONNECTED for state in states.values()))
    if not health.writer:
        health.problem = "the thread that writes to the database has ended: start the node again"
        return Reply(503, health)
    health.status = "ok"
    return health


@endpoint(
    "GET",
    "/metrics",
    "The node in figures, for Prometheus",
    reply=Text("Prometheus text format 0.0.4", METRICS_TYPE),
)
def metrics(node: Node, call: Call[None, None]) -> Rendered:
    return Rendered(call.parts.metrics.render(), METRICS_TYPE)
