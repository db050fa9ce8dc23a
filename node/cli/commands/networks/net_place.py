"""The one rule by which every `net` command finds the network that is meant.

1. `--data DIR` (or `MONEYER_NET_DATA`): a network's folder, or that of one of its nodes.
2. The current folder, where it is one of these.
3. The only network from a graph that runs. Where several run, the command asks which.
4. The folder of `moneyer net up`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....system.advice import typed
from ...options import FOLDER, option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ....network_file import NetPlan

DEFAULT_FOLDER = (
    "~/Library/Application Support/moneyer/net" if sys.platform == "darwin" else "~/.local/share/moneyer/net"
)
"""Where `moneyer net up` makes a network unless told."""

net_folder = option(
    "--data",
    type=FOLDER,
    envvar="MONEYER_NET_DATA",
    metavar="DIR",
    help="The network's folder.  [default: this folder, else that of your network that runs]",
)


def find_network(data: Path | None) -> Path:
    """The folder of the network that is meant. Raises ClickException where none is there, or several could be."""
    from ....config import has_plan
    from ....devnet.running import is_held_by_supervisor, running_networks

    if data is not None:
        folder = network_at(data.expanduser().absolute())
        if folder is None:
            raise click.ClickException(
                f"{data} holds no network from a graph: `moneyer net up --graph ring:6 --data {typed(data)}` makes one"
            )
        return folder
    here = network_at(Path.cwd())
    if here is not None:
        return here
    running = [folder for folder in running_networks() if has_plan(folder) and is_held_by_supervisor(folder)]
    if len(running) > 1:
        which = " or ".join(f"--data {typed(folder)}" for folder in running[:8])
        raise click.ClickException(f"{len(running)} networks run on this machine: say which one is meant by {which}")
    usual = Path(DEFAULT_FOLDER).expanduser()
    if running or has_plan(usual):
        return running[0] if running else usual
    raise click.ClickException(
        "there is no network from a graph here: `moneyer net up --graph ring:6` starts one, or name its folder with "
        "--data DIR"
    )


def network_at(folder: Path) -> Path | None:
    """The network that a folder is, or whose node's folder it is."""
    from ....config import has_plan

    return next((each for each in (folder, folder.parent) if has_plan(each)), None)


def find_plan(data: Path | None) -> NetPlan:
    """The plan of the network that is meant. Raises ClickException, BadNetwork."""
    from ....network_file import read_plan

    return read_plan(find_network(data))


def complete_nodes(ctx: click.Context, _parameter: click.Parameter, given: str) -> list[CompletionItem]:
    """Names of the network's nodes, for the shell."""
    from click.shell_completion import CompletionItem

    from ....core.errors import MoneyerError

    try:
        names = find_plan(ctx.params.get("data")).names
    except (MoneyerError, click.ClickException, OSError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(given)]
