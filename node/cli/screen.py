"""What `moneyer up` shows: one screen when the nodes answer, then a line for each block."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..client.client import Client
from ..client.errors import ClientError
from ..system.advice import as_typed
from ..system.text import shown
from .folders import where
from .output import coins, counted, fitted, padded, short, style, terminal_width, width

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..devnet.launch import GatedPrinter
    from ..devnet.layout import Network
    from ..wallet.keystore import Wallet

_NAME = 8
"""Columns of an account's name, at least."""
PATIENCE = 30.0
"""Seconds until a node that has not answered is named."""
_QUIET = 3600.0
"""Seconds without an answer after which no more lines come: the network is ending, too."""


def welcome(network: Network, *, verbose: bool, opens: bool = False) -> Callable[[GatedPrinter], None]:
    """The work beside a network that runs: wait for its nodes, print the screen, then a line for each block.

    `opens`: whether node 1's page is opened in a browser.
    """

    def work(printer: GatedPrinter) -> None:
        late = _wait_for_nodes(network.urls, printer)
        if printer.ending.is_set():
            return
        if late:
            names = ", ".join(f"node{network.urls.index(url) + 1}" for url in late)
            click.echo(
                f"moneyer: after {PATIENCE:g} s there is no answer yet from {names}. What was said so far:", err=True
            )
            printer.open(show_held=True)
            return
        try:
            height = _show(network)
        except ClientError as error:
            if printer.ending.is_set():
                return
            click.echo(f"moneyer: {shown(error.message)}", err=True)
            height = 0
        if opens:
            _open_page(network)
        printer.open(show_held=verbose)
        _follow(network, height + 1)

    return work


def _wait_for_nodes(urls: list[str], printer: GatedPrinter) -> list[str]:
    """The URLs that have not answered when the patience is over, or the network is told to end."""
    late, deadline = list(urls), time.monotonic() + PATIENCE
    while late and time.monotonic() < deadline and not printer.ending.is_set():
        try:
            Client(late[0]).get("/healthz", deadline=2)
            late.pop(0)
        except ClientError:
            time.sleep(0.1)
    return late


def _show(network: Network) -> int:
    """Print the screen; gives the height of node 1."""
    coin = network.coin
    lines = [
        "",
        f"The page:  {style(f'{network.urls[0]}/', fg='cyan', bold=True)}",
        *([fitted(f"           `moneyer open{where(network.data)}` signs in to its wallet")] if network.own else []),
        "",
        f"{style(shown(coin.name), bold=True)} ({coin.symbol}) is up: {_count(network)}.",
        "",
    ]
    heights = [int(Client(url).status()["height"]) for url in network.urls]
    for number, (url, height) in enumerate(zip(network.urls, heights, strict=True), 1):
        lines.append(f"  node {number}   {style(url, fg='cyan')}   height {height}")
    lines += ["", *_accounts(network), "", f"  Data    {network.data}"]
    if network.lan:
        from ..devnet.addresses import join_line

        line = join_line("0.0.0.0", network.ports[0])  # noqa: S104 - compared, not bound
        lines.append(f"  Others  {style(line, bold=True) if line else 'this machine has no network: nobody can join'}")
    lines += ["", "  Try, in another terminal", *(f"  {line}" for line in _to_try(network))]
    lines += ["", fitted("  Ctrl-C stops all; the next start goes on where this one stopped."), ""]
    click.echo(as_typed("\n".join(lines)))
    return heights[0]


def _open_page(network: Network) -> None:
    from ..devnet.holder import FolderToken
    from .browser import open_browser, page_address
    from .node_client import NodeClient

    client = NodeClient(network.urls[0], token=FolderToken(network.folders[0]))
    try:
        if not open_browser(page_address(client).url):
            click.echo("moneyer: no browser was found here: open the page yourself", err=True)
    except ClientError as error:
        click.echo(f"moneyer: {shown(error.message)}", err=True)


def _count(network: Network) -> str:
    return "1 node with its worker" if len(network.ports) == 1 else f"{len(network.ports)} nodes, each with a worker"


def _wallet(folder: Path) -> Wallet | None:
    from ..core.errors import MoneyerError
    from ..wallet.keystore import open_wallet

    try:
        return open_wallet(folder / "wallet.json")
    except (MoneyerError, OSError):
        return None


def _accounts(network: Network) -> list[str]:
    wallet = _wallet(network.folders[0])
    if wallet is None:
        return ["  No account can be shown: the wallet of node 1 cannot be read"]
    if not network.own:
        head = "  Accounts of node 1 (published keys: worth nothing, open to whoever is here)"
    elif wallet.locked:
        head = "  Accounts (the wallet is encrypted; spending asks for its passphrase)"
    else:
        head = f"  Accounts (the wallet is open: `moneyer wallet passphrase{where(network.data)}` encrypts it)"
    rows, room = [fitted(head)], terminal_width()
    names = max([_NAME, *(width(name) for name in wallet.names)])
    for name, payload in wallet.names.items():
        address = network.coin.address(payload)
        balance = coins(Client(network.urls[0]).account(address)["balance"], network.coin.decimals)
        row = f"  {padded(name, names)} {balance:>14} {network.coin.symbol}   "
        rows.append(row + (address if room is None else short(address, room - width(row) - 1)))
    return rows


def _to_try(network: Network) -> list[str]:
    at, first = where(network.data), network.urls[0]
    sender, receiver = _two_names(network) if network.own else ("alice", "bob")
    if network.manual:  # nothing is mined, and no node told anything, until somebody asks
        return [
            f"moneyer send {sender} {receiver} 2.5{at}",
            f"moneyer mine{at}",
            f"moneyer balance{at}",
            f"curl {first}/get_chain",
            *_to_connect(network),
        ]
    if not network.own:
        return [
            f"moneyer send {sender} {receiver} 2.5 --wait{at}",
            f"moneyer balance{at}",
            f"curl {first}/get_chain",
        ]
    return [
        f"moneyer balance{at}",
        f"moneyer send {sender} {receiver} 1 --wait{at}",
        f"moneyer join {first} --data a-friends-folder",
    ]


def _to_connect(network: Network) -> list[str]:
    """The commands by which node 2 learns of node 1 and takes its chain, where nodes are manual."""
    if len(network.urls) < 2:
        return []
    body = json.dumps({"node": [network.urls[0]]})
    return [
        f"curl {network.urls[1]}/connect_node -H 'Content-Type: application/json' -d '{body}'",
        f"curl {network.urls[1]}/replace_chain",
    ]


def _two_names(network: Network) -> tuple[str, str]:
    """Two names of node 1's wallet, quoted for a shell: the one with the highest balance, and another."""
    wallet = _wallet(network.folders[0])
    if wallet is None:
        return "miner", "miner"
    client, coin = Client(network.urls[0]), network.coin
    names = sorted(wallet.names, key=lambda name: -client.account(coin.address(wallet.names[name]))["balance"])
    other = next((name for name in wallet.names if name != names[0]), names[0])
    return shlex.quote(names[0]), shlex.quote(other)


def _follow(network: Network, start: int) -> None:
    """A line for each block of node 1, for as long as it answers."""
    miners = _miners(network)
    client, highest, silent = Client(network.urls[0]), start - 1, time.monotonic()
    while time.monotonic() - silent < _QUIET:
        try:
            for block in client.blocks(start, follow=True, patience=_QUIET):
                if block["height"] <= highest:
                    click.echo(style(f"  the chain was reorganized from height {block['height']} on", fg="yellow"))
                click.echo(_line(network, block, miners))
                highest, start, silent = block["height"], block["height"] + 1, time.monotonic()
        except ClientError:
            time.sleep(5)  # it is ending, or has too much to do


def _miners(network: Network) -> dict[str, str]:
    """Address -> how a line names the miner: the node, or on a network of a person's own the wallet's name."""
    named: dict[str, str] = {}
    for number, folder in enumerate(network.folders, 1):
        wallet = _wallet(folder)
        payload = wallet.payload_of("miner") if wallet else None
        if payload is not None:
            own = network.own and number == 1
            named.setdefault(network.coin.address(payload), "miner" if own else f"node {number}")
    return named


def _line(network: Network, block: dict[str, Any], miners: dict[str, str]) -> str:
    transfers = block["tx_count"] - 1
    sent = counted(transfers, "transfer") if transfers else "no transfers"
    who = miners.get(block["miner"], short(block["miner"], 14))
    reward = coins(block["reward"], network.coin.decimals, network.coin.symbol)
    clock = time.strftime("%H:%M:%S", time.localtime(block["timestamp"]))
    room, which = terminal_width(), f"  {clock}  block {block['height']:<6} "
    line = f"{which}{short(block['hash'], 16)}  {sent:<13} {reward} to {who}"
    if room is not None and len(line) > room:  # the hash goes first
        line = short(f"{which}{sent:<13} {reward} to {who}", room - 1)
    return line
