"""`moneyer net`: the group of the commands on a network from a graph."""

from __future__ import annotations

import click

from .net_nodes import down, kill, log, start, stop
from .net_up import up
from .net_worker import worker


@click.group()
def net() -> None:
    """Networks from a graph.

    A node for each vertex, a connection for each edge and no other: cut one, and the network splits.
    """


for _command in (up, down, start, stop, kill, log, worker):
    net.add_command(_command)
