"""`moneyer net up`: starts a network from a graph, or goes on with one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...options import FILE, FOLDER, IntRange, option, refuse_database
from .net_place import DEFAULT_FOLDER, network_at

if TYPE_CHECKING:
    from ....devnet.net.building import Wishes
    from ....devnet.net.net_supervisor import NetSupervisor
    from ....network_file import NetPlan
    from ....system.locks import LockFile

_MAX_BLOCK_TIME = 86_400


@click.command()
@option(
    "--graph",
    metavar="G",
    help="A shape (ring:6, star:5, line:4, complete:4, tree:15, grid:3x4, random:20:4, smallworld:20:4) or a file "
    "(GraphML, GEXF, edge list, adjacency JSON, DOT).  [default: the one that the folder holds]",
)
@option(
    "--data",
    type=FOLDER,
    envvar="MONEYER_NET_DATA",
    metavar="DIR",
    help=f"Where it lives.  [default: this folder, where it holds a network, else {DEFAULT_FOLDER}]",
)
@option("--port", type=IntRange(1, 65535), metavar="P", help="Of the first node; the others follow.  [default: 5001]")
@option("--any-port", is_flag=True, help="Pass over ports that are taken.")
@option("--coin", type=FILE, metavar="FILE", help="The coin of a new network.  [default: a development coin]")
@option(
    "--block-time",
    type=IntRange(1, _MAX_BLOCK_TIME),
    metavar="S",
    help="Seconds between blocks of a new network.  [default: 5]",
)
@option("--retarget", is_flag=True, help="The difficulty of a new network follows its hash rate.")
@option(
    "--mining/--no-mining",
    default=None,
    help="Whether miners mine by themselves, or only what is asked for.  [default: as it was, at first they do]",
)
@option("--seed", type=IntRange(0, 2**63 - 1), metavar="N", help="Which of the graphs that are drawn by chance.")
@option("--allow-parts", is_flag=True, help="The graph need not hang together.")
@option("--detach", is_flag=True, help="Go on in the background; `moneyer net down` ends it.")
@option("--force", is_flag=True, help="Also with more nodes than this machine bears.")
@option("--verbose", is_flag=True, help="Show all that the nodes say.")
@option("--child", type=click.Choice(("attached", "detached")), hidden=True, help="Started by another program.")
def up(data: Path | None, child: str | None, *, detach: bool, force: bool, verbose: bool, **asked: Any) -> int:
    """Run a network from a graph on this machine.

    A node for each vertex, a connection for each edge and no other. Until Ctrl-C; the next `net up` in that folder goes
    on where this one stopped.

    \b
    moneyer net up --graph ring:6
    moneyer net up --graph smallworld:20:4 --data ~/class --detach
    moneyer net up --graph office.graphml --block-time 2
    """
    refuse_database("moneyer net up")
    if detach and child is None:
        return _in_background()
    from ....devnet.net.building import build, hold_folder
    from ....devnet.running import register

    wishes = _wishes(force=force, **asked)
    lock = hold_folder(_folder(data))
    try:
        plan = build(lock.path.parent, wishes)
        register(plan.data)
        if child is not None:
            return _serve(plan, lock, child, is_bounded=not force)
        return _show(plan, lock, is_verbose=verbose, is_bounded=not force)
    finally:
        lock.release()


def _folder(data: Path | None) -> Path:
    if data is not None:
        return data.expanduser().absolute()
    return network_at(Path.cwd()) or Path(DEFAULT_FOLDER).expanduser()


def _wishes(
    *,
    graph: str | None,
    seed: int | None,
    allow_parts: bool,
    port: int | None,
    coin: Path | None,
    mining: bool | None,
    force: bool,
    **others: Any,
) -> Wishes:
    """What was asked for. Raises BadGraph, TooManyNodes. `others`: options that are called as the fields of Wishes."""
    from ....devnet.net.building import Wishes

    read = None
    if graph is not None:
        from ....devnet.graph.graph_reading import read_graph
        from ....devnet.net.capacity import check_capacity

        read = read_graph(graph, allow_parts=allow_parts, seed=seed)
        if not force:
            check_capacity(len(read.nodes))
    return Wishes(graph=read, first_port=port, coin_file=coin, is_mining=mining, **others)


def _in_background() -> int:
    """Run the same command as a process that stays, and show the screen when it is ready."""
    from ....devnet.net.begin import begin
    from ....network_file import read_plan
    from ....system.advice import typed
    from ...exits import effect
    from .net_screen import net_screen, where_net

    words = sys.argv[sys.argv.index("up") + 1 :]
    begun = begin([word for word in words if word != "--detach"], is_detached=True)
    data = begun.control.data
    effect().done(f"the network runs: `moneyer net down --data {typed(data)}` ends it")
    ends = f"`moneyer net down{where_net(data)}` ends it; the next start goes on where it stopped."
    click.echo(net_screen(read_plan(data), begun.not_up, ends=ends), nl=False)
    return 0


def _serve(plan: NetPlan, lock: LockFile, how: str, *, is_bounded: bool) -> int:
    """As a child of another program, which is told by one line of JSON on stdout when the network is ready."""
    from ....devnet.net.net_supervisor import NetSupervisor
    from ...main import run

    def ready(supervisor: NetSupervisor) -> None:
        said = {"data": str(plan.data), "socket": supervisor.socket_path, "not_up": supervisor.not_up()}
        os.write(1, json.dumps(said).encode() + b"\n")
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):  # nobody reads them any more
            os.dup2(nothing, stream)
        os.close(nothing)

    launcher = 0 if how == "attached" else None
    return NetSupervisor(plan, lock, run, on_ready=ready, launcher=launcher, is_bounded=is_bounded).run()


def _show(plan: NetPlan, lock: LockFile, *, is_verbose: bool, is_bounded: bool) -> int:
    """In this terminal, until Ctrl-C."""
    from ....devnet.net.foreground import Foreground
    from ....devnet.net.net_supervisor import NetSupervisor
    from ...main import run
    from .net_screen import net_screen

    def screen(supervisor: NetSupervisor) -> str:
        return net_screen(
            plan, supervisor.not_up(), ends="Ctrl-C stops all; the next start goes on where this one stopped."
        )

    shown = Foreground([*plan.names, "worker"], sys.stdout, screen, is_verbose=is_verbose)
    status = NetSupervisor(plan, lock, run, tell=shown.tell, on_ready=shown.ready, is_bounded=is_bounded).run()
    if shown.lost is not None:
        raise shown.lost
    return status
