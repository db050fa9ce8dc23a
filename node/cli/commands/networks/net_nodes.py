"""`moneyer net start · stop · kill · log · down`: single nodes of a network that runs, and its end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from ....system.advice import typed
from ...options import IntRange, as_json, option
from .net_place import complete_nodes, find_network, find_plan, net_folder

_WORKER = "worker"
_nodes = click.argument("nodes", metavar="NODE…", nargs=-1, required=True, shell_complete=complete_nodes)


@click.command()
@_nodes
@net_folder
@as_json
def start(nodes: tuple[str, ...], data: Path | None, json: bool) -> None:
    """Start nodes of a network again.

    They were stopped or killed, or have ended by themselves. `worker` is the network's worker.

    \b
    moneyer net start 3
    """
    _each("start", nodes, data, as_json=json)


@click.command()
@_nodes
@net_folder
@as_json
def stop(nodes: tuple[str, ...], data: Path | None, json: bool) -> None:
    """Stop nodes of a network, in order.

    \b
    moneyer net stop 3
    """
    _each("stop", nodes, data, as_json=json)


@click.command()
@_nodes
@net_folder
@as_json
def kill(nodes: tuple[str, ...], data: Path | None, json: bool) -> None:
    """Kill nodes of a network, as a power cut would.

    \b
    moneyer net kill 3
    """
    _each("kill", nodes, data, as_json=json)


def _each(what: str, nodes: Iterable[str], data: Path | None, *, as_json: bool) -> None:
    from ....devnet.net.control import Control
    from ...exits import effect
    from ...output import print_json

    control, answers = Control.find(find_network(data)), []
    for name in nodes:
        answer = control.ask({"do": what, "node": name})
        said = f"{'the worker' if name == _WORKER else f'node {name}'} is {answer['state']}"
        answers.append(answer)
        effect().done(f"{said}: `moneyer net log {typed(name)} --data {typed(control.data)}` shows what it said")
        if not as_json:
            click.echo(said)
    if as_json:
        print_json({"nodes": answers})


@click.command()
@click.argument("node", metavar="NODE", shell_complete=complete_nodes)
@option("--lines", type=IntRange(1, 10_000), default=50, show_default=True, help="The last N lines.", metavar="N")
@net_folder
@as_json
def log(node: str, lines: int, data: Path | None, json: bool) -> None:
    """Show what a node of a network has said.

    `worker` is the network's worker. The files are in the folder `logs` of the network's folder.

    \b
    moneyer net log 3
    moneyer net log worker --lines 5
    """
    from ....devnet.net.node_logs import last_lines
    from ....system.text import shown
    from ....system.words import nearest, quoted
    from ...output import print_json

    plan = find_plan(data)
    if node not in (*plan.names, _WORKER):
        near = nearest(node, [*plan.names, _WORKER])
        hint = f": did you mean {near}?" if near else f": there are {', '.join(plan.names[:20])} and worker"
        raise click.ClickException(f"there is no node {quoted(node)}{hint}")
    said = last_lines(plan.data, node, lines)
    if json:
        print_json({"lines": said})
        return
    for line in said:
        click.echo(shown(line))


@click.command()
@net_folder
@as_json
def down(data: Path | None, json: bool) -> None:
    """End a network that runs.

    Its data stays: the next `moneyer net up` goes on where it stopped.

    \b
    moneyer net down
    """
    from ....devnet.net.control import Control
    from ...output import print_json

    control = Control.find(find_network(data))
    control.down()
    if json:
        print_json({"down": True})
        return
    click.echo(f"the network has ended; `moneyer net up --data {typed(control.data)}` goes on with it")
