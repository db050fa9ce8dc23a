"""What transactions move, as people read it: coins, or units of an asset with its symbol and the beginning of its id.

A symbol proves nothing, for anybody may issue an asset that is named like another, or like the coin: the id stands
beside it always. What has no terms here (an asset that was undone, more of them than `_LOOKS`) is shown in units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..output import coins

if TYPE_CHECKING:
    from ..place import Place

SHORT: Final = 10
"""Hex digits of an id that a list shows."""
_LOOKS: Final = 50
"""Assets of which one command asks for the terms; more in a list are dust, or a flood."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an amount of an asset is shown by."""

    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a transaction moves, for two columns of a table; one of the two is empty."""

    coins: str
    asset: str

    def signed(self, sign: str) -> Moved:
        """With `+` or `-` before it."""
        return Moved(self.coins and f"{sign}{self.coins}", self.asset and f"{sign}{self.asset}")


class AssetBook:
    """The assets that a command met, each asked for once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: dict[str, Terms | None] = {}

    def learn(self, asset: str, symbol: object, decimals: object) -> None:
        """Note the terms of an asset as an answer gave them; what can be none is not noted."""
        if isinstance(symbol, str) and type(decimals) is int and 0 <= decimals <= 8:
            self._known[asset] = Terms(symbol, decimals)

    def amount(self, units: int, asset: str) -> str:
        """Units of an asset: `3 TICKET 9f86d08188…`."""
        terms = self._terms(asset)
        if terms is None:
            return f"{units} {'unit' if units == 1 else 'units'} of {shortened(asset)}"
        return f"{coins(units, terms.decimals)} {terms.symbol} {shortened(asset)}"

    def moved(self, each: Mapping[str, Any], *, symbol: bool = False) -> str:
        """What a transaction, as the API shows it, moves: coins (with the coin's `symbol`), or units of its asset."""
        asset = asset_of(each)
        if asset is None:
            coin = self._place.coin
            return coins(each["amount"], coin.decimals, coin.symbol if symbol else "")
        self.learn_from(each)
        return self.amount(each["amount"], asset)

    def columns(self, transactions: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], Moved]]:
        """Each transaction, and what it moves."""
        found = []
        for each in transactions:
            text = self.moved(each)
            found.append((each, Moved(text, "") if asset_of(each) is None else Moved("", text)))
        return found

    def learn_from(self, each: Mapping[str, Any]) -> None:
        """Note the terms where a transaction is an issue, which has them."""
        if each.get("kind") == "issue" and (asset := asset_of(each)) is not None:
            self.learn(asset, each.get("symbol"), each.get("decimals"))

    def _terms(self, asset: str) -> Terms | None:
        from ...client.errors import Refused

        if asset not in self._known and len(self._known) < _LOOKS:
            self._known[asset] = None
            try:
                found = self._place.client.get(f"/v1/assets/{asset}")
            except Refused:  # it was undone, or the node is too old to know
                return None
            self.learn(asset, found.get("symbol"), found.get("decimals"))
        return self._known.get(asset)


def asset_of(each: Mapping[str, Any]) -> str | None:
    """The id of the asset that a transaction of the API moves; None where it moves the coin."""
    asset = each.get("asset")
    return asset if isinstance(asset, str) and len(asset) == 64 and asset.isalnum() else None


def shortened(asset: str) -> str:
    """The beginning of an id, which is enough to tell the assets of one list apart; `--json` has the whole."""
    return f"{asset[:SHORT]}…"


def with_assets(
    header: Sequence[str], rows: Sequence[Sequence[object]], column: int
) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """A table of transactions whose `column` has a `Moved`, as text: beside it a column of assets where any moved."""
    moved = [each for row in rows if isinstance(each := row[column], Moved)]
    is_wider = any(each.asset for each in moved)
    parts = [(each.coins, each.asset) if is_wider else (each.coins,) for each in moved]
    wider = [(*row[:column], *part, *row[column + 1 :]) for row, part in zip(rows, parts, strict=True)]
    return (*header[: column + 1], *(["asset"] if is_wider else []), *header[column + 1 :]), wider
