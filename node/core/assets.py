"""Assets (`docs/protocol.md`, rules 2): what an issue, a payment, a mint and a burn do to them, and the rules of that.

Arithmetic on two mappings: asset id -> `Asset`, and (payload, asset id) -> units held. The coin itself is not an asset
here: its balances stand in `ledger`. After every block the holdings of an asset sum to minted - burned.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace

from .codec import asset_id
from .errors import InsufficientAsset, NotIssuer, OverMaxSupply, UnknownAsset
from .types import COIN_ASSET, Burn, Issue, Mint, Payment

Holding = tuple[bytes, bytes]
"""(payload, asset id)."""


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as it stands: the terms of its issue, which never change, and what became of it."""

    issuer: bytes
    """33-byte payload: the sender of the issue, who alone may mint."""
    symbol: bytes
    name: bytes
    decimals: int
    content: bytes
    max_supply: int
    minted: int
    """Units that were ever made, by the issue and by mints."""
    burned: int
    height: int
    """Of the block with the issue."""


Assets = MutableMapping[bytes, Asset]
Holdings = MutableMapping[Holding, int]
"""A holding of 0 is none, and not in the mapping."""


@dataclass(slots=True)
class AssetEffect:
    """What blocks did to assets, as sums: all that undoing them asks."""

    holdings: dict[Holding, int] = field(default_factory=dict)
    """Every holding that they touched: units gained; below 0 where some were lost."""
    minted: dict[bytes, int] = field(default_factory=dict)
    burned: dict[bytes, int] = field(default_factory=dict)
    issued: set[bytes] = field(default_factory=set)
    """Assets that they made: gone when they are undone."""

    def add(self, chain_id: bytes, spend: Payment | Issue | Mint | Burn) -> None:
        """Add what a connected spend did."""
        asset = asset_of(chain_id, spend)
        if asset is None:
            return
        self.minted.setdefault(asset, 0)  # every asset that is touched is named
        if isinstance(spend, Payment | Burn):
            self._move(spend.sender, asset, -spend.amount)
        if isinstance(spend, Burn):
            self.burned[asset] = self.burned.get(asset, 0) + spend.amount
            return
        if isinstance(spend, Issue | Mint):
            self.minted[asset] += spend.amount
        if isinstance(spend, Issue):
            self.issued.add(asset)
        self._move(spend.receiver, asset, spend.amount)

    def _move(self, payload: bytes, asset: bytes, amount: int) -> None:
        key = (payload, asset)
        self.holdings[key] = self.holdings.get(key, 0) + amount


def asset_of(chain_id: bytes, spend: Payment | Issue | Mint | Burn) -> bytes | None:
    """The id of the asset that a spend issues, moves, mints or burns; None where it moves the coin."""
    if isinstance(spend, Issue):
        return asset_id(chain_id, spend)
    return None if spend.asset == COIN_ASSET else spend.asset


def holdings_of(asset: bytes, spend: Payment | Issue | Mint | Burn) -> set[Holding]:
    """The holdings of `asset` that a spend touches."""
    receivers = set() if isinstance(spend, Burn) else {(spend.receiver, asset)}
    return receivers | ({(spend.sender, asset)} if isinstance(spend, Payment | Burn) else set())


def check_asset_known(asset: bytes, assets: Assets) -> Asset:
    """There is such an asset at this point of the chain, and here it is."""
    known = assets.get(asset)
    if known is None:
        raise UnknownAsset("there is no asset of this id at this point of the chain", found=asset.hex())
    return known


def check_issuer(mint: Mint, issuer: bytes) -> None:
    """Only the account that issued an asset mints more of it. `issuer`: its payload."""
    if mint.sender != issuer:
        raise NotIssuer("only the issuer of an asset may mint more of it", found=mint.sender.hex())


def check_max_supply(mint: Mint, room: int) -> None:
    """What is ever minted stays within the issue's `max_supply`; burning makes no room. `room`: max_supply - minted."""
    if mint.amount > room:
        raise OverMaxSupply(
            f"the asset has room for {room} more units, the mint makes {mint.amount}",
            expected=f"at most {room}",
            found=mint.amount,
        )


def check_holding(spend: Payment | Burn, held: int) -> None:
    """The units are there at this point of the block."""
    if held < spend.amount:
        raise InsufficientAsset(
            f"the sender holds {held} units of the asset, {spend.amount} are asked for",
            expected=f"at least {spend.amount}",
            found=held,
        )


def check_asset_rules(spend: Payment | Issue | Mint | Burn, assets: Assets) -> None:
    """What stage 5 asks of the asset itself: it exists, and a mint is its issuer's and fits."""
    if isinstance(spend, Issue) or spend.asset == COIN_ASSET:
        return
    asset = check_asset_known(spend.asset, assets)
    if isinstance(spend, Mint):
        check_issuer(spend, asset.issuer)
        check_max_supply(spend, asset.max_supply - asset.minted)


def apply_to_assets(
    assets: Assets, holdings: Holdings, spend: Payment | Issue | Mint | Burn, *, chain_id: bytes, height: int
) -> None:
    """What a spend that passed every check does to assets and holdings."""
    asset = asset_of(chain_id, spend)
    if asset is None:
        return
    if isinstance(spend, Payment | Burn):
        _credit(holdings, (spend.sender, asset), -spend.amount)
    match spend:
        case Issue():
            assets[asset] = Asset(
                spend.sender,
                spend.symbol,
                spend.name,
                spend.decimals,
                spend.content,
                spend.max_supply,
                minted=spend.amount,
                burned=0,
                height=height,
            )
        case Mint():
            assets[asset] = replace(assets[asset], minted=assets[asset].minted + spend.amount)
        case Burn():
            assets[asset] = replace(assets[asset], burned=assets[asset].burned + spend.amount)
            return
        case Payment():
            pass
    _credit(holdings, (spend.receiver, asset), spend.amount)


def undo_assets(assets: Assets, holdings: Holdings, effect: AssetEffect) -> None:
    """Take back what the last connected blocks did to assets."""
    for key, gained in effect.holdings.items():
        _credit(holdings, key, -gained)
    for asset, minted in effect.minted.items():
        if asset in effect.issued:
            assets.pop(asset, None)
        else:
            was = assets[asset]
            burned = was.burned - effect.burned.get(asset, 0)
            assets[asset] = replace(was, minted=was.minted - minted, burned=burned)


def _credit(holdings: Holdings, key: Holding, amount: int) -> None:
    held = holdings.get(key, 0) + amount
    if held:
        holdings[key] = held
    else:
        holdings.pop(key, None)
