"""`net snapshot`, `net restore`, `net snapshots`: a network as it was at one instant, kept and brought back."""

from __future__ import annotations

from pathlib import Path

import click

from ...options import as_json, option
from .net_open import open_network
from .net_place import net_folder


@click.command()
@click.argument("name", metavar="NAME")
@net_folder
@as_json
def snapshot(name: str, data: Path | None, json: bool) -> None:
    """Keep a network as it is at this instant.

    All nodes' chains, mempools and peers, while they run, and which edges are cut or slow. One of the same name is
    replaced.

    \b
    moneyer net snapshot before-the-fork
    """
    from ...exits import effect
    from ...output import counted, print_json

    net = open_network(data)
    kept = net.snapshot(name)
    effect().done(f"Snapshot {name} was kept: `moneyer net snapshots` shows it")
    if json:
        print_json(kept)
    else:
        click.echo(f"kept {name}: {counted(len(kept['nodes']), 'node')}, the highest at height {kept['height']}")


@click.command()
@click.argument("name", metavar="NAME")
@net_folder
@as_json
def restore(name: str, data: Path | None, json: bool) -> None:
    """Bring a network back to a snapshot.

    \b
    moneyer net restore before-the-fork
    """
    from ....devnet.live.errors import BadSnapshot
    from ...exits import effect
    from ...output import print_json

    net = open_network(data)
    effect().done("Some nodes may have been brought back: `moneyer net restore` again brings all back")
    try:
        net.restore(name)
    except BadSnapshot:  # before anything was changed
        effect().nothing()
        raise
    effect().done(f"The network was brought back to {name}")
    if json:
        print_json(net.status())
    else:
        click.echo(f"the network is as it was at {name}")


@click.command()
@option("--remove", metavar="NAME", help="Delete one.")
@net_folder
@as_json
def snapshots(remove: str | None, data: Path | None, json: bool) -> None:
    """List the snapshots of a network.

    \b
    moneyer net snapshots
    moneyer net snapshots --remove before-the-fork
    """
    from ....devnet.live import net_snapshots
    from ...output import counted, moment, print_json, print_table
    from .net_place import find_network

    folder = find_network(data)
    if remove is not None:
        net_snapshots.remove(folder, remove)
    kept = net_snapshots.listed(folder)
    if json:
        print_json({"snapshots": kept})
    elif not kept:
        click.echo("there is no snapshot: `moneyer net snapshot NAME` keeps one")
    else:
        rows = [
            (each["name"], moment(each["created"]), each["height"], counted(len(each["nodes"]), "node"))
            for each in kept
        ]
        print_table(("name", "kept at", "height", "nodes"), rows, right=("height",), cut=("name",))
