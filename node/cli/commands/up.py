"""`moneyer up`: runs a network of several nodes and workers on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ...config import has_plan
from ...devnet.layout import Network
from ...system.advice import typed
from ..folders import DEFAULT_FOLDER
from ..options import FILE, FOLDER, IntRange, option, refuse_database, usage

MAX_NODES = 50
_LOG_HEAD = re.compile(r"^\S+Z [\w.]+: (?:\w+: )?|^worker: ")


@click.command()
@option("--nodes", type=IntRange(1, MAX_NODES), default=3, show_default=True, help="Nodes, each with a worker.")
@option(
    "--data", type=FOLDER, metavar="DIR", help=f"Where it lives.  [default: this coin's folder, or {DEFAULT_FOLDER}]"
)
@option("--coin", type=FILE, metavar="FILE", help="The coin of a new network.  [default: a development coin]")
@option("--port", type=IntRange(1, 65535), default=5001, show_default=True, help="Of node 1; the others follow.")
@option("--any-port", is_flag=True, help="Pass over ports that are taken.")
@option(
    "--mode",
    metavar="M",
    help="When workers mine: see `moneyer worker`.  [default: interval, of the coin's block time; with --manual as "
    "`moneyer mining` set it]",
)
@option("--manual", is_flag=True, help="Nodes neither push nor pull blocks unless told (/replace_chain).")
@option("--lan", is_flag=True, help="Let other machines reach the nodes; only for a coin of your own.")
@option("--peer", multiple=True, metavar="URL", help="A node elsewhere that node 1 shall know; may be repeated.")
@option("--open", is_flag=True, help="Open the page of node 1 in a browser.")
@option("--verbose", is_flag=True, help="Show all that the nodes and workers say.")
def up(nodes: int, data: Path | None, coin: Path | None, port: int, any_port: bool, verbose: bool, **how: Any) -> int:
    """Run a network on this machine.

    Until Ctrl-C; the next `up` goes on where it stopped. In the data folder of a coin of yours (`moneyer new`) it is
    that coin, else a development coin: worth nothing, with money for alice, bob, carol, dave and erin.

    \b
    moneyer up --open
    moneyer up --nodes 5 --port 6001 --data ~/class
    moneyer up --data beach-coin --nodes 1 --lan
    """
    from ...devnet import launch, procfile
    from ...store.mining import parse_mode
    from ...wallet.private_files import locked, write_private

    refuse_database("moneyer up")
    if how["mode"] is not None:
        usage(parse_mode, how["mode"])
    folder = _folder(data, coin)
    ports = _ports(port, nodes, any_port=any_port)
    network = replace(_prepare(folder, coin, ports, lan=how["lan"]), manual=how["manual"])
    # At the coin's own pace its difficulty, and so the load of this machine, stays the same.
    mode = how["mode"] or (None if how["manual"] else f"interval:{network.coin.block_time}")
    processes = procfile.arguments(
        network.data,
        ports=ports,
        manual=how["manual"],
        own=network.own,
        host="0.0.0.0" if network.lan else None,  # noqa: S104 - what --lan is for
        peers=how["peer"],
        mode=mode,
        address=_rewards(network),
    )
    with locked(network.data):
        write_private(network.data / "Procfile", _procfile(processes), replace=True)
    from ..main import run
    from ..screen import welcome

    quiet = {} if verbose or "MONEYER_LOG_LEVEL" in os.environ else {"MONEYER_LOG_LEVEL": "warning"}
    ended = launch.run(processes, welcome(network, verbose=verbose, opens=how["open"]), run, environment=quiet)
    if ended.asked:
        return 0
    said = _LOG_HEAD.sub("", ended.said or "nothing")
    raise click.ClickException(f"{ended.culprit} ended by itself, so the network was stopped. It said: {said}")


def _procfile(processes: dict[str, list[str]]) -> bytes:
    from ...devnet import procfile

    return procfile.render(procfile.commands(processes, procfile.this_moneyer())).encode()


def _folder(data: Path | None, coin: Path | None) -> Path:
    if data is not None:
        return data.expanduser().absolute()
    if coin is not None and coin.name == "coin.toml":
        return coin.absolute().parent
    here = Path.cwd()
    # A development node's own folder has a coin too; a network's has no chain of its own.
    if (here / "coin.toml").is_file() and ((here / "wallet.json").exists() or (here / "node1").is_dir()):
        return here
    return Path(DEFAULT_FOLDER).expanduser()


def _ports(first: int, count: int, *, any_port: bool) -> list[int]:
    from ...devnet.addresses import HIGHEST, free_ports, taken

    if first + count - 1 > HIGHEST:
        raise click.UsageError(f"{count} nodes from port {first} would need ports above {HIGHEST}")
    if any_port:
        ports = free_ports(first, count)
        if len(ports) < count:
            raise click.ClickException(
                f"there are only {len(ports)} free ports from {first} on, and {count} are needed"
            )
        return ports
    ports = list(range(first, first + count))
    if busy := taken(ports):
        which = f"port {busy[0]} is" if len(busy) == 1 else f"ports {', '.join(map(str, busy))} are"
        raise click.ClickException(
            f"{which} taken by another program (is a network up already?): stop it, begin at another with --port, or "
            "let --any-port pass over it"
        )
    return ports


def _prepare(data: Path, coin_file: Path | None, ports: list[int], *, lan: bool) -> Network:
    """Coin and data folders, made or found as they were. Raises ClickException, BadCoin, OSError."""
    from ...devnet.coinfiles import read_coin
    from ...devnet.devcoin import is_development
    from ...devnet.layout import ensure_network

    if has_plan(data):
        raise click.ClickException(
            f"{data} holds a network from a graph: `moneyer net up --data {typed(data)}` runs it, or give another "
            "--data"
        )
    source = coin_file or data / "coin.toml"
    known = read_coin(source) if coin_file is not None or source.exists() else None
    own = known is not None and not is_development(known)
    if lan and not own:
        raise click.ClickException(
            "a development network leaves its wallet open to whoever reaches it, so it stays on this machine: make a "
            "coin of your own with `moneyer new NAME`, and let others in with `moneyer up --lan --data DIR`"
        )
    if known is not None:
        _check_not_running(Network(data, known, ports, own, lan))
    coin = ensure_network(data, len(ports), coin_file)
    return Network(data, coin, ports, own, lan)


def _check_not_running(network: Network) -> None:
    from ...devnet.running import is_running

    for number, folder in enumerate(network.folders, 1):
        if is_running(folder):
            raise click.ClickException(
                f"node {number} of {network.data} is running already: stop that network first, or use another --data"
            )


def _rewards(network: Network) -> str | None:
    """The address that nodes without the owner's wallet mine for; None: each for its own account."""
    from ...wallet.errors import WalletMissing
    from ...wallet.keystore import MINER, open_wallet

    if not network.own:
        return None
    try:
        payload = open_wallet(network.data / "wallet.json").payload_of(MINER)
    except WalletMissing:
        return None
    return None if payload is None else network.coin.address(payload)
