"""The whole network that a node belongs to, where one was made from a graph: each of its nodes is asked how it stands.

The plan is the file `network.json` above the data folder. It says at which ports of this machine the other nodes are,
so it is believed only where this process's own user wrote it, and where it names this folder and this port.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...client.client import Client
from ...client.errors import ClientError
from ...config import LOOPBACK, NETWORK_FILE, Config
from ...core.codec import show, show_work
from ...network_file import BadNetwork, NetPlan, PlannedNode, read_plan
from ...service import Node
from ...store import blocks
from ...system.threads import in_threads

_SECONDS: Final = 2.0
"""That a node has for its answer: one that a debugger holds must not hold the picture."""
_AT_ONCE: Final = 16
_MOST_ASKED: Final = 512
"""Nodes that are asked; those beyond are shown as silent. No machine of today runs as many."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the network, as it says. `state`: `up`, `stopped` or `silent`."""

    node: PlannedNode
    is_self: bool
    state: str
    height: int | None = None
    tip: str | None = None
    work: str | None = None


def plan_of(config: Config) -> NetPlan | None:
    """The plan of the network that this node belongs to; None where it belongs to none."""
    data = config.data.absolute()
    try:
        if (data.parent / NETWORK_FILE).stat().st_uid != os.geteuid():
            return None
        plan = read_plan(data.parent)
    except (BadNetwork, OSError):
        return None
    return plan if any(_is_self(node, config, data) for node in plan.nodes) else None


def _is_self(node: PlannedNode, config: Config, data: Path) -> bool:
    return node.folder == data and node.port == config.port


def members_of(node: Node, plan: NetPlan) -> list[Member]:
    """Every node of the plan, in its order: this one as it is, the others as they answer now."""
    data = node.config.data.absolute()
    chain_id = show(node.coin.chain_id)
    asked = [each for each in plan.nodes if not _is_self(each, node.config, data)][:_MOST_ASKED]
    answers = in_threads(lambda each: _ask(each, chain_id), asked, _AT_ONCE)
    told = {member.node.name: member for member in answers}
    found = []
    for each in plan.nodes:
        if _is_self(each, node.config, data):
            with node.store.read() as conn:
                tip = blocks.tip(conn)
            found.append(Member(each, True, "up", tip.height, show(tip.block_hash), show_work(tip.work)))
        else:
            found.append(told.get(each.name, Member(each, False, "silent")))
    return found


def _ask(node: PlannedNode, chain_id: str) -> Member:
    """What another node says at its port of this machine. It goes past the links, so that cut off ones answer, too."""
    try:
        said = Client(node.url).status(_SECONDS)
        if said["chain_id"] == chain_id:  # else another program has taken the port
            return Member(node, False, "up", int(said["height"]), str(said["tip"]), str(said["work"]))
    except ClientError:
        if _listens(node.port):
            return Member(node, False, "silent")
    except (KeyError, TypeError, ValueError):
        pass
    return Member(node, False, "stopped")


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), _SECONDS).close()
    except OSError:
        return False
    return True
