"""Makes the edges of a running network what they shall be: in its plan, and at the nodes of both ends.

A node that runs is told (`PUT /v1/peers/conditions`), and answers when nothing passes over a cut edge any more; one
that does not gets its `links.json`, which it reads at its start. Changes of one network happen one after the other, in
whichever processes: its folder is locked meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...client.errors import NoAnswer
from ...config import Config
from ...core.errors import MoneyerError
from ...p2p.peer.link_conditions import LinkConditions, to_fields, write_conditions
from ...system.advice import typed
from ...system.threads import in_threads
from ...wallet.private_files import locked
from ..net.plan import link_conditions, read_plan, write_plan
from .edges import with_edges

if TYPE_CHECKING:
    from pathlib import Path

    from ..net.plan import NetPlan, PlannedEdge
    from .net_node import NodeHandle

AT_ONCE: Final = 16
"""Nodes that are asked at the same time."""
_CONDITIONS: Final = "/v1/peers/conditions"


@contextmanager
def changing(data: Path) -> Iterator[NetPlan]:
    """The plan as it stands, while no other process changes it. Raises WalletBusy after 10 s, BadNetwork."""
    with locked(data):
        yield read_plan(data)


def change_edges(data: Path, nodes: Sequence[NodeHandle], chosen: Sequence[PlannedEdge], **changes: Any) -> NetPlan:
    """Give these edges other values of PlannedEdge's fields; the new plan, which holds at all nodes then.

    Both ends of each are told, also where the plan had it so: whoever was stopped in the middle of a change has left
    plan and nodes apart.
    """
    with changing(data) as before:
        after = with_edges(before, chosen, **changes)
        write_plan(after)
        ends = {name for edge in chosen for name in (edge.a, edge.b)}
        tell_nodes([node for node in nodes if node.name in ends], after)
    return after


def tell_nodes(nodes: Sequence[NodeHandle], plan: NetPlan) -> None:
    """Make these nodes' links what the plan says: all that can be told, whatever happens with one.

    Raises what the first failed with: NoAnswer for one that runs and does not answer, Refused.
    """

    def told(node: NodeHandle) -> Exception | None:
        try:
            _tell(node, link_conditions(plan, node.name))
        except (MoneyerError, OSError) as error:
            return error
        return None

    for error in in_threads(told, nodes, AT_ONCE):
        if error is not None:
            raise error


def _tell(node: NodeHandle, conditions: dict[str, LinkConditions]) -> None:
    failed: NoAnswer | None = None
    if node.is_running:
        try:
            node.client.put(_CONDITIONS, {"conditions": msgspec.to_builtins(to_fields(conditions))})
            return
        except NoAnswer as error:
            failed = error
    # Also of one that does not answer: it may be killed next, and starts with what stands there.
    write_conditions(Config(node.folder).links_file, conditions)
    if failed is not None and node.is_running:
        raise NoAnswer(
            f"node {node.name} ({node.url}) does not answer: `moneyer net status` shows how it stands, and "
            f"`moneyer net log {typed(node.name)}` what it said"
        ) from failed
