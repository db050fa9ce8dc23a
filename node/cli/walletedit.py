"""`moneyer wallet rename`, `passphrase` and `contact`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.cli.options import FILE, as_json, option, passphrase_file, wallet_folder


@click.command()
@click.argument("old")
@click.argument("new_name", metavar="NEW")
@wallet_folder
@passphrase_file
@as_json
def rename(old: str, new_name: str, data: Path | None, passphrase_file: Path | None, json: bool) -> None:
    """Give a key another name.

    \b
    moneyer wallet rename account-1 savings
    """
    from node.cli.exits import outcome
    from node.cli.output import print_json
    from node.cli.place import find_place
    from node.cli.secret import unlock
    from node.wallet import edit

    place = find_place(data, None)
    if place.held.payload_of(old) is None:
        raise place.unknown(old)
    _, passphrase = unlock(place.wallet_path(), passphrase_file)
    edit.rename(place.wallet_path(), old, new_name, passphrase=passphrase)
    outcome().done(f"{old} is {new_name} now: `moneyer wallet list` shows it")
    if json:
        print_json({"wallet": str(place.wallet_path()), "renamed": {old: new_name}})
    else:
        click.echo(f"{old} is {new_name} now")


@click.command()
@option("--open", is_flag=True, help="Take the passphrase off.")
@option("--new-passphrase-file", type=FILE, metavar="FILE", help="Key file with the new one.  [default: it is asked]")
@wallet_folder
@passphrase_file
@as_json
def passphrase(
    data: Path | None, passphrase_file: Path | None, new_passphrase_file: Path | None, json: bool, **given: Any
) -> None:
    """Set, change or remove the passphrase.

    The new one is asked twice, or stands in MONEYER_NEW_PASSPHRASE or a key file. A node that runs on the wallet wants
    it too, at its next start.

    \b
    moneyer wallet passphrase
    moneyer wallet passphrase --open           for whoever can read the file
    """
    from node.cli.exits import outcome
    from node.cli.output import print_json
    from node.cli.place import find_place
    from node.cli.secret import new_passphrase, unlock
    from node.net.running import is_running
    from node.wallet.edit import set_passphrase

    place = find_place(data, None)
    path = place.wallet_path()
    held, old = unlock(path, passphrase_file)
    if held.development and not given["open"]:
        raise click.ClickException(f"{path} is a development wallet: its keys are published, a passphrase is no help")
    fresh = (
        None
        if given["open"]
        else new_passphrase(new_passphrase_file, may_be_open=False, variable="MONEYER_NEW_PASSPHRASE")
    )
    set_passphrase(path, old, fresh)
    outcome().done("The passphrase was changed: `moneyer wallet show` says whether there is one")
    if json:
        print_json({"wallet": str(path), "encrypted": fresh is not None})
    else:
        click.echo(f"{path} is {'open' if fresh is None else 'encrypted with the new passphrase'} now")
    if fresh is not None and is_running(path.parent):
        click.echo(
            "A node runs on it, which mines for it as before, and spends from it again once it is started with the new "
            "passphrase (MONEYER_PASSPHRASE or --passphrase-file)",
            err=True,
        )


@click.command()
@click.argument("name", required=False)
@click.argument("address", required=False)
@option("--remove", is_flag=True, help="Forget the contact NAME.")
@wallet_folder
@as_json
def contact(name: str | None, address: str | None, remove: bool, data: Path | None, json: bool) -> None:
    """List, name or forget other people's addresses.

    \b
    moneyer wallet contact                     lists them
    moneyer wallet contact ben beach1q…        ben stands for that address
    moneyer wallet contact ben --remove
    """
    from node.cli.exits import outcome
    from node.cli.output import print_json, print_table
    from node.cli.place import find_place, payable
    from node.wallet.contacts import add_contact, remove_contact
    from node.wallet.errors import NameTaken

    if remove and (name is None or address is not None):
        raise click.UsageError("say which contact to forget, and no address: `moneyer wallet contact NAME --remove`")
    place = find_place(data, None)
    folder = place.wallet_path().parent
    if name is None:
        if json:
            print_json({"contacts": place.contacts})
        elif not place.contacts:
            click.echo("no contacts yet: `moneyer wallet contact NAME ADDRESS` names an address")
        else:
            print_table(("name", "address"), list(place.contacts.items()), below="address")
    elif remove:
        address = remove_contact(folder, name)
        outcome().done(f"{name} is forgotten: `moneyer wallet contact` lists the others")
        if json:
            print_json({"removed": {name: address}})
        else:
            click.echo(f"{name} ({address}) is forgotten")
    elif address is None:
        raise click.UsageError("name an address too: `moneyer wallet contact NAME ADDRESS`")
    else:
        coin = place.local_coin
        if place.wallet is not None and place.wallet.payload_of(name) is not None:
            raise NameTaken(f"{name} is a key of this wallet: take another name")
        address = coin.address(payable(coin, address))
        add_contact(folder, name, address)
        outcome().done(f"{name} is a contact: `moneyer wallet contact` lists them")
        if json:
            print_json({"contacts": {name: address}})
        else:
            click.echo(f"{name} is {address}")
