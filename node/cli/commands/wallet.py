"""`moneyer wallet`: the keys, names and contacts of a data folder. `import` and `export` are in `recover`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..options import FILE, as_json, node_url, option, passphrase_file, wallet_folder
from ..place import Place, complete_names, find_place
from .recover import export, import_


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
    from ...wallet.derive import key_from_phrase, new_phrase
    from ...wallet.edit import derive_key
    from ...wallet.keystore import MINER, create_wallet
    from ...wallet.names import check_name, name_key
    from ..exits import effect
    from ..output import print_json, print_pairs
    from ..secret import new_passphrase, unlock

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
    effect().done(f"The key {shown[-1]} was made: `moneyer wallet list` shows it")
    if json:
        print_json({"wallet": str(path), "accounts": {each: coin.address(held.names[each]) for each in shown}})
        return
    print_pairs([(each, coin.address(held.names[each])) for each in shown])
    if phrase is not None:
        _tell_phrase(phrase, place)


def _tell_phrase(phrase: str, place: Place) -> None:
    import sys

    from ...system.advice import as_typed, typed
    from ..output import fitted

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
    from ...client.errors import ClientError
    from ..output import coins, print_json, print_table

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
    from ...wallet.keystore import read_file
    from ...wallet.names import find_name
    from ..output import moment, print_json, print_pairs

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


@wallet.command()
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
    from ...wallet import edit
    from ..exits import effect
    from ..output import print_json
    from ..place import find_place
    from ..secret import unlock

    place = find_place(data, None)
    if place.held.payload_of(old) is None:
        raise place.unknown(old)
    _, passphrase = unlock(place.wallet_path(), passphrase_file)
    edit.rename(place.wallet_path(), old, new_name, passphrase=passphrase)
    effect().done(f"{old} is {new_name} now: `moneyer wallet list` shows it")
    if json:
        print_json({"wallet": str(place.wallet_path()), "renamed": {old: new_name}})
    else:
        click.echo(f"{old} is {new_name} now")


@wallet.command()
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
    from ...devnet.running import is_running
    from ...wallet.edit import set_passphrase
    from ..exits import effect
    from ..output import print_json
    from ..place import find_place
    from ..secret import new_passphrase, unlock

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
    effect().done("The passphrase was changed: `moneyer wallet show` says whether there is one")
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


@wallet.command()
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
    from ...core.signing import payable
    from ...wallet.contacts import add_contact, remove_contact
    from ...wallet.errors import NameTaken
    from ..exits import effect
    from ..output import print_json, print_table
    from ..place import find_place

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
        effect().done(f"{name} is forgotten: `moneyer wallet contact` lists the others")
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
        effect().done(f"{name} is a contact: `moneyer wallet contact` lists them")
        if json:
            print_json({"contacts": {name: address}})
        else:
            click.echo(f"{name} is {address}")


for command in (import_, export):
    wallet.add_command(command)
