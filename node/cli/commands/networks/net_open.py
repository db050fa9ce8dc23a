"""A network that runs, for commands: by the rule of `net_place`, asked by the command line's own client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .net_place import find_network, find_plan

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ....devnet.live.live_network import Network


def open_network(data: Path | None) -> Network:
    """The network that is meant. Raises ClickException, BadNetwork, NotRunning where no node of it runs."""
    from ....devnet.live.live_network import Network
    from ...node_client import NodeClient

    return Network.attach(find_network(data), client=NodeClient)


def complete_edges(ctx: click.Context, _parameter: click.Parameter, given: str) -> list[CompletionItem]:
    """Edges of the network, for the shell."""
    from click.shell_completion import CompletionItem

    from ....core.errors import MoneyerError

    try:
        edges = find_plan(ctx.params.get("data")).edges
    except (MoneyerError, click.ClickException, OSError):
        return []
    both = (name for edge in edges for name in (f"{edge.a}-{edge.b}", f"{edge.b}-{edge.a}"))
    return [CompletionItem(name) for name in both if name.startswith(given)]
