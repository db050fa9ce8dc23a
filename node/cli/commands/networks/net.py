"""`moneyer net`: the group of the commands on a network from a graph."""

from __future__ import annotations

import click

from .net_cuts import cut, delay, heal, loss, rate, split
from .net_deeds import hashrate, mine, send
from .net_keep import restore, snapshot, snapshots
from .net_look import draw, status
from .net_nodes import down, kill, log, start, stop
from .net_up import up
from .net_worker import worker


@click.group()
def net() -> None:
    """Networks from a graph.

    A node for each vertex, a connection for each edge and no other: cut one, and the network splits.
    """


_COMMANDS = (
    (up, down, status, draw, log),
    (split, cut, heal, delay, loss, rate),
    (start, stop, kill, hashrate),
    (mine, send),
    (snapshot, restore, snapshots),
    (worker,),
)

for _command in (each for group in _COMMANDS for each in group):
    net.add_command(_command)
