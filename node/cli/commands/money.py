"""`moneyer balance` and `moneyer history`: what accounts hold, and what they got and sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...system.text import shown
from ..options import IntRange, as_json, node_url, option, wallet_folder
from ..place import complete_names

if TYPE_CHECKING:
    from ..place import Place
    from ..spending.asset_book import Moved


@click.command()
@click.argument("who", required=False, shell_complete=complete_names)
@option("--assets", type=IntRange(1, 10_000), default=20, show_default=True, help="Assets of each at most.")
@wallet_folder
@node_url
@as_json
def balance(who: str | None, assets: int, data: Path | None, node: str | None, json: bool) -> None:
    """Show what somebody has.

    WHO is a name of the wallet or of a contact, or an address; without it, everyone in the wallet.

    \b
    moneyer balance
    moneyer balance alice
    moneyer balance beach1q… --node http://192.168.1.20:5001
    """
    from ..output import coins, print_json, print_table, short
    from ..place import find_place

    place = find_place(data, node)
    coin = place.coin
    if who is not None:
        accounts = {who: place.client.account(coin.address(place.payload(who)))}
    else:
        accounts = {name: place.client.account(coin.address(payload)) for name, payload in _own(place).items()}
    accounts = {name: _with_assets(place, account, assets) for name, account in accounts.items()}
    if json:
        print_json(next(iter(accounts.values())) if who else {"accounts": accounts})
        return
    rows = [
        (
            short(name, 34),
            coins(account["balance"], coin.decimals),
            _pending(account["pending"], coin.decimals),
            account["address"],
        )
        for name, account in accounts.items()
    ]
    header = ("name", coin.symbol, "waiting", "address")
    print_table(header, rows, right=(coin.symbol, "waiting"), below="address")
    _print_assets(accounts)


def _with_assets(place: Place, account: dict[str, Any], most: int) -> dict[str, Any]:
    """An account with at most that many assets; its own answer has the first 20, under rules 2."""
    from itertools import islice

    held = account.get("assets")
    if not isinstance(held, list):
        return account
    more = bool(account.get("more"))
    if len(held) < most and more:
        held, more = list(islice(place.client.account_assets(account["address"], most + 1), most + 1)), False
    return {**account, "assets": held[:most], "more": more or len(held) > most}


def _print_assets(accounts: dict[str, dict[str, Any]]) -> None:
    """What accounts hold of assets; nothing where they hold none."""
    from ..output import coins, print_table, short
    from ..spending.asset_book import shortened

    rows = [
        (short(name, 34), coins(each["amount"], int(each["decimals"])), each["symbol"], shortened(str(each["asset"])))
        for name, account in accounts.items()
        for each in account.get("assets", [])
    ]
    if rows:
        click.echo()
        print_table(("name", "holds", "asset", "id"), rows, right=("holds",), cut=("name",))
    for name in [name for name, account in accounts.items() if account.get("more")]:
        click.echo(f"… and {shown(name)} holds more assets: --assets N shows N of them")


def _own(place: Place) -> dict[str, bytes]:
    if place.wallet is None:
        raise click.ClickException(
            "there is no wallet here: say whose balance (an address), name a data folder with --data, or make a "
            "wallet with `moneyer wallet new`"
        )
    return dict(place.wallet.names)


def _pending(pending: dict[str, Any], decimals: int) -> str:
    """Amounts that wait in the mempool: `+2 -0.5`."""
    from ..output import coins

    signs = (("+", "incoming"), ("-", "outgoing"))
    return " ".join(f"{sign}{coins(pending[key], decimals)}" for sign, key in signs if pending[key])


@click.command()
@click.argument("who", shell_complete=complete_names)
@option("--limit", type=IntRange(1, 10_000), default=20, show_default=True, help="Confirmed ones at most.")
@wallet_folder
@node_url
@as_json
def history(who: str, limit: int, data: Path | None, node: str | None, json: bool) -> None:
    """Show what somebody got and sent.

    Newest first, what waits for a block above it.

    \b
    moneyer history alice
    moneyer history alice --limit 100 --json
    """
    from itertools import islice

    from ..output import print_json, print_table
    from ..place import find_place
    from ..spending.asset_book import AssetBook, with_assets

    place = find_place(data, node)
    address = place.coin.address(place.payload(who))
    confirmed = list(islice(place.client.history(address, limit), limit))
    pool = place.client.mempool()["transactions"]
    waiting = [each for each in pool if address in (each["sender"], each["receiver"])]
    if json:
        print_json({"address": address, "waiting": waiting, "transactions": confirmed})
        return
    rows = [_row(place, each, address, moved) for each, moved in AssetBook(place).columns([*waiting, *confirmed])]
    if not rows:
        click.echo(f"nothing yet: {who} has neither got nor sent any {place.coin.symbol}")
        return
    header = ("when", "height", place.coin.symbol, "fee", "from or to", "memo", "txid")
    right, cut = ("height", place.coin.symbol, "fee"), ("from or to", "memo", "txid")
    print_table(*with_assets(header, rows, 2), right=right, cut=cut, drop=("memo", "fee", "height", "when"))


_MADE = {"issue": "issued", "mint": "minted"}
"""By kind, what somebody has made for himself."""


def _origin(transaction: dict[str, Any]) -> str:
    """How a transaction without a sender is called."""
    return "premine" if transaction["height"] == 0 else "block reward"


def _sign(each: dict[str, Any], address: str) -> str:
    """Whether a transaction gives to an address or takes from it; an issue or a mint takes from nobody."""
    got, sent = each["receiver"] == address, each["sender"] == address
    if each["kind"] in ("issue", "mint"):
        return "+" if got else ""
    return "" if got and sent else "-" if sent else "+"


def _row(place: Place, each: dict[str, Any], address: str, moved: Moved) -> tuple[object, ...]:
    from ..output import coins, moment, short

    decimals, sent = place.coin.decimals, each["sender"] == address
    other = each["receiver"] if sent else each["sender"]
    name = _origin(each) if other is None else short(place.name_of(other), 20)
    if (kind := each["kind"]) == "burn" or (kind in _MADE and other == address):
        name = _MADE.get(kind, "burned")
    return (
        moment(each.get("timestamp")) if each["height"] is not None else "waiting",
        "" if each["height"] is None else each["height"],
        moved.signed(_sign(each, address)),
        coins(each["fee"], decimals) if sent else "",
        name,
        short(each["memo"] or "", 40),
        short(each["txid"]),
    )
