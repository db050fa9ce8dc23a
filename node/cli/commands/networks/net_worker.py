"""`moneyer net worker`: the process that mines for all nodes of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...options import log_json, log_level
from .net_place import find_network, net_folder

if TYPE_CHECKING:
    from ....network_file import NetPlan


@click.command()
@net_folder
@log_level
@log_json
def worker(data: Path | None, log_level: str, *, log_json: bool) -> int:
    """Run the worker of a network, which mines for all its nodes.

    `moneyer net up` starts it, and so does honcho by the network's Procfile. It follows `network.json`: the hash rates
    there may change while it runs.

    \b
    moneyer net worker --data ring
    """
    from ....system.lifecycle import watch_launcher, without_collecting

    watch_launcher()
    with without_collecting():
        from .....worker.shared.node_place import SharedNode
        from .....worker.shared.shared_worker import run_shared
    from ....network_file import read_plan

    folder = find_network(data)
    plan = read_plan(folder)
    rates = rates_of(plan)
    miners = [
        SharedNode(node.folder, rates[node.folder], node.mode or "continuous") for node in plan.nodes if node.miner
    ]
    return run_shared(miners, rates=_reread(folder), log_level=log_level, log_json=log_json)


def rates_of(plan: NetPlan) -> dict[Path, float]:
    """Hashes a second by data folder, of the nodes that mine; 0 while only what is asked for is mined."""
    return {node.folder: node.hashes if plan.is_mining else 0.0 for node in plan.nodes if node.miner}


def _reread(folder: Path) -> Callable[[], Mapping[Path, float] | None]:
    """Gives the rates that `network.json` has, when the file is another one than it was."""
    from ....config import NETWORK_FILE
    from ....network_file import read_plan

    path = folder / NETWORK_FILE
    seen: object = None

    def rates() -> Mapping[Path, float] | None:
        nonlocal seen
        state = path.stat()
        now = state.st_mtime_ns, state.st_ino
        if now == seen:
            return None
        found = rates_of(read_plan(folder))
        seen = now
        return found

    return rates
