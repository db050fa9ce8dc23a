"""`moneyer contract export`, `accept` and `receipt`: a contract goes to its co-signers, and receipts come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...options import FILE, as_json, node_url, option, passphrase_file, wallet_folder

if TYPE_CHECKING:
    from ....core.policy import Policy
    from ....wallet.cosigning.contract_book import Contract
    from ...contract_place import ContractPlace

sure = option("--yes", is_flag=True, help="Don't ask: for scripts.")


@click.command()
@click.argument("name")
@click.argument("file", type=FILE, required=False)
@wallet_folder
@as_json
def export(name: str, file: Path | None, data: Path | None, json: bool) -> None:
    """Write a contract's file, for a co-signer or to keep.

    Without it nobody can spend. Nothing in it is secret. FILE is NAME.json in this folder, unless you say another.

    \b
    moneyer contract export till
    moneyer contract export till /media/stick/till.json
    """
    from ....wallet.cosigning.contract_book import encode_contract
    from ...contract_place import find_contract_place, write_handed
    from ...exits import effect
    from ...output import print_json

    place = find_contract_place(data, None)
    contract = place.contract(name)
    file = file or Path(f"{contract.name}.json")
    write_handed(file, encode_contract(contract, place.coin))
    effect().done(f"The contract {contract.name} is written to {file}")
    if json:
        print_json({"name": contract.name, "file": str(file)})
    else:
        click.echo(f"{contract.name} is written to {file}")


@click.command()
@click.argument("file", type=FILE)
@option("--name", metavar="NAME", help="What to call the contract here.  [default: what the file calls it]")
@option("--receipt", type=FILE, metavar="FILE", help="The receipt's file.  [default: in this folder]")
@sure
@wallet_folder
@node_url
@passphrase_file
@as_json
def accept(
    file: Path,
    name: str | None,
    receipt: Path | None,
    yes: bool,
    data: Path | None,
    node: str | None,
    passphrase_file: Path | None,
    json: bool,
) -> None:
    """Keep a contract that somebody made with your key.

    Shows what it is, and asks; then writes your receipt, a signature that you hold it. The receipt moves no money.

    \b
    moneyer contract accept till-for-bob.json
    """
    from ....wallet.cosigning.contract_book import MAX_CONTRACT, add_contract, decode_contract
    from ....wallet.cosigning.receipts import sign_receipt
    from ...contract_place import confirm, find_contract_place, read_handed, write_handed
    from ...exits import effect
    from ...output import print_json, print_pairs
    from ...secret import unlock
    from .contract_words import rows_of, view

    place = find_contract_place(data, node)
    sent = decode_contract(read_handed(file, MAX_CONTRACT), place.coin)
    contract = replace(sent, name=name or sent.name)
    mine = [key for key in contract.keys if key in place.own]
    if not mine:
        raise click.ClickException(
            "none of the keys of this contract is in this wallet: it was made for somebody else, or for another wallet"
        )
    _check_safe(place, contract.policy)
    moment = place.moment_if_known()
    print_rows = rows_of(place, contract, moment)[:-1]
    yours = ", ".join([place.own[key] for key in mine])
    if not json or not yes:
        print_pairs([*print_rows, ("your key", yours)])
    confirm("Keep it, and sign the receipt?", is_sure=yes)
    wallet, _ = unlock(place.place.wallet_path(), passphrase_file)
    receipts = [sign_receipt(place.coin, contract.payload, wallet.secret_for(b"\x00" + key)) for key in mine]
    contract = contract.with_receipts([(each.key, each.signature) for each in receipts])
    contract = add_contract(place.data, place.coin, contract, place.taken_names())
    effect().done(f"The contract {contract.name} is kept: `moneyer contract show` shows it")
    written = []
    for key in mine:
        path = receipt if receipt and len(mine) == 1 else _receipt_path(contract, sent.name_of(key) or place.own[key])
        write_handed(path, _receipt_file(place, contract, key), replace=True)
        written.append(str(path))
    if json:
        print_json({**view(place, contract, moment), "receipts": written})
    else:
        click.echo(f"{contract.name} is kept. Give back the receipt: {', '.join(written)}")


def _receipt_path(contract: Contract, person: str) -> Path:
    """In this folder. `person`: as the maker calls him, since the own key of many a co-signer is `miner`."""
    return Path(f"{contract.name}-receipt-{person}.json")


def _receipt_file(place: ContractPlace, contract: Contract, key: bytes) -> bytes:
    from ....wallet.cosigning.receipts import Receipt, encode_receipt

    return encode_receipt(place.coin, Receipt(contract.payload, key, contract.receipts[key]))


def _check_safe(place: ContractPlace, policy: Policy) -> None:
    """Without the moment: what was safe when it was made may have locks that have come since. Raises ClickException."""
    from ....contracts.errors import BadPolicy
    from ....contracts.safety import check_safe

    try:
        check_safe(policy, place.coin)
    except BadPolicy as error:
        raise click.ClickException(f"this contract is not safe, and is not kept: {error.message}") from None


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE…")
@wallet_folder
@as_json
def receipt(files: tuple[Path, ...], data: Path | None, json: bool) -> None:
    """Take in co-signers' receipts.

    \b
    moneyer contract receipt till-receipt-bob.json
    """
    from ....wallet.cosigning.contract_book import add_receipt
    from ....wallet.cosigning.receipts import MAX_RECEIPT, decode_receipt
    from ...contract_place import find_contract_place, read_handed
    from ...exits import effect
    from ...output import print_json
    from .contract_words import ready_text, view

    place = find_contract_place(data, None)
    read = [decode_receipt(read_handed(file, MAX_RECEIPT), place.coin) for file in files]
    contracts: dict[bytes, Contract] = {}
    for each in read:
        contracts[each.payload] = add_receipt(place.data, place.coin, each)
        effect().done("Receipts were taken in: `moneyer contract list` shows who has not shown his contract yet")
    if json:
        print_json({"contracts": [view(place, contract, None) for contract in contracts.values()]})
        return
    for contract in contracts.values():
        click.echo(f"{contract.name}: the receipt is kept. Ready: {ready_text(place, contract)}")
