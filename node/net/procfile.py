"""The Procfile of a development network: which processes there are, and how each is started."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from node.net.devcoin import node_folder

FIRST_PORT = 5001
NODES = 3
IN_CHECKOUT = 'env PATH=".venv/bin:$PATH" moneyer'
"""How the repository's Procfile starts it: `.venv/bin/honcho start` finds it too, where no environment is activated."""


def commands(
    data: Path,
    *,
    nodes: int = NODES,
    first_port: int = FIRST_PORT,
    manual: bool = True,
    moneyer: str = "moneyer",
    shared_coin: Path | None = None,
) -> dict[str, str]:
    """Process name -> shell command: node1… on ports from `first_port`, then worker1…

    `moneyer`: how a shell starts it (already quoted). `shared_coin`: the coin file that whichever node comes first
    makes; without it the folders must hold their coin (`devcoin.ensure_network`).
    """
    coin = f" --coin {_quoted(shared_coin)}" if shared_coin else ""
    network: dict[str, str] = {}
    for number in range(1, nodes + 1):
        folder, port = _quoted(node_folder(data, number)), first_port + number - 1
        options = f" --dev{' --manual' if manual else ''}"
        # exec: the shell gives way to the process, so that a signal from honcho reaches it and not the shell.
        network[f"node{number}"] = f"exec {moneyer} node --data {folder}{coin} --port {port}{options}"
    for number in range(1, nodes + 1):
        network[f"worker{number}"] = f"exec {moneyer} worker --data {_quoted(node_folder(data, number))}"
    return network


def repository_procfile() -> str:
    """The Procfile at the top of the repository: three manual nodes, so that the tutorial goes as written."""
    return render(commands(Path("data"), moneyer=IN_CHECKOUT, shared_coin=Path("data/coin.toml")))


def render(processes: dict[str, str]) -> str:
    """The text of a Procfile."""
    return "".join(f"{name}: {command}\n" for name, command in processes.items())


def this_moneyer() -> str:
    """The shell command that starts this very installation, whatever PATH says."""
    script = Path(sys.executable).parent / "moneyer"
    return shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m node.cli.main"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
