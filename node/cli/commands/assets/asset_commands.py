"""`moneyer asset`: issue, list, show, mint, burn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...options import FILE, IntRange, as_json, node_url, option, wallet_folder
from ...place import complete_names
from ...spending.spend_options import how_of, spending

if TYPE_CHECKING:
    from ...place import Place
    from ...spending.asset_names import Known

F = TypeVar("F", bound=Callable[..., Any])

_HOLDERS = 10
"""Holders that `show` lists, the largest."""
_DECIMALS = IntRange(0, 8)


def _from(default: str) -> Callable[[F], F]:
    return option("--from", metavar="WHO", shell_complete=complete_names, help=f"Who signs.  [default: {default}]")


def _to(default: str) -> Callable[[F], F]:
    return option(
        "--to",
        metavar="WHO",
        shell_complete=complete_names,
        help=f"Who gets the units.  [default: {default}]",
    )


@click.group()
def asset() -> None:
    """Assets: tickets, shares, vouchers on your coin.

    Anybody can issue an asset, with any symbol and name: only its id tells one from another. Fees are in coins.
    """


@asset.command()
@click.argument("name")
@option("--symbol", required=True, metavar="S", help="1 to 12 of A-Z and 0-9; others may take the same.")
@option("--supply", required=True, metavar="N", help="How many there are at first.")
@option("--max-supply", metavar="N", help="How many there may ever be.  [default: --supply, so never more]")
@option("--decimals", type=_DECIMALS, default=0, show_default=True, metavar="N", help="Digits after the point.")
@option("--file", "file", type=FILE, metavar="FILE", help="A document or picture whose SHA-256 becomes a term.")
@_from("the wallet's only name, or miner")
@_to("who signs")
@spending
def issue(name: str, symbol: str, to: str | None, file: Path | None, **given: Any) -> None:
    """Make an asset.

    Its terms never change: name, symbol, decimals, the most there may be, the file's hash. Who signs is its issuer, who
    alone may make more of it, up to the most. It can be sent once it is in a block.

    \b
    moneyer asset issue "Beach Party" --symbol TICKET --supply 100 --wait
    moneyer asset issue Sand --symbol SAND --supply 0 --max-supply 99 --from anna
    moneyer asset issue Poster --symbol ART --supply 1 --file poster.png
    """
    from ...place import find_place
    from ...spending.asset_orders import IssueOrder, digest_of
    from ...spending.spend_order import perform

    how = how_of(given)
    _check_words(name, symbol)
    content = bytes(32) if file is None else digest_of(file)
    place = find_place(given["data"], given["node"])
    who = given["from"] or _only_name(place)
    terms = {key: given[key] for key in ("supply", "max_supply", "decimals")}
    order = IssueOrder(place, who, to or who, how, name=name, symbol=symbol, content=content, **terms)
    perform(order)


@asset.command()
@click.argument("asset_id", metavar="ASSET")
@click.argument("amount")
@_from("the issuer")
@_to("who signs")
@spending
def mint(asset_id: str, amount: str, to: str | None, **given: Any) -> None:
    """Make more of an asset.

    Only its issuer can, and never beyond the most that its issue named; what was burned makes no room.

    \b
    moneyer asset mint SAND 250
    moneyer asset mint 9f86d081884c 250 --to anna --wait
    """
    from ...place import find_place
    from ...spending.asset_names import find_asset
    from ...spending.asset_orders import MintOrder
    from ...spending.spend_order import own_account, perform

    how = how_of(given)
    place = find_place(given["data"], given["node"])
    found = find_asset(place, asset_id, issuer=own_account(place, given["from"]) if given["from"] else None)
    who = given["from"] or _issuer_here(place, found)
    perform(MintOrder(place, who, to or who, amount, found, how))


@asset.command()
@click.argument("asset_id", metavar="ASSET")
@click.argument("amount")
@_from("the wallet's only name, or miner")
@spending
def burn(asset_id: str, amount: str, **given: Any) -> None:
    """Let units of an asset cease to be.

    A ticket that was used, a voucher that was redeemed. Nobody can bring them back.

    \b
    moneyer asset burn TICKET 1 --from anna
    """
    from ...place import find_place
    from ...spending.asset_names import find_asset
    from ...spending.asset_orders import BurnOrder
    from ...spending.spend_order import own_account, perform

    how = how_of(given)
    place = find_place(given["data"], given["node"])
    who = given["from"] or _only_name(place)
    found = find_asset(place, asset_id, holder=own_account(place, who))
    perform(BurnOrder(place, who, amount, found, how))


@asset.command("list")
@option("--issuer", metavar="WHO", help="Only assets of this name or address.")
@option("--symbol", metavar="S", help="Only assets of this symbol.")
@option("--limit", type=IntRange(1, 10_000), default=20, show_default=True, help="Assets at most.")
@wallet_folder
@node_url
@as_json
def list_(issuer: str | None, symbol: str | None, limit: int, data: Path | None, node: str | None, json: bool) -> None:
    """List assets, the newest first.

    \b
    moneyer asset list
    moneyer asset list --issuer anna --symbol TICKET
    """
    from itertools import islice

    from ...output import coins, print_json, print_table, short
    from ...place import find_place
    from ...spending.asset_book import shortened
    from ...spending.asset_names import Known, check_rules

    place = find_place(data, node)
    check_rules(place)
    of = None if issuer is None else place.coin.address(place.payload(issuer))
    wanted = None if symbol is None else symbol.upper()
    answers = list(islice(place.client.assets(issuer=of, symbol=wanted, limit=limit), limit))
    if json:
        print_json({"assets": answers})
        return
    if not answers:
        click.echo("there is no such asset yet: `moneyer asset issue NAME --symbol S --supply N` makes one")
        return
    rows = [
        (
            shortened(each.id),
            each.symbol,
            short(each.name, 30),
            coins(each.minted - each.burned, each.decimals),
            coins(each.max_supply, each.decimals),
            short(place.name_of(each.issuer), 20),
            each.height,
        )
        for each in map(Known.of, answers)
    ]
    header = ("id", "symbol", "name", "there are", "at most", "issuer", "height")
    right, cut = ("there are", "at most", "height"), ("name", "issuer")
    print_table(header, rows, right=right, cut=cut, drop=("height", "at most", "issuer", "name"))


@asset.command()
@click.argument("asset_id", metavar="ASSET")
@option("--file", "file", type=FILE, metavar="FILE", help="Check that this is the file whose hash the asset has.")
@wallet_folder
@node_url
@as_json
def show(asset_id: str, file: Path | None, data: Path | None, node: str | None, json: bool) -> None:
    """Show an asset: its terms, how many there are, who holds most.

    ASSET: its symbol, its id, or the first 8 digits of that. With --file exit status 1 where the file is another.

    \b
    moneyer asset show TICKET
    moneyer asset show 9f86d081884c --file poster.png
    """
    from itertools import islice

    from ...output import print_json
    from ...place import find_place
    from ...spending.asset_names import find_asset
    from ...spending.asset_orders import digest_of

    digest = None if file is None else digest_of(file)
    place = find_place(data, node)
    found = find_asset(place, asset_id)
    holders = list(islice(place.client.holders(found.id, _HOLDERS), _HOLDERS))
    if file is not None and digest is not None and digest.hex() != found.content:
        has = "it has none" if not found.content.strip("0") else f"that is {found.content}"
        raise click.ClickException(
            f"{file} is not the file of {found.symbol} {found.id[:10]}…: its SHA-256 is {digest.hex()}, and of the "
            f"asset's content {has}"
        )
    if json:
        print_json({**place.client.asset(found.id), "holders": holders})
        return
    _print(place, found, holders, file)


def _print(place: Place, found: Known, holders: list[dict[str, Any]], file: Path | None) -> None:
    from ...output import coins, print_pairs, print_table, short

    def amount(units: int) -> str:
        return coins(units, found.decimals, found.symbol)

    content = found.content if found.content.strip("0") else "none"
    same = "" if file is None else f", and {file} is that file"
    print_pairs(
        [
            ("id", found.id),
            ("symbol", f"{found.symbol} (others may have the same: the id tells)"),
            ("name", found.name),
            ("issuer", _named(place, found.issuer)),
            ("in block", found.height),
            ("there are", amount(found.minted - found.burned)),
            ("made", f"{amount(found.minted)}, of it burned {coins(found.burned, found.decimals)}"),
            ("at most", amount(found.max_supply)),
            ("decimals", found.decimals),
            ("content", f"{content}{' (SHA-256)' if content != 'none' else ''}{same}"),
        ]
    )
    if holders:
        rows = [(short(place.name_of(each["address"]), 66), coins(each["amount"], found.decimals)) for each in holders]
        click.echo()
        print_table(("holder", found.symbol), rows, right=(found.symbol,), cut=("holder",))


def _named(place: Place, address: str) -> str:
    name = place.name_of(address)
    return address if name == address else f"{name} ({address})"


def _check_words(name: str, symbol: str) -> None:
    """Raises UsageError for a name or a symbol that no asset may have."""
    import re

    from ....system.text import shown

    if not re.fullmatch("[A-Z0-9]{1,12}", symbol, re.ASCII):
        raise click.UsageError(f"--symbol {shown(symbol)}: 1 to 12 of A-Z and 0-9, such as TICKET")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise click.UsageError("NAME is no text that can be sent: it is not UTF-8") from None
    if not 1 <= size <= 64 or any(ord(each) < 32 or 127 <= ord(each) < 160 for each in name):
        raise click.UsageError(f"NAME {shown(name[:80])}: 1 to 64 bytes of text without control characters")


def _only_name(place: Place) -> str:
    """Who signs where nobody is named: the wallet's only name, or its miner. Raises ClickException."""
    from ....wallet.keystore import MINER

    names = list(place.held.names)
    if len(names) == 1 or MINER in names:
        return names[0] if len(names) == 1 else MINER
    raise click.ClickException(f"say who signs, as in --from {names[0] if names else 'NAME'}")


def _issuer_here(place: Place, found: Known) -> str:
    """The issuer's name in this wallet. Raises ClickException where its key is not here."""
    name = place.held.name_of(place.coin.payload(found.issuer))
    if name is None:
        raise click.ClickException(
            f"only its issuer makes more of {found.symbol} {found.id[:10]}…, and the key of {found.issuer} is not in "
            "this wallet"
        )
    return name
