"""How a network stands, as JSON (`moneyer net status --json`): what each node says of itself, and its edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...client.errors import ClientError
from ...system.threads import in_threads
from ..net.control import Control, ControlRefused, NotRunning
from . import edges
from .live_edges import AT_ONCE
from .net_node import CONNECTED, NodeHandle

if TYPE_CHECKING:
    from ..net.plan import NetPlan, PlannedEdge

_LOOK_SECONDS = 3.0
"""That a node has for an answer: one that is stopped by a debugger must not stop the table."""


def view(plan: NetPlan, nodes: Sequence[NodeHandle]) -> dict[str, Any]:
    """`data`, `graph`, `height` (the best), `tips` (how many), `parts`, `nodes`, `edges`, `worker` (its state).

    What a node that does not answer would say is null.
    """
    try:
        told = Control.find(plan.data).status()
        processes, worker = told["nodes"], told["worker"]
    except (NotRunning, ControlRefused):
        processes, worker = {}, None  # run by honcho, or not at all
    linked: dict[str, set[str]] = {}

    def look(node: NodeHandle) -> dict[str, Any]:
        row, linked[node.name] = _look(node, processes.get(node.name, {}))
        return row

    rows = in_threads(look, nodes, AT_ONCE)
    best = max((row["height"] for row in rows if row["height"] is not None), default=None)
    for row in rows:
        row["lag"] = None if row["height"] is None or best is None else best - row["height"]
        row["neighbours"] = plan.neighbours(row["name"])
    states = {row["name"]: row["state"] for row in rows}
    down = {node.url for node in nodes if states[node.name] != "up"}  # which others take some time to notice
    for row in rows:
        row["peers"] = None if row["height"] is None else len(linked[row["name"]] - down)
    urls = {node.name: node.url for node in nodes}
    return {
        "data": str(plan.data),
        "graph": plan.graph,
        "height": best,
        "tips": len({row["tip"] for row in rows if row["tip"] is not None}),
        "parts": edges.parts(plan),
        "nodes": rows,
        "worker": None if worker is None else worker["state"],
        "edges": [_edge(edge, states, urls, linked) for edge in plan.edges],
    }


def _look(node: NodeHandle, process: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """A node's row, and the URLs that it is linked with."""
    state = process.get("state") or ("up" if node.is_running else "stopped")
    said: dict[str, Any] = {}
    peers: set[str] = set()
    if state == "up":
        try:
            said = node.client.status(_LOOK_SECONDS)
            peers = {peer["url"] for peer in node.client.peers() if peer["state"] == CONNECTED}
        except ClientError:
            state = "silent"
    worker = said.get("worker", {})
    row = {
        "name": node.name,
        "url": node.url,
        "state": state,
        "height": said.get("height"),
        "tip": said.get("tip"),
        "lag": None,
        "peers": None,
        "mempool": said["mempool"]["count"] if said else None,
        "hashrate": worker.get("hashrate") if worker.get("alive") else None,
        "pid": process.get("pid"),
        "exit": process.get("exit"),
        "said": process.get("said"),
    }
    return row, peers


def _edge(
    edge: PlannedEdge, states: dict[str, str], urls: dict[str, str], linked: dict[str, set[str]]
) -> dict[str, Any]:
    if edge.is_cut:
        state = "cut"
    elif states[edge.a] != "up" or states[edge.b] != "up":
        state = "down"
    else:
        both = urls[edge.b] in linked[edge.a] and urls[edge.a] in linked[edge.b]
        state = "linked" if both else "waiting"
    return {
        "a": edge.a,
        "b": edge.b,
        "state": state,
        "cut": edge.is_cut,
        "latency_ms": edge.latency_ms,
        "loss": edge.loss,
        "rate": edge.rate,
    }


def one_line(status: dict[str, Any]) -> str:
    """For an error: `1: height 3 (00ab12), 2: stopped`."""
    told = [
        f"{row['name']}: " + (row["state"] if row["height"] is None else f"{row['height']} ({row['tip'][:8]})")
        for row in status["nodes"][:12]
    ]
    more = "" if len(status["nodes"]) <= 12 else ", …"
    return f"Heights and tips: {', '.join(told)}{more}"
