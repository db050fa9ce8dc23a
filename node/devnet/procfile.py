"""The Procfile of a development network: which processes there are, and how each is started."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .layout import node_folder

FIRST_PORT = 5001
NODES = 3
IN_CHECKOUT = 'env PATH=".venv/bin:$PATH" moneyer'
"""How the repository's Procfile starts `moneyer`, so that it is found where no environment is activated."""


def arguments(
    data: Path,
    *,
    nodes: int = NODES,
    first_port: int = FIRST_PORT,
    manual: bool = True,
    shared_coin: Path | None = None,
    ports: Sequence[int] | None = None,
    own: bool = False,
    host: str | None = None,
    peers: Sequence[str] = (),
    mode: str | None = None,
    address: str | None = None,
) -> dict[str, list[str]]:
    """Process name -> the arguments of `moneyer`: node1… on ports from `first_port`, or on `ports`, then worker1…

    `shared_coin`: the coin file that whichever node comes first makes; without it the folders must hold their coin
    (`layout.ensure_network`). `own`: a coin of one's own, so no development network. Unless `manual`, each node knows
    the one before it and the first one (and that one `peers`). `mode`: of the workers. `address`: who gets the rewards
    of all but node 1, whose wallet has its own account.
    """
    ports = ports or range(first_port, first_port + nodes)
    coin = ["--coin", str(shared_coin)] if shared_coin else []
    network: dict[str, list[str]] = {}
    for number, port in enumerate(ports, 1):
        options = ([] if own else ["--dev"]) + (["--manual"] if manual else [])
        if host is not None:
            options += ["--host", host]
        known = list(peers) if number == 1 else []
        if not manual:
            known += [f"http://127.0.0.1:{ports[other - 1]}" for other in sorted({1, number - 1} - {0, number})]
        for url in known:
            options += ["--peer", url]
        folder = str(node_folder(data, number, own=own))
        network[f"node{number}"] = ["node", "--data", folder, *coin, "--port", str(port), *options]
    for number in range(1, len(ports) + 1):
        options = ["--mode", mode] if mode else []
        if address is not None and number > 1:
            options += ["--address", address]
        folder = str(node_folder(data, number, own=own))
        # --keep: honcho ends all when one ends, and a killed worker is to be started again.
        network[f"worker{number}"] = ["worker", "--keep", "--data", folder, *options]
    return network


def commands(network: Mapping[str, Sequence[str]], moneyer: str = "moneyer") -> dict[str, str]:
    """The network's processes as shell commands. `moneyer`: how a shell starts it (already quoted)."""
    # exec: the process takes the shell's place, so that a signal from honcho reaches it and not the shell.
    return {name: f"exec {moneyer} {shlex.join(each)}" for name, each in network.items()}


def repository_procfile() -> str:
    """The Procfile at the top of the repository: three manual nodes, so that the tutorial goes as written."""
    return render(commands(arguments(Path("data"), shared_coin=Path("data/coin.toml")), IN_CHECKOUT))


def render(processes: dict[str, str]) -> str:
    """The text of a Procfile."""
    return "".join(f"{name}: {command}\n" for name, command in processes.items())


def this_moneyer() -> str:
    """The shell command that starts this very installation, whatever PATH says."""
    script = Path(sys.executable).parent / "moneyer"
    return shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -P -m moneyer"
