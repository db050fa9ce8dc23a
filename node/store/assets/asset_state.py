"""What blocks do to assets, holdings and the assets' histories, within one write transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from ...core.assets import Asset, Holding
from ...core.ledger import Ledger, Touched
from ..backends.statements import Among, Many, Query, Values
from ..tables import asset_history, holdings
from ..tables import assets as table

_NEXT_NUMBER = Query(select(func.coalesce(func.max(table.c.asset_number), 0) + 1))
_LOAD_ASSETS = Among(
    select(
        *(table.c.asset, table.c.asset_number, table.c.issuer, table.c.symbol, table.c.name, table.c.decimals),
        *(table.c.content, table.c.max_supply, table.c.minted, table.c.burned, table.c.height),
    ),
    table.c.asset,
)
_LOAD_HOLDING = Query(
    select(holdings.c.amount).where(
        holdings.c.account_id == bindparam("account_id"), holdings.c.asset_number == bindparam("asset_number")
    )
)
_INSERT_ASSET = Many(
    insert(table),
    *("asset_number", "asset", "issuer", "symbol", "name", "decimals", "content"),
    *("max_supply", "minted", "burned", "height"),
)
_UPDATE_ASSET = Many(
    update(table)
    .where(table.c.asset_number == bindparam("which"))
    .values(minted=bindparam("new_minted"), burned=bindparam("new_burned"), height=bindparam("new_height")),
    *("new_minted", "new_burned", "new_height", "which"),
)
_DELETE_ASSET = Many(delete(table).where(table.c.asset_number == bindparam("gone")), "gone")
_INSERT_HOLDING = Many(insert(holdings), "account_id", "asset_number", "amount")
_is_holding = (holdings.c.account_id == bindparam("whose"), holdings.c.asset_number == bindparam("which"))
_UPDATE_HOLDING = Many(
    update(holdings).where(*_is_holding).values(amount=bindparam("new_amount")), "new_amount", "whose", "which"
)
_DELETE_HOLDING = Many(delete(holdings).where(*_is_holding), "whose", "which")
_INSERT_HISTORY = Many(insert(asset_history), "asset_number", "height", "position")
_DELETE_HISTORY = Many(
    delete(asset_history).where(
        asset_history.c.asset_number == bindparam("number"), asset_history.c.height >= bindparam("lowest")
    ),
    "number",
    "lowest",
)


class AssetState:
    """The assets at the end of the main chain: `ChainState`'s part of them. Nothing is written before `save`."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._assets: dict[bytes, Asset | None] = {}
        """As they are now; None for one that there is not."""
        self._stored: dict[bytes, Asset] = {}
        """What the rows hold, of `_assets`."""
        self._numbers: dict[bytes, int] = {}
        self._next_number: int | None = None
        self._holdings: dict[Holding, int] = {}
        self._stored_holdings: dict[Holding, int] = {}
        self._clear()

    def _clear(self) -> None:
        self._touched: set[bytes] = set()
        self._touched_holdings: set[Holding] = set()
        self._new_history: list[Values] = []
        self._old_history: dict[bytes, int] = {}
        """Assets that disconnected blocks touched: the lowest height of these."""

    def view(
        self, touched: Collection[bytes], keys: Collection[Holding], account_ids: Mapping[bytes, int]
    ) -> tuple[dict[bytes, Asset], dict[Holding, int]]:
        """A copy of the assets and holdings that blocks touch. `account_ids`: by payload, of all that have a row."""
        self._load(touched)
        for key in keys:
            if key not in self._holdings:
                self._holdings[key] = self._stored_holdings[key] = self._amount(key, account_ids)
        assets = {asset: state for asset in touched if (state := self._assets[asset]) is not None}
        return assets, {key: amount for key in keys if (amount := self._holdings[key])}

    def _load(self, touched: Iterable[bytes]) -> None:
        missing = [asset for asset in touched if asset not in self._assets]
        self._assets.update(dict.fromkeys(missing))
        for asset, number, issuer, symbol, name, *rest in _LOAD_ASSETS.rows(self._conn, missing):
            self._numbers[asset] = number
            self._assets[asset] = self._stored[asset] = Asset(issuer, symbol.encode(), name.encode(), *rest)

    def _amount(self, key: Holding, account_ids: Mapping[bytes, int]) -> int:
        payload, asset = key
        if asset not in self._stored or payload not in account_ids:
            return 0
        row = _LOAD_HOLDING.one(self._conn, account_id=account_ids[payload], asset_number=self._numbers[asset])
        return row[0] if row else 0

    def keep(self, view: Ledger, touched: Touched) -> None:
        """What `view` gave, as blocks left it. An asset or a holding that left the view is no more."""
        self._assets.update((asset, view.assets.get(asset)) for asset in touched.assets)
        self._touched.update(touched.assets)
        self._holdings.update((key, view.holdings.get(key, 0)) for key in touched.holdings)
        self._touched_holdings.update(touched.holdings)

    def connected(self, asset: bytes, height: int, position: int) -> None:
        """A transaction of a connected block touched an asset."""
        self._new_history.append((self._number(asset), height, position))

    def disconnected(self, touched: Iterable[bytes], lowest: int) -> None:
        """All blocks from height `lowest` on are off the main chain; they touched these assets."""
        self._old_history.update(dict.fromkeys(touched, lowest))

    def _number(self, asset: bytes) -> int:
        number = self._numbers.get(asset)
        if number is None:
            if self._next_number is None:
                row = _NEXT_NUMBER.one(self._conn)
                assert row is not None  # noqa: S101 - of no rows it is 1
                self._next_number = int(row[0])
            number = self._numbers[asset] = self._next_number
            self._next_number += 1
        return number

    @property
    def waiting(self) -> int:
        """Rows that `save` will write, about."""
        return len(self._new_history) + len(self._touched_holdings)

    def save(self, account_ids: Mapping[bytes, int]) -> None:
        """Write what was done since the last time. `account_ids`: by payload, of all that were touched."""
        if not self._touched:
            return
        conn = self._conn
        self._save_holdings(account_ids)
        # History before assets: one that is gone keeps its number until then.
        old = [(self._numbers[asset], lowest) for asset, lowest in self._old_history.items() if asset in self._stored]
        _DELETE_HISTORY.run(conn, sorted(old))
        self._save_assets()
        _INSERT_HISTORY.run(conn, sorted(self._new_history))
        self._clear()

    def _save_assets(self) -> None:
        new, changed, gone = [], [], []
        for asset in self._touched:
            state, stored = self._assets[asset], self._stored.get(asset)
            if state is None and stored is not None:
                # Its number is free from here on: where it is issued anew behind others, one of these may have it.
                gone.append((self._numbers.pop(asset),))
                del self._stored[asset]
            elif state is not None and stored is None:
                new.append(self._row(asset, state))
                self._stored[asset] = state
            elif state is not None and state != stored:
                changed.append((state.minted, state.burned, state.height, self._numbers[asset]))
                self._stored[asset] = state
        _DELETE_ASSET.run(self._conn, gone)
        _UPDATE_ASSET.run(self._conn, changed)
        _INSERT_ASSET.run(self._conn, sorted(new))

    def _row(self, asset: bytes, state: Asset) -> Values:
        terms = (state.symbol.decode(), state.name.decode(), state.decimals, state.content, state.max_supply)
        return (self._number(asset), asset, state.issuer, *terms, state.minted, state.burned, state.height)

    def _save_holdings(self, account_ids: Mapping[bytes, int]) -> None:
        new, changed, gone = [], [], []
        for key in self._touched_holdings:
            payload, asset = key
            amount, stored = self._holdings[key], self._stored_holdings[key]
            if amount == stored:
                continue
            row = (account_ids[payload], self._number(asset))
            if not amount:
                gone.append(row)
            elif stored:
                changed.append((amount, *row))
            else:
                new.append((*row, amount))
            self._stored_holdings[key] = amount
        _DELETE_HOLDING.run(self._conn, gone)
        _UPDATE_HOLDING.run(self._conn, changed)
        _INSERT_HOLDING.run(self._conn, sorted(new))
