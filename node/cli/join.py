"""`moneyer join`: a node of somebody's coin, from a URL alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.options import FOLDER, PORT, as_json, no_discovery, option, passphrase_file, usage

if TYPE_CHECKING:
    from node.client import Client
    from node.core.coin import Coin
    from node.wallet.derive import Key


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
    from node.cli.exits import outcome
    from node.client import Client
    from node.client.transport import origin
    from node.net.newcoin import slug

    if url is None and not how["no_discovery"]:
        from node.cli.nearby import list_nearby

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
        outcome().done(f"The data folder {folder} was made; the same command again goes on from there")
    wallet = _wallet(folder, passphrase_file, keys, is_open=how["open"], quiet=how["json"])
    _remember(folder, coin, client.url)
    outcome().done(f"The data folder {folder} is of this coin, and knows {client.url}")
    if how["json"]:
        from node.cli.output import print_json

        chain_id = coin.chain_id[::-1].hex()
        print_json({"data": str(folder), "chain_id": chain_id, "coin": coin.as_json(), "peer": client.url, **wallet})
    else:
        _print(coin, folder, client.url, height, wallet, made=made, start=how["start"])
    if how["start"]:
        _start(folder, port, quiet=how["json"])


def _make_folder(folder: Path, coin: Coin, *, url: str) -> bool:
    """Whether the folder's coin is new. Raises ClickException, naming both, where it is of another coin."""
    from node.cli.place import label
    from node.net.coinfiles import COIN_FILE, make_once, read_coin

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
    from node.cli.recover import used_keys
    from node.cli.secret import read_secret
    from node.wallet.derive import check_phrase

    if (folder / "wallet.json").exists():
        raise click.ClickException(
            f"{folder} has a wallet already, which is not written over: name a new folder with --data"
        )
    phrase = check_phrase(read_secret("The recovery phrase", hidden=False))
    return Restored(phrase, used_keys(client, coin, phrase))


def _wallet(
    folder: Path, key_file: Path | None, restored: Restored | None, *, is_open: bool, quiet: bool
) -> dict[str, Any]:
    """A wallet of one's own, where there is none and one can be made; what to tell of it."""
    import sys

    from node.cli.place import terminal
    from node.cli.secret import new_passphrase
    from node.wallet.derive import key_from_phrase, new_phrase
    from node.wallet.keystore import MINER, create_wallet
    from node.wallet.passphrase import given_passphrase

    path = folder / "wallet.json"
    if restored is None and (path.exists() or not (is_open or terminal() or given_passphrase(key_file))):
        return {}
    phrase = new_phrase() if restored is None else restored.phrase
    keys = {MINER: key_from_phrase(phrase, 0)} if restored is None else restored.keys
    passphrase = new_passphrase(key_file, may_be_open=is_open)
    create_wallet(path, keys, development=False, phrase=phrase, passphrase=passphrase)
    if restored is None and not quiet and sys.stdout.isatty():
        from node.cli.output import fitted

        click.echo(f"Write these words down: they are every key of your wallet.\n\n{fitted(f'    {phrase}')}\n")
    from node.net.coinfiles import read_coin

    coin = read_coin(folder / "coin.toml")
    return {"accounts": {name: coin.address(key.payload) for name, key in keys.items()}}


def _remember(folder: Path, coin: Coin, url: str) -> None:
    """Take the node in as a peer, so that the new one knows it whenever it starts. Raises StoreRefused, PeerError."""
    from node.advice import typed
    from node.config import Config
    from node.locks import Held, hold
    from node.p2p.peers import Peers
    from node.store.engine import Store

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
            peers = Peers(store, config)
            peers.add(url)
            peers.close()
        finally:
            store.close()
    finally:
        lock.release()


def _port(first: int, *, any_port: bool) -> int:
    from node.net.ports import free_ports, is_free

    if any_port:
        return next(iter(free_ports(first, 1)), first)
    if not is_free(first):
        raise click.ClickException(f"port {first} is taken: give another with --port, or let --any-port find one")
    return first


def _print(coin: Coin, folder: Path, url: str, height: int, wallet: dict[str, Any], *, made: bool, start: bool) -> None:
    from node.advice import typed
    from node.cli.command import as_typed
    from node.cli.new import describe
    from node.cli.output import print_pairs, style
    from node.text import shown

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
    """This process becomes the node. `quiet`: stdout holds one JSON document, so the node speaks on stderr."""
    import sys

    sys.stdout.flush()
    if quiet:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    command = [sys.executable, "-P", "-m", "node.cli.main", "node", "--data", str(folder), "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - this very interpreter, no shell
