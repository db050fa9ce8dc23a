"""The coins of the local network, for `moneyer join` without a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from node.cli.command import as_typed
from node.cli.output import print_json, print_table, short
from node.text import shown

SECONDS = 3.0
"""How long answers are waited for; the first come within a quarter of one."""
_ASK_SECONDS = 3.0
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Nearby:
    """A node that answered. `peers`: nodes that it knows."""

    url: str
    chain_id: str
    name: str
    symbol: str
    height: int
    peers: int


def list_nearby(*, as_json: bool) -> None:
    """Print the coins found, each with its nodes. Raises ClickException where there is none, NoDiscovery."""
    coins = _by_coin(find_nearby())
    if as_json:
        print_json({"coins": [_as_json(nodes) for nodes in coins]})
        return
    if not coins:
        raise click.ClickException(
            "no node was found on this network. A node is found while it runs with `moneyer up --lan` or `moneyer node "
            "--host 0.0.0.0` and the network lets mDNS through; else give its URL: `moneyer join http://192.168.1.20:5001`"
        )
    rows = [
        [f"{node.name} ({node.symbol})", short(node.chain_id, 16), node.height, node.peers, node.url]
        for nodes in coins
        for node in nodes
    ]
    header = ("coin", "chain", "height", "peers", "node")
    print_table(header, rows, right=("height", "peers"), cut=("coin", "chain"), drop=("peers", "chain"))
    click.echo(as_typed("\nNext:" + "".join(f"  moneyer join {nodes[0].url}\n     " for nodes in coins).rstrip()))


def find_nearby(seconds: float = SECONDS) -> list[Nearby]:
    """The nodes of the local network that answer, whatever their coin. Raises NoDiscovery."""
    from node.p2p.discovery import discover
    from node.p2p.threads import in_threads

    found = {each.url: each.chain_id for each in discover(seconds)}
    answers = in_threads(lambda each: _ask(*each), list(found.items()), _AT_ONCE)
    return [each for each in answers if each is not None]


def _ask(url: str, chain_id: str) -> Nearby | None:
    """None where no node of that chain answers."""
    from node.client import Client, ClientError

    try:
        status = Client(url).status(_ASK_SECONDS)
        coin = status["coin"]
        node = Nearby(
            url,
            shown(status["chain_id"], 64),
            shown(coin["name"], 64),
            shown(coin["symbol"], 12),
            int(status["height"]),
            int(status["peers"]),
        )
    except (ClientError, KeyError, TypeError, ValueError):
        return None
    return node if node.chain_id.startswith(chain_id) else None


def _by_coin(nodes: list[Nearby]) -> list[list[Nearby]]:
    """The nodes of each coin, the one with the longest chain first; the coins by name."""
    coins: dict[str, list[Nearby]] = {}
    for node in sorted(nodes, key=lambda each: (-each.height, each.url)):
        coins.setdefault(node.chain_id, []).append(node)
    return sorted(coins.values(), key=lambda each: (each[0].name, each[0].chain_id))


def _as_json(nodes: list[Nearby]) -> dict[str, Any]:
    best = nodes[0]
    rows = [{"url": each.url, "height": each.height, "peers": each.peers} for each in nodes]
    return {"name": best.name, "symbol": best.symbol, "chain_id": best.chain_id, "height": best.height, "nodes": rows}
