"""`moneyer join`: makes a node of somebody's coin from a URL; without one it lists the coins of the local network.

The command first, then its steps in order, then the list (from `list_nearby` on).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...system.advice import as_typed
from ...system.text import shown
from ..options import FOLDER, PORT, as_json, no_discovery, option, passphrase_file, usage
from ..output import print_json, print_table, short

if TYPE_CHECKING:
    from ...client.client import Client
    from ...core.coin import Coin
    from ...wallet.derive import Key


SECONDS = 3.0
"""How long mDNS answers are waited for; the first come within a quarter of a second."""
_ASK_SECONDS = 3.0
"""How long one node has to answer."""
_AT_ONCE = 32
"""Nodes that are asked at the same time."""


@dataclass(frozen=True)
class Restored:
    """A recovery phrase, and the keys of it that were used on the chain, by name."""

    phrase: str = field(repr=False)
    keys: dict[str, Key]


@click.command()
@click.argument("url", required=False)
@option("--data", type=FOLDER, metavar="DIR", help="The data folder to make.  [default: one named like the coin]")
@option("--phrase", is_flag=True, help="The wallet of your recovery phrase, which is asked or read from stdin.")
@option("--start", is_flag=True, help="Run the node at once.")
@option("--port", type=PORT, default=5001, show_default=True, help="With --start: the port of the new node.")
@option("--any-port", is_flag=True, help="With --start: the next free port.")
@option("--open", is_flag=True, help="Leave the new wallet without a passphrase.")
@no_discovery
@passphrase_file
@as_json
def join(url: str | None, data: Path | None, passphrase_file: Path | None, **how: Any) -> None:
    """Join the coin of a running node.

    Fetches the coin, checks it, makes a data folder with a wallet of your own, and remembers the node as a peer.
    Without a URL it lists the coins found on the local network.

    \b
    moneyer join
    moneyer join 192.168.1.20
    moneyer join http://192.168.1.20:5001 --phrase
    moneyer join http://192.168.1.20:5001 --data beach --start
    """
    from ...client.client import Client
    from ...client.transport import origin
    from ...devnet.newcoin import slug
    from ..exits import effect

    if url is None and not how["no_discovery"]:
        return list_nearby(as_json=how["json"])
    if url is None:
        raise click.UsageError(
            "say which node to join, such as `moneyer join http://192.168.1.20:5001` "
            "(`moneyer up --lan` shows that line)"
        )
    client = Client(usage(origin, url))
    coin = client.coin
    folder = (data or Path(slug(coin.name) or coin.symbol.lower())).expanduser()
    height = client.status()["height"]
    port = _port(how["port"], any_port=how["any_port"]) if how["start"] else how["port"]
    keys = _restored(folder, coin, client) if how["phrase"] else None
    made = _make_folder(folder, coin, url=client.url)
    if made:
        effect().done(f"The data folder {folder} was made; the same command again goes on from there")
    wallet = _wallet(folder, passphrase_file, keys, is_open=how["open"], quiet=how["json"])
    _remember(folder, coin, client.url)
    effect().done(f"The data folder {folder} is of this coin, and knows {client.url}")
    if how["json"]:
        from ..output import print_json

        chain_id = coin.chain_id[::-1].hex()
        print_json({"data": str(folder), "chain_id": chain_id, "coin": coin.as_json(), "peer": client.url, **wallet})
    else:
        _print(coin, folder, client.url, height, wallet, made=made, start=how["start"])
    if how["start"]:
        _start(folder, port, quiet=how["json"])


def _make_folder(folder: Path, coin: Coin, *, url: str) -> bool:
    """Make the folder; whether its coin is new. Raises ClickException, naming both, where it is of another coin."""
    from ...devnet.coinfiles import COIN_FILE, make_once, read_coin
    from ..place import label

    path = folder / COIN_FILE
    if path.exists():
        ours = read_coin(path)
        if ours.chain_id != coin.chain_id:
            raise click.ClickException(
                f"{folder} is of {label(ours)}, and the node at {url} runs {label(coin)}: name another folder with "
                "--data"
            )
        return False
    make_once(path, lambda: coin)
    return True


def _restored(folder: Path, coin: Coin, client: Client) -> Restored:
    """The keys of a recovery phrase, which is read. Raises ClickException, before anything is made."""
    from ...wallet.derive import check_phrase
    from ..secret import read_secret
    from .recover import used_keys

    if (folder / "wallet.json").exists():
        raise click.ClickException(
            f"{folder} has a wallet already, which is not written over: name a new folder with --data"
        )
    phrase = check_phrase(read_secret("The recovery phrase", hidden=False))
    return Restored(phrase, used_keys(client, coin, phrase))


def _wallet(
    folder: Path, key_file: Path | None, restored: Restored | None, *, is_open: bool, quiet: bool
) -> dict[str, Any]:
    """Make the wallet, where there is none and one can be made; what to tell of it."""
    import sys

    from ...wallet.derive import key_from_phrase, new_phrase
    from ...wallet.keystore import MINER, create_wallet
    from ...wallet.seal import given_passphrase
    from ..place import terminal
    from ..secret import new_passphrase

    path = folder / "wallet.json"
    if restored is None and (path.exists() or not (is_open or terminal() or given_passphrase(key_file))):
        return {}
    phrase = new_phrase() if restored is None else restored.phrase
    keys = {MINER: key_from_phrase(phrase, 0)} if restored is None else restored.keys
    passphrase = new_passphrase(key_file, may_be_open=is_open)
    create_wallet(path, keys, development=False, phrase=phrase, passphrase=passphrase)
    if restored is None and not quiet and sys.stdout.isatty():
        from ..output import fitted

        click.echo(f"Write these words down: they are every key of your wallet.\n\n{fitted(f'    {phrase}')}\n")
    from ...devnet.coinfiles import read_coin

    coin = read_coin(folder / "coin.toml")
    return {"accounts": {name: coin.address(key.payload) for name, key in keys.items()}}


def _remember(folder: Path, coin: Coin, url: str) -> None:
    """Store the node as a peer of the new one. Raises StoreRefused, PeerError, ClickException."""
    from ...config import Config
    from ...p2p.table.peer_table import PeerTable
    from ...store.engine import Store
    from ...system.advice import typed
    from ...system.locks import Held, hold

    config = Config(data=folder)
    try:
        lock = hold(config.node_lock)
    except Held:
        raise click.ClickException(
            f"the node of {folder} runs already: `moneyer peers --add {typed(url)} --data {typed(folder)}` makes it "
            "know that one"
        ) from None
    try:
        store = Store.open(config, coin)
        try:
            peers = PeerTable(store, config)
            peers.add(url)
            peers.close()
        finally:
            store.close()
    finally:
        lock.release()


def _port(first: int, *, any_port: bool) -> int:
    """The port for the new node. Raises ClickException for one that is taken."""
    from ...devnet.addresses import free_ports, is_free

    if any_port:
        return next(iter(free_ports(first, 1)), first)
    if not is_free(first):
        raise click.ClickException(f"port {first} is taken: give another with --port, or let --any-port find one")
    return first


def _print(coin: Coin, folder: Path, url: str, height: int, wallet: dict[str, Any], *, made: bool, start: bool) -> None:
    from ...system.advice import as_typed, typed
    from ...system.text import shown
    from ..output import print_pairs, style
    from .new import describe

    chain = coin.chain_id[::-1].hex()[:16]
    click.echo(f"{style(f'{shown(coin.name)} ({coin.symbol})', bold=True)}: chain {chain}…, height {height} at {url}\n")
    print_pairs(describe(coin))
    click.echo()
    where = f"--data {typed(folder)}"
    rows: list[tuple[str, object]] = list(wallet.get("accounts", {}).items())
    rows.append(("data folder", f"{folder}{'' if made else ' (it was of this coin already)'}"))
    if not wallet and not (folder / "wallet.json").exists():
        rows.append(("wallet", f"none yet: the node makes one at its start, or `moneyer wallet new {where}`"))
    print_pairs(rows)
    if not start:
        click.echo(
            as_typed(
                f"\nNext:  moneyer node {where}\n"
                f"       moneyer worker {where} --mode continuous      to mine, beside it"
            )
        )


def _start(folder: Path, port: int, *, quiet: bool) -> None:
    """Replace this process by the node. `quiet`: stdout holds one JSON document, so the node writes to stderr."""
    import sys

    sys.stdout.flush()
    if quiet:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    command = [sys.executable, "-P", "-m", "moneyer", "node", "--data", str(folder), "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - this very interpreter, no shell


@dataclass(frozen=True, slots=True)
class Nearby:
    """A node of the local network that answered."""

    url: str
    chain_id: str
    """In hex, as the API shows it."""
    name: str
    symbol: str
    height: int
    peers: int
    """Nodes that it knows."""


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
    from ...p2p.lan import discover
    from ...system.threads import in_threads

    found = {each.url: each.chain_id for each in discover(seconds)}
    answers = in_threads(lambda each: _ask(*each), list(found.items()), _AT_ONCE)
    return [each for each in answers if each is not None]


def _ask(url: str, chain_id: str) -> Nearby | None:
    """What a node says of itself; None where no node of that chain answers."""
    from ...client.client import Client
    from ...client.errors import ClientError

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
