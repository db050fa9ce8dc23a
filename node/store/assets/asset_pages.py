"""What is read of assets: one, pages of them, of their holders and histories, and what an account holds.

Every page goes by an index from a cursor on, so that it costs what it shows, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Integer, bindparam, func, select, tuple_

from ...core.assets import Asset
from ...core.assets import Holding as HoldingKey
from ..backends.statements import Query, Values
from ..tables import ONE, accounts, asset_history, holdings
from ..tables import assets as table
from ..transactions import Confirmed, HistoryPages, Place

MAX_NUMBER = 2**63 - 1
"""More than every row's number."""


@dataclass(frozen=True, slots=True)
class AssetRow:
    """An asset of the main chain. Supplies are units; `issuer`: payload; symbol and name as their issuer chose them."""

    number: int
    """In the order of issue, but that one that a reorg issued anew may keep the number that it had. Another asset may
    get it where the issue was undone: `asset` names one for ever."""
    asset: bytes
    issuer: bytes
    symbol: str
    name: str
    decimals: int
    content: bytes
    max_supply: int
    minted: int
    burned: int
    height: int
    """Of the block with the issue."""


class Holder(NamedTuple):
    """Who holds an asset. `account_id` is the database's own; with `amount` it is the cursor behind this row."""

    account_id: int
    payload: bytes
    amount: int
    """Units, 1 at least."""


class HeldAsset(NamedTuple):
    """What an account holds of an asset. `number`: as of `AssetRow`, and the cursor behind this row."""

    number: int
    asset: bytes
    symbol: str
    decimals: int
    amount: int
    """Units, 1 at least."""


_COLUMNS = (
    *(table.c.asset_number, table.c.asset, table.c.issuer, table.c.symbol, table.c.name, table.c.decimals),
    *(table.c.content, table.c.max_supply, table.c.minted, table.c.burned, table.c.height),
)
_GET = Query(select(*_COLUMNS).where(table.c.asset == bindparam("asset")))
_AT_MOST = bindparam("at_most", type_=Integer)
_BEGINNING = Query(
    select(*_COLUMNS)
    .where(table.c.asset.between(bindparam("lowest"), bindparam("highest")))
    .order_by(table.c.asset)
    .limit(_AT_MOST)
)
_BEFORE = bindparam("before", type_=BigInteger)


def _page(*conditions: ColumnElement[bool]) -> Query:
    """Assets that were issued before number `before`, newest first."""
    return Query(
        select(*_COLUMNS)
        .where(*conditions, table.c.asset_number < _BEFORE)
        .order_by(table.c.asset_number.desc())
        .limit(_AT_MOST)
    )


_by_issuer, _by_symbol = table.c.issuer == bindparam("issuer"), table.c.symbol == bindparam("symbol")
_PAGES = {
    (False, False): _page(),
    (True, False): _page(_by_issuer),
    (False, True): _page(_by_symbol),
    (True, True): _page(_by_issuer, _by_symbol),
}
"""By whether an issuer and a symbol are asked for; each has an index of its own."""

_number_of = select(table.c.asset_number).where(table.c.asset == bindparam("asset")).scalar_subquery()
_id_of = select(accounts.c.account_id).where(accounts.c.payload == bindparam("payload")).scalar_subquery()
_size = (holdings.c.amount, holdings.c.account_id)
_HOLDERS = Query(
    select(holdings.c.account_id, accounts.c.payload, holdings.c.amount)
    .join_from(holdings, accounts, accounts.c.account_id == holdings.c.account_id)
    .where(
        holdings.c.asset_number == _number_of,
        tuple_(*_size) < tuple_(bindparam("amount", type_=BigInteger), bindparam("account_id", type_=BigInteger)),
    )
    .order_by(*(column.desc() for column in _size))
    .limit(_AT_MOST)
)
_HELD = Query(
    select(table.c.asset_number, table.c.asset, table.c.symbol, table.c.decimals, holdings.c.amount)
    .join_from(holdings, table, table.c.asset_number == holdings.c.asset_number)
    .where(holdings.c.account_id == _id_of, holdings.c.asset_number > bindparam("after", type_=BigInteger))
    .order_by(holdings.c.asset_number)
    .limit(_AT_MOST)
)
_HOLDING = Query(
    select(holdings.c.amount).where(holdings.c.account_id == _id_of, holdings.c.asset_number == _number_of)
)
_FIRST = Query(
    select(asset_history.c.height, asset_history.c.position)
    .where(asset_history.c.asset_number == _number_of)
    .order_by(asset_history.c.height, asset_history.c.position)
    .limit(ONE)
)
_HISTORY = HistoryPages(asset_history, asset_history.c.asset_number == _number_of)


def get(conn: Connection, asset: bytes) -> AssetRow | None:
    """One asset by its id; None where the main chain has none."""
    row = _GET.one(conn, asset=asset)
    return _row(row) if row else None


def beginning(conn: Connection, digits: str, limit: int) -> list[AssetRow]:
    """Assets whose id begins with `digits` (lower case, 64 at most), at most `limit`."""
    lowest, highest = (bytes.fromhex(digits.ljust(64, end)) for end in "0f")
    return [_row(row) for row in _BEGINNING.rows(conn, lowest=lowest, highest=highest, at_most=limit)]


def newest(
    conn: Connection, limit: int, *, before: int = MAX_NUMBER, issuer: bytes | None = None, symbol: str | None = None
) -> list[AssetRow]:
    """Assets that were issued before the one of number `before`, newest first, at most `limit`.

    Of one issuer (payload) and one symbol where these are given.
    """
    asked = {key: value for key, value in (("issuer", issuer), ("symbol", symbol)) if value is not None}
    query = _PAGES[issuer is not None, symbol is not None]
    return [_row(row) for row in query.rows(conn, before=before, at_most=limit, **asked)]


def holders(conn: Connection, asset: bytes, limit: int, before: Holder | None = None) -> list[Holder]:
    """Who holds an asset, the largest first, of equals the newer account; those behind `before`, at most `limit`."""
    amount, account_id = (before.amount, before.account_id) if before else (MAX_NUMBER, 0)
    rows = _HOLDERS.rows(conn, asset=asset, amount=amount, account_id=account_id, at_most=limit)
    return [Holder(*row) for row in rows]


def history(conn: Connection, asset: bytes, before: Place | None, limit: int) -> list[Confirmed]:
    """The transactions that issued, moved, minted or burned an asset, newest first, those older than `before`.

    Raises StoreDamaged.
    """
    return _HISTORY.page(conn, before, limit, asset=asset)


def issue_of(conn: Connection, asset: bytes) -> Confirmed | None:
    """The transaction that issued an asset: nothing of its history is older. Raises StoreDamaged."""
    first = _FIRST.one(conn, asset=asset)
    if first is None:
        return None
    height, position = first
    return next(iter(_HISTORY.page(conn, Place(height, position + 1), 1, asset=asset)), None)


def held(conn: Connection, payload: bytes, limit: int, after: int = 0) -> list[HeldAsset]:
    """What an account holds of assets with numbers above `after`, in the order of issue, at most `limit`."""
    return [HeldAsset(*row) for row in _HELD.rows(conn, payload=payload, after=after, at_most=limit)]


def holding(conn: Connection, payload: bytes, asset: bytes) -> int:
    """Units of an asset that an account holds; 0 for none, and for an asset that there is not."""
    row = _HOLDING.one(conn, payload=payload, asset=asset)
    return int(row[0]) if row else 0


def everything(conn: Connection) -> dict[bytes, Asset]:
    """Every asset as the rows have it; for checks and tests."""
    rows = conn.execute(select(*_COLUMNS[1:]))
    return {asset: Asset(issuer, symbol.encode(), name.encode(), *rest) for asset, issuer, symbol, name, *rest in rows}


def all_holdings(conn: Connection) -> dict[HoldingKey, int]:
    """Units by (payload, asset); for checks and tests."""
    rows = conn.execute(
        select(accounts.c.payload, table.c.asset, holdings.c.amount)
        .join_from(holdings, accounts, accounts.c.account_id == holdings.c.account_id)
        .join(table, table.c.asset_number == holdings.c.asset_number)
    )
    return {(payload, asset): amount for payload, asset, amount in rows}


def all_history(conn: Connection) -> Iterator[tuple[bytes, int, int]]:
    """(asset, height, position) of every entry, in no order; for checks."""
    entries = select(table.c.asset, asset_history.c.height, asset_history.c.position).join_from(
        asset_history, table, table.c.asset_number == asset_history.c.asset_number
    )
    return (tuple(row) for row in conn.execute(entries.execution_options(yield_per=1000)))


def count_history(conn: Connection) -> int:
    """Rows of history, those of no asset too."""
    found: int = conn.execute(select(func.count()).select_from(asset_history)).scalar_one()
    return found


def _row(row: Values) -> AssetRow:
    return AssetRow(*row)
