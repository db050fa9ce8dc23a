"""`moneyer up`: a development network of several nodes and workers on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.options import FOLDER, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.coin import Coin
    from node.net.launch import Curtain

MAX_NODES = 50
DEFAULT_FOLDER = "~/Library/Application Support/moneyer/up" if sys.platform == "darwin" else "~/.local/share/moneyer/up"
"""One network a person, whatever folder they are in: the next `moneyer up` finds it."""
PATIENCE = 30.0
"""Seconds until a node that has not answered is named."""


@click.command()
@option("--nodes", type=click.IntRange(1, MAX_NODES), default=3, show_default=True, help="Nodes, each with a worker.")
@option("--data", type=FOLDER, metavar="DIR", help=f"Where the network lives.  [default: {DEFAULT_FOLDER}]")
@option("--port", type=click.IntRange(1, 65535), default=5001, show_default=True, help="Of node 1; the others follow.")
@option("--manual", is_flag=True, help="Nodes neither push nor pull blocks unless told (/replace_chain).")
def up(nodes: int, data: Path | None, port: int, manual: bool) -> int:
    """Run a development network on this machine.

    Until Ctrl-C; the next `up` goes on where it stopped.

    \b
    moneyer up
    moneyer up --nodes 5 --port 6001 --data ~/class
    """
    from node.net import launch, procfile
    from node.net.devcoin import ensure_network

    data = (data or Path(DEFAULT_FOLDER)).expanduser().absolute()
    ports = range(port, port + nodes)
    _check_ports(ports)
    _check_not_running(data, nodes)
    coin = ensure_network(data, nodes)
    processes = procfile.commands(data, nodes=nodes, first_port=port, manual=manual, moneyer=procfile.this_moneyer())
    (data / "Procfile").write_text(procfile.render(processes))
    ended = launch.run(processes, _welcome(coin, data, list(ports)))
    if ended.asked:
        return 0
    raise click.ClickException(
        f"{ended.culprit} ended by itself, so the network was stopped. It said: {ended.said or 'nothing'}"
    )


def _check_ports(ports: range) -> None:
    from node.net.ports import HIGHEST, taken

    if ports[-1] > HIGHEST:
        raise click.UsageError(f"{len(ports)} nodes from port {ports[0]} would need ports above {HIGHEST}")
    if busy := taken(ports):
        which = f"port {busy[0]} is" if len(busy) == 1 else f"ports {', '.join(map(str, busy))} are"
        raise click.ClickException(
            f"{which} taken by another program (is a network up already?): stop it, or begin at another with --port"
        )


def _check_not_running(data: Path, nodes: int) -> None:
    from node.config import Config
    from node.locks import is_held
    from node.net.devcoin import node_folder

    for number in range(1, nodes + 1):
        if is_held(Config(data=node_folder(data, number)).node_lock):
            raise click.ClickException(
                f"node {number} of {data} is running already: stop that network first, or use another --data"
            )


def _welcome(coin: Coin, data: Path, ports: list[int]) -> Callable[[Curtain], None]:
    """What is to be done while the network runs: wait for its nodes, then print the screen."""

    def welcome(curtain: Curtain) -> None:
        late = _wait_for_nodes(ports)
        if late:
            names = ", ".join(f"node{port - ports[0] + 1}" for port in late)
            click.echo(
                f"moneyer: after {PATIENCE:g} s there is no answer yet from {names}. What was said so far:", err=True
            )
        else:
            _show(coin, data, ports)
        curtain.open(show_held=bool(late))

    return welcome


def _wait_for_nodes(ports: list[int]) -> list[int]:
    """The ports that have not answered when the patience is over."""
    import time

    from node.client import Client, NoAnswer, Refused

    late, deadline = list(ports), time.monotonic() + PATIENCE
    while late and time.monotonic() < deadline:
        try:
            Client(_url(late[0])).get("/healthz", deadline=2)
            late.pop(0)
        except (NoAnswer, Refused):
            time.sleep(0.1)
    return late


def _show(coin: Coin, data: Path, ports: list[int]) -> None:
    from rich.console import Console

    from node.client import Client
    from node.core.money import format_amount
    from node.wallet.derive import development_keys

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]{coin.name}[/bold] ({coin.symbol}) is up: {len(ports)} nodes, each with a worker.\n")
    for number, port in enumerate(ports, 1):
        status: dict[str, Any] = Client(_url(port)).status()
        console.print(f"  node {number}   [cyan]{_url(port)}[/cyan]   height {status.get('height')}")
    console.print("\n  Accounts on node 1 (their keys are published: worth nothing, open to all on this machine)")
    for name, key in development_keys().items():
        address = coin.address(key.payload)
        balance = Client(_url(ports[0])).get(f"/v1/accounts/{address}")["balance"]
        console.print(f"  {name:<6} {format_amount(balance, coin.decimals):>14} {coin.symbol}   {address}")
    console.print(f"\n  Data    {data}")
    console.print("\n  Try")
    first = _url(ports[0])
    console.print(f"  curl {first}/mine_block", markup=False)
    transfer = '{"sender": "alice", "receiver": "bob", "amount": 2.5}'
    console.print(f"  curl {first}/add_transaction -H 'Content-Type: application/json' -d '{transfer}'", markup=False)
    console.print(f"  curl {first}/get_chain", markup=False)
    console.print("\n  Ctrl-C stops all; the next `moneyer up` goes on where this one stopped.\n")


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
