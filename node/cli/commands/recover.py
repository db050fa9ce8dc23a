"""`moneyer wallet import` and `export`: one key, or a whole wallet by its recovery phrase."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import IntRange, as_json, node_url, option, passphrase_file, wallet_folder
from ..place import complete_names

if TYPE_CHECKING:
    from ...client.client import Client
    from ...core.coin import Coin
    from ...wallet.derive import Key
    from ..place import Place

MAX_ACCOUNTS = 1000
"""Accounts of a phrase that are looked at, whatever the node says."""
GAP = 20
"""Unused accounts in a row after which no more are looked for (BIP 44's gap limit)."""


@click.command("import")
@click.argument("name", required=False)
@option("--phrase", is_flag=True, help="A new wallet from a recovery phrase, which is asked or read from stdin.")
@option(
    "--accounts",
    type=IntRange(1, MAX_ACCOUNTS),
    metavar="N",
    help="With --phrase: the first N, no node is asked.",
)
@option("--open", is_flag=True, help="With --phrase: a wallet without a passphrase.")
@wallet_folder
@node_url
@passphrase_file
@as_json
def import_(
    name: str | None, phrase: bool, data: Path | None, node: str | None, passphrase_file: Path | None, **given: Any
) -> None:
    """Bring in a secret key, or a whole wallet by its phrase.

    What is secret is asked on a terminal, else read from standard input: it never stands among the arguments.
    With --phrase the node is asked which addresses were used.

    \b
    moneyer wallet import savings
    moneyer wallet import --phrase --data beach-coin
    """
    from ..exits import effect
    from ..output import print_json, print_pairs
    from ..place import find_place

    if (name is None) != phrase:
        raise click.UsageError("say what to import: the NAME of one key, or --phrase for a whole wallet")
    place = find_place(data, node)
    coin = place.local_coin
    if name is not None:
        names = _import_key(place, name, passphrase_file)
    else:
        names = _import_phrase(place, passphrase_file, given["accounts"], is_open=given["open"])
    effect().done(f"{', '.join(list(names)[:8])}: imported. `moneyer wallet list` shows it")
    addresses = {each: coin.address(payload) for each, payload in names.items()}
    if given["json"]:
        print_json({"wallet": str(place.wallet_path()), "accounts": addresses})
    else:
        print_pairs(addresses.items())


def _import_key(place: Place, name: str, key_file: Path | None) -> dict[str, bytes]:
    from ...wallet.derive import Key
    from ...wallet.keystore import add_key
    from ...wallet.names import check_name
    from ..secret import read_secret, unlock

    name = check_name(name)
    path = place.wallet_path()
    _, passphrase = unlock(path, key_file)
    try:
        key = Key.from_secret(bytes.fromhex(read_secret("The secret key")))
    except ValueError:
        raise click.ClickException("that is no secret key: one has 64 hex digits") from None
    add_key(path, name, key, imported=True, passphrase=passphrase)
    return {name: key.payload}


def _import_phrase(place: Place, key_file: Path | None, accounts: int | None, *, is_open: bool) -> dict[str, bytes]:
    from ...wallet.derive import check_phrase, key_from_phrase
    from ...wallet.errors import WalletExists
    from ...wallet.keystore import create_wallet
    from ..secret import new_passphrase, read_secret

    path = place.wallet_path()
    if path.exists():
        raise WalletExists(
            f"{path} exists and is not written over: use another --data folder (`moneyer join URL --phrase --data DIR` "
            "makes one from a friend's node)"
        )
    phrase = check_phrase(read_secret("The recovery phrase", hidden=False))
    if accounts is None:
        named = _used(place, phrase)
    else:
        named = _named({number: key_from_phrase(phrase, number) for number in range(accounts)})
    passphrase = new_passphrase(key_file, may_be_open=is_open)
    wallet = create_wallet(path, named, development=False, phrase=phrase, passphrase=passphrase)
    return dict(wallet.names)


def _named(keys: dict[int, Key]) -> dict[str, Key]:
    from ...wallet.keystore import MINER

    return {MINER if number == 0 else f"account-{number}": key for number, key in keys.items()}


def _used(place: Place, phrase: str) -> dict[str, Key]:
    from ...client.errors import ClientError

    try:
        return used_keys(place.client, place.coin, phrase)
    except ClientError as error:
        raise click.ClickException(
            f"{error.message}. Which addresses were used, a node has to say; --accounts N takes the first N without one"
        ) from None


def used_keys(client: Client, coin: Coin, phrase: str) -> dict[str, Key]:
    """Account 0 and every other account that was used on the chain, by name; stops after GAP unused ones in a row.

    Raises ClientError.
    """
    from ...wallet.derive import key_from_phrase

    status = client.status()
    keys, unused, number = {0: key_from_phrase(phrase, 0)}, 0, 0
    while unused < GAP and number < MAX_ACCOUNTS:  # whatever the node says
        key = keys.get(number) or key_from_phrase(phrase, number)
        account = client.account(coin.address(key.payload))
        if account["balance"] or account["sequence"] or account["pending"]["incoming"]:
            keys[number], unused = key, 0
        else:
            unused += 1
        number += 1
    if status.get("syncing"):
        click.echo("the node is still fetching the chain: it may not know every address that was used", err=True)
    return _named(dict(sorted(keys.items())))


@click.command()
@click.argument("name", required=False, shell_complete=complete_names)
@option("--phrase", is_flag=True, help="The recovery phrase, from which every key comes.")
@wallet_folder
@passphrase_file
@as_json
def export(name: str | None, phrase: bool, data: Path | None, passphrase_file: Path | None, json: bool) -> None:
    """Print a secret key or the recovery phrase.

    Whoever sees it can spend. On a terminal it asks first.

    \b
    moneyer wallet export alice
    moneyer wallet export --phrase
    """
    import sys

    from ...wallet.edit import reveal
    from ...wallet.names import find_name
    from ..output import fitted, print_json
    from ..place import find_place, terminal
    from ..secret import unlock

    if (name is None) != phrase:
        raise click.UsageError("say what to export: the NAME of a key, or --phrase")
    place = find_place(data, None)
    held = place.held
    if name is not None:
        known = find_name(held.names, name)
        if known is None:
            raise place.unknown(name)
        name = known
    if terminal() and sys.stdout.isatty():
        click.confirm("It will stand on this screen. Is nobody looking?", abort=True, err=True)
    _, passphrase = unlock(place.wallet_path(), passphrase_file)
    secrets = reveal(place.wallet_path(), passphrase)
    if name is None and secrets.phrase is None:
        raise click.ClickException("this wallet has no recovery phrase: export its keys one by one")
    secret = secrets.phrase if name is None else secrets.keys[name]
    if json:
        print_json({"phrase": secret} if name is None else {"name": name, "secret_key": secret})
    else:
        click.echo(secret if name is not None else fitted(str(secret)))
