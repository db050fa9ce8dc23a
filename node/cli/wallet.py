"""`moneyer wallet`: the keys of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.cli.options import as_json, complete_names, node_url, option, passphrase_file, wallet_folder
from node.cli.place import Place, find_place
from node.cli.recover import export, import_
from node.cli.walletedit import contact, passphrase, rename


@click.group()
def wallet() -> None:
    """Keys, names and contacts.

    Keys lie in DATA/wallet.json, encrypted with a passphrase: asked on a terminal, else taken from the environment
    variable MONEYER_PASSPHRASE or from a key file. A development wallet is open: its keys are published anyway.
    """


@wallet.command()
@click.argument("name", required=False)
@option("--open", is_flag=True, help="A new wallet without a passphrase.")
@wallet_folder
@passphrase_file
@as_json
def new(name: str | None, data: Path | None, passphrase_file: Path | None, json: bool, **given: Any) -> None:
    """Make a wallet, or one more key in it.

    Every key comes from the wallet's one recovery phrase. A new wallet has the key `miner`, which rewards go to.

    \b
    moneyer wallet new --data beach-coin
    moneyer wallet new savings
    """
    from node.cli.exits import outcome
    from node.cli.output import print_json, print_pairs
    from node.cli.secret import new_passphrase, unlock
    from node.wallet.derive import key_from_phrase, new_phrase
    from node.wallet.edit import derive_key
    from node.wallet.keystore import MINER, create_wallet
    from node.wallet.names import check_name, name_key

    place = find_place(data, None)
    path, coin = place.wallet_path(), place.local_coin
    if name is not None:
        name = check_name(name)
    phrase = None
    if path.exists():
        if name is None:
            raise click.ClickException(f"{path} exists: give a NAME for one more key, or another folder with --data")
        _, passphrase = unlock(path, passphrase_file)
        held = derive_key(path, name, passphrase=passphrase)
        shown = [name]
    else:
        phrase = new_phrase()
        names = [MINER] if name is None or name_key(name) == MINER else [MINER, name]
        keys = {each: key_from_phrase(phrase, number) for number, each in enumerate(names)}
        passphrase = new_passphrase(passphrase_file, may_be_open=given["open"])
        held = create_wallet(path, keys, development=False, phrase=phrase, passphrase=passphrase)
        shown = names
    outcome().done(f"The key {shown[-1]} was made: `moneyer wallet list` shows it")
    if json:
        print_json({"wallet": str(path), "accounts": {each: coin.address(held.names[each]) for each in shown}})
        return
    print_pairs([(each, coin.address(held.names[each])) for each in shown])
    if phrase is not None:
        _tell_phrase(phrase, place)


def _tell_phrase(phrase: str, place: Place) -> None:
    import sys

    from node.advice import typed
    from node.cli.command import as_typed
    from node.cli.output import fitted

    if sys.stdout.isatty():
        click.echo(f"\nWrite these words down: they are every key of this wallet.\n\n{fitted(f'    {phrase}')}")
    else:
        where = f"--data {typed(str(place.folder))}"
        click.echo(as_typed(f"`moneyer wallet export --phrase {where}` shows the recovery phrase"), err=True)


@wallet.command("list")
@wallet_folder
@node_url
@as_json
def list_(data: Path | None, node: str | None, json: bool) -> None:
    """List the keys and contacts.

    With balances where the node answers.

    \b
    moneyer wallet list
    """
    from node.cli.output import coins, print_json, print_table
    from node.client import ClientError

    place = find_place(data, node)
    coin, held = place.local_coin, place.held
    rows: list[dict[str, Any]] = [
        {"name": name, "address": coin.address(payload), "kind": "key"} for name, payload in held.names.items()
    ]
    rows += [{"name": name, "address": address, "kind": "contact"} for name, address in place.contacts.items()]
    try:
        for row in rows:
            row["balance"] = place.client.account(row["address"])["balance"] if place.coin == coin else None
    except ClientError:
        rows = [{**row, "balance": None} for row in rows]
    if json:
        print_json({"wallet": str(place.wallet_path()), "accounts": rows})
        return
    table = [
        (
            row["name"],
            row["kind"],
            "" if row["balance"] is None else coins(row["balance"], coin.decimals),
            row["address"],
        )
        for row in rows
    ]
    print_table(("name", "kind", coin.symbol, "address"), table, right=(coin.symbol,), below="address")


@wallet.command()
@click.argument("name", required=False, shell_complete=complete_names)
@wallet_folder
@as_json
def show(name: str | None, data: Path | None, json: bool) -> None:
    """Show the wallet, or one key of it.

    Nothing secret: `moneyer wallet export` has that.

    \b
    moneyer wallet show
    moneyer wallet show alice
    """
    from node.cli.output import moment, print_json, print_pairs
    from node.wallet.keystore import read_file
    from node.wallet.names import find_name

    place = find_place(data, None)
    coin, held, file = place.local_coin, place.held, read_file(place.wallet_path())
    if name is None:
        state = "its keys are published" if file.development else "`moneyer wallet passphrase` encrypts it"
        about = {
            "wallet": str(place.wallet_path()),
            "coin": f"{coin.name} ({coin.symbol})",
            "encrypted": file.encryption is not None,
            "development": file.development,
            "accounts": list(held.names),
            "contacts": list(place.contacts),
        }
        if json:
            print_json(about)
            return
        about["encrypted"] = "yes" if file.encryption else f"no, it is open: {state}"
        about.update(accounts=", ".join(held.names), contacts=", ".join(place.contacts) or "none")
        del about["development"]
        print_pairs(about.items())
        return
    known = find_name(held.names, name)
    account = next((each for each in file.accounts if each.name == known), None)
    if account is None:
        raise (
            place.unknown(name)
            if (friend := find_name(place.contacts, name)) is None
            else click.ClickException(f"{friend} is a contact: {place.contacts[friend]}")
        )
    about = {
        "name": account.name,
        "address": coin.address(held.names[account.name]),
        "public_key": account.public_key,
        "path": account.path,
        "imported": account.imported,
        "created": account.created,
    }
    if json:
        print_json(about)
    else:
        path = account.path or "none: no phrase leads to it, only a copy of the file or of the key"
        imported = "yes" if account.imported else "no"
        print_pairs({**about, "path": path, "imported": imported, "created": moment(account.created)}.items())


for command in (import_, export, rename, passphrase, contact):
    wallet.add_command(command)
