"""`moneyer contract list` and `show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...options import as_json, node_url, wallet_folder

if TYPE_CHECKING:
    from ....wallet.cosigning.contract_book import Contract
    from ...contract_place import ContractPlace

_ASSETS = 20
"""Holdings that are shown; anybody can send anybody more."""


@click.command("list")
@wallet_folder
@node_url
@as_json
def list_(data: Path | None, node: str | None, json: bool) -> None:
    """List the contracts of the wallet's folder.

    With balances where the node answers.

    \b
    moneyer contract list
    """
    from ....contracts.explain import what
    from ....wallet.cosigning.contract_book import read_book
    from ...contract_place import find_contract_place
    from ...output import coins, print_json, print_table
    from .contract_words import ready_text, view

    place = find_contract_place(data, node)
    rows, views = [], []
    for each in read_book(place.data, place.coin):
        if isinstance(each, Exception):
            click.echo(each.message, err=True)
            continue
        balance = _balance(place, each)
        views.append({**view(place, each, None), "balance": balance})
        ready = ready_text(place, each)
        rows.append(
            (
                each.name,
                "" if balance is None else coins(balance, place.coin.decimals),
                ready.partition(":")[0],
                what(each.policy, place.names_of(each)),
                place.coin.address(each.payload),
            )
        )
    if json:
        print_json({"contracts": views})
    elif not rows:
        click.echo('no contracts here yet: `moneyer contract new NAME "POLICY"` makes one')
    else:
        header = ("name", place.coin.symbol, "ready", "who spends", "address")
        print_table(header, rows, right=(place.coin.symbol,), cut=("who spends",), below="address")


def _balance(place: ContractPlace, contract: Contract) -> int | None:
    from ....client.errors import ClientError

    try:
        place.check_node()
        return int(place.place.client.account(place.coin.address(contract.payload))["balance"])
    except ClientError:
        return None


@click.command()
@click.argument("name")
@wallet_folder
@node_url
@as_json
def show(name: str, data: Path | None, node: str | None, json: bool) -> None:
    """Show a contract: who can spend now, what opens when.

    And what it holds, and who has not yet shown that he holds its policy.

    \b
    moneyer contract show till
    """
    from ....contracts.safety import cautions
    from ...contract_place import find_contract_place
    from ...output import coins, fitted, print_json, print_pairs
    from .contract_words import rows_of, view

    place = find_contract_place(data, node)
    contract = place.contract(name)
    moment = place.moment_if_known()
    held = None if moment is None else _held(place, contract)
    if json:
        print_json({**view(place, contract, moment), **({} if held is None else held)})
        return
    rows = rows_of(place, contract, moment)
    if held is not None:
        rows.append(("balance", coins(held["balance"], place.coin.decimals, place.coin.symbol)))
        rows += [
            ("holds", f"{coins(each['amount'], each['decimals'])} {each['symbol']} (asset {each['asset']})")
            for each in held["assets"]
        ]
        if held["more"]:
            rows.append(("", f"and more assets than the {_ASSETS} that are shown"))
    print_pairs(rows)
    for caution in cautions(contract.policy, place.coin, moment, place.names_of(contract)):
        click.echo(fitted(f"careful: {caution.message}"))


def _held(place: ContractPlace, contract: Contract) -> dict[str, Any]:
    address = place.coin.address(contract.payload)
    account = place.place.client.account(address)
    assets = list(place.place.client.account_assets(address, _ASSETS + 1))
    return {"balance": int(account["balance"]), "assets": assets[:_ASSETS], "more": len(assets) > _ASSETS}
