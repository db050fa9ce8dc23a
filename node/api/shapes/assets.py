"""The shapes of assets (rules 2). Units of an asset: one of it is 10**`decimals` units."""

from __future__ import annotations

from msgspec import Struct

from .fields import Address, Count, Hash, Units


class AssetSummary(Struct):
    """An asset of the main chain. Symbol and name are its issuer's words, and not unique: `id` tells assets apart.

    `content`: 64 zeros for none.
    """

    id: Hash
    issuer: Address
    symbol: str
    name: str
    decimals: Count
    content: Hash
    max_supply: Units
    minted: Units
    burned: Units
    height: Count


class AssetView(AssetSummary):
    """The same, and the transaction that issued it. `timestamp`: of that block."""

    txid: Hash
    timestamp: Count


class AssetPage(Struct):
    """`next`: `before` of the page that follows; null behind the last one."""

    assets: list[AssetSummary]
    next: Count | None


class HolderView(Struct):
    address: Address
    amount: Units


class HolderPage(Struct):
    """`next`: `before` of the page that follows; null behind the last one."""

    holders: list[HolderView]
    next: str | None


class HeldAsset(Struct):
    """What an account holds of an asset. `amount`: units of it."""

    asset: Hash
    symbol: str
    decimals: Count
    amount: Units


class HeldPage(Struct):
    """`next`: `after` of the page that follows; null behind the last one."""

    assets: list[HeldAsset]
    next: Count | None
