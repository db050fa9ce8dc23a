"""Which asset a person means: by its symbol, its id, or the beginning of its id.

Anybody may issue an asset with any symbol, so a symbol is taken only where one asset has it, or one of those that have
it is held by the account that pays. Whatever was taken is told by its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from ...system.text import shown
from ...system.words import quoted
from .asset_book import shortened

if TYPE_CHECKING:
    from ..place import Place

LOOKED_AT: Final = 1_000
"""Assets of an account, and newest assets, among which one is looked for: more are dust, or a flood."""
_LISTED: Final = 10
"""Assets that a refusal lists."""
_SAME: Final = 100
"""Assets of one symbol that are compared with what an account holds."""
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BEGINNING = re.compile(r"([0-9a-f]{8,63})(?:…|\.\.\.)?", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """An asset as the node shows it. Supplies in units."""

    id: str
    issuer: str
    """Its address."""
    symbol: str
    name: str
    decimals: int
    content: str
    max_supply: int
    minted: int
    burned: int
    height: int

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Known:
        """From an answer of `/v1/assets`. Raises ClickException where it can't be one."""
        try:
            found = cls(**{name: answer[name] for name in cls.__slots__})
        except KeyError:
            raise _no_asset() from None
        texts = (found.id, found.issuer, found.symbol, found.name, found.content)
        numbers = (found.max_supply, found.minted, found.burned, found.height, found.decimals)
        if not (all(isinstance(each, str) for each in texts) and all(type(each) is int for each in numbers)):
            raise _no_asset()
        if not (_ID.fullmatch(found.id) and _SYMBOL.fullmatch(found.symbol) and 0 <= found.decimals <= 8):
            raise _no_asset()
        return found

    def count(self, amount: int) -> str:
        """An amount of units as a number alone."""
        from ..output import coins

        return coins(amount, self.decimals)

    def units(self, amount: int) -> str:
        """An amount of units for people, with the beginning of the id: `3 TICKET 9f86d08188…`."""
        from ..output import coins

        return f"{coins(amount, self.decimals, self.symbol)} {shortened(self.id)}"


def _no_asset() -> click.ClickException:
    return click.ClickException("the node's answer about the asset is none: is this URL that of a Moneyer node?")


def find_asset(place: Place, text: str, *, holder: bytes | None = None, issuer: bytes | None = None) -> Known:
    """The asset that `text` means. `holder`: the account that pays; `issuer`: only assets of this one.

    Raises ClickException where there is none or several are meant, UsageError for what can be no asset.
    """
    check_rules(place)
    lower = text.lower()
    if _ID.fullmatch(lower):
        return _by_id(place, lower)
    found: dict[str, Known] = {}
    if _SYMBOL.fullmatch(text.upper()):
        found |= {each.id: each for each in _by_symbol(place, text.upper(), holder, issuer)}
    if match := _BEGINNING.fullmatch(lower):
        for asset in _beginning(place, match[1], holder):
            found.setdefault(asset, _by_id(place, asset))
    elif not found and not _SYMBOL.fullmatch(text.upper()):
        raise click.UsageError(
            f"{quoted(text)} is no asset: give its symbol (1 to 12 of A-Z and 0-9), or its id, of which the first 8 "
            "digits may do"
        )
    if not found:
        raise click.ClickException(
            f"there is no asset {quoted(text)} in the main chain: `moneyer asset list` shows the newest. One that was "
            "just issued must be in a block first"
        )
    if len(found) > 1:
        raise _several(place, text, list(found.values()))
    return next(iter(found.values()))


def check_rules(place: Place) -> None:
    """Raises ClickException where the coin has no assets."""
    if place.coin.rules < 2:
        raise click.ClickException(
            f"{shown(place.coin.name)} has no assets: its rules are {place.coin.rules}, and assets came with rules 2"
        )


def holdings(place: Place, payload: bytes) -> Iterator[dict[str, Any]]:
    """What an account holds of assets, at most LOOKED_AT of them."""
    found = place.client.account_assets(place.coin.address(payload), LOOKED_AT)
    return islice(found, LOOKED_AT)  # whatever the node thinks of the limit


def _by_id(place: Place, asset: str) -> Known:
    from ...client.errors import Refused

    try:
        return Known.of(place.client.asset(asset))
    except Refused as error:
        if error.status != 404:
            raise
        raise click.ClickException(f"there is no asset {asset}: {error.message}") from None


def _by_symbol(place: Place, symbol: str, holder: bytes | None, issuer: bytes | None) -> list[Known]:
    """The assets of a symbol that may be meant: where there are several, those that `holder` holds, if any."""
    of = None if issuer is None else place.coin.address(issuer)
    found = [Known.of(each) for each in islice(place.client.assets(symbol=symbol, issuer=of, limit=_SAME), _SAME)]
    if len(found) < 2 or holder is None:
        return found
    held = {each["asset"] for each in holdings(place, holder) if each.get("symbol") == symbol}
    known = {each.id for each in found}
    mine = [each for each in found if each.id in held]
    return mine + [_by_id(place, asset) for asset in sorted(held - known)] or found


def _beginning(place: Place, digits: str, holder: bytes | None) -> set[str]:
    """Ids that begin with `digits`, of what `holder` holds and of the newest assets."""
    held = [] if holder is None else [str(each["asset"]) for each in holdings(place, holder)]
    newest = [str(each["id"]) for each in islice(place.client.assets(limit=LOOKED_AT), LOOKED_AT)]
    return {asset for asset in (*held, *newest) if asset.startswith(digits)}


def _several(place: Place, text: str, found: list[Known]) -> click.ClickException:
    rows = [
        f"{each.id} by {shown(place.name_of(each.issuer))} at height {each.height}"
        for each in sorted(found, key=lambda each: each.height)[:_LISTED]
    ]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return click.ClickException(
        f"{len(found)} assets are called {quoted(text)}; nobody checks symbols. Give the id of the one that you mean: "
        f"{'; '.join(rows)}{more}"
    )
