"""Confirmed transactions: where they stand on the main chain, and their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from struct import unpack
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    ScalarSelect,
    Table,
    bindparam,
    func,
    select,
    tuple_,
)

from ..core import codec
from ..core.errors import Malformed
from ..core.types import Transaction
from .backends.statements import Query
from .errors import StoreDamaged
from .tables import blocks, bodies, transactions


class Place(NamedTuple):
    """Where a transaction stands: block height, and position in that block (coinbase 0). Sorts by age."""

    height: int
    position: int


class Confirmed(NamedTuple):
    """A transaction of the main chain. `raw`: as on the wire; `timestamp`: its block's, Unix seconds."""

    place: Place
    block_hash: bytes
    timestamp: int
    raw: bytes


_other = bodies.alias("other")


def part_with(position: ColumnElement[int]) -> ScalarSelect[int]:
    """A condition: the part of a block's body that holds the transaction at `position`."""
    found = select(func.max(_other.c.first)).where(_other.c.joined == blocks.c.joined, _other.c.first <= position)
    return found.correlate_except(_other).scalar_subquery()


_NEWEST = Place(2**32, 0)
"""Younger than every transaction: heights have 32 bits on the wire."""
_block_and_part = itemgetter(0, 2, 4, 5)


class HistoryPages:
    """Pages of a history: a table of places (height, position) of the main chain's transactions, by what they touch."""

    def __init__(self, history: Table, is_meant: ColumnElement[bool]) -> None:
        """`is_meant`: which rows of `history`, by parameters that `page` is given."""
        when = (history.c.height, history.c.position)
        page = (
            select(*when, part_with(history.c.position).label("first"), blocks.c.joined)
            .add_columns(blocks.c.block_hash, blocks.c.header)
            .select_from(history)
            .join(blocks, (blocks.c.height == history.c.height) & blocks.c.main_chain)
            .where(
                is_meant,
                tuple_(*when) < tuple_(bindparam("height", type_=BigInteger), bindparam("position", type_=BigInteger)),
            )
            .order_by(*(column.desc() for column in when))
            .limit(bindparam("at_most", type_=Integer))
        )
        on_page = page.subquery()
        wanted = select(on_page.c.height, on_page.c.first, on_page.c.joined).distinct().subquery()
        self._page = Query(page)
        self._parts = Query(
            select(wanted.c.height, wanted.c.first, bodies.c.offsets, bodies.c.body)
            .join_from(wanted, bodies, (bodies.c.joined == wanted.c.joined) & (bodies.c.first == wanted.c.first))
            .order_by(wanted.c.height.desc(), wanted.c.first.desc())
        )

    def page(self, conn: Connection, before: Place | None, limit: int, **values: Any) -> list[Confirmed]:
        """The newest transactions, those older than `before`, at most `limit`.

        Two statements: where they stand, and each part of a body in which one does, once and one at a time.
        Raises StoreDamaged.
        """
        height, position = before or _NEWEST
        asked = {"height": height, "position": position, "at_most": limit, **values}
        found = []
        with closing(self._parts.rows(conn, **asked)) as parts:
            for block_and_part, rows in groupby(list(self._page.rows(conn, **asked)), _block_and_part):
                height, first, block_hash, header = block_and_part
                part = next(parts, None)
                if part is None or part[:2] != (height, first):
                    raise StoreDamaged(f"the database has no body for the block at height {height}")
                timestamp = codec.timestamp_of(header)
                places = [Place(height, position) for _, position, *_ in rows]
                raws = cut(places, *part[1:])
                found += [Confirmed(place, block_hash, timestamp, raw) for place, raw in zip(places, raws, strict=True)]
        return found


_is_it = transactions.c.shown_txid == bindparam("shown_txid")
_FIND = Query(select(transactions.c.height, transactions.c.position).where(_is_it))
_CONFIRMED = Query(
    select(
        *(transactions.c.height, transactions.c.position, blocks.c.block_hash, blocks.c.header),
        *(bodies.c.first, bodies.c.offsets, bodies.c.body),
    )
    .select_from(transactions)
    .join(blocks, (blocks.c.height == transactions.c.height) & blocks.c.main_chain)
    .join(bodies, (bodies.c.joined == blocks.c.joined) & (bodies.c.first == part_with(transactions.c.position)))
    .where(_is_it)
)
_PARTS = Query(
    select(bodies.c.first, bodies.c.body, bodies.c.offsets)
    .where(bodies.c.joined == bindparam("joined"))
    .order_by(bodies.c.first)
)


def find(conn: Connection, txid: bytes) -> Place | None:
    """Where a confirmed transaction stands."""
    row = _FIND.one(conn, shown_txid=txid[::-1])
    return Place(*row) if row else None


def get(conn: Connection, txid: bytes) -> Confirmed | None:
    """A confirmed transaction; its block is not read for it, only the part in which it stands."""
    row = _CONFIRMED.one(conn, shown_txid=txid[::-1])
    if row is None:
        return None
    height, position, block_hash, header, *part = row
    place = Place(height, position)
    return Confirmed(place, block_hash, codec.timestamp_of(header), cut([place], *part)[0])


def cut(places: Sequence[Place], first: int, offsets: bytes, body: bytes) -> list[bytes]:
    """The transactions at `places`, all in the part of their block's body that begins with number `first`.

    Raises StoreDamaged.
    """
    starts = _starts(offsets)
    ends = (*starts[1:], len(body))
    if not 0 <= min(places).position - first <= max(places).position - first < len(starts):
        raise StoreDamaged(f"the database has not all transactions of the block at height {places[0].height}")
    return [body[starts[position - first] : ends[position - first]] for _, position in places]


def _starts(offsets: bytes) -> tuple[int, ...]:
    """Where each transaction of a part begins."""
    return unpack(f"<{len(offsets) // 4}I", offsets[: len(offsets) // 4 * 4])


def of_block(conn: Connection, joined: int) -> list[bytes]:
    """Every transaction of a block as on the wire, none decoded; empty where the body is not kept.

    Raises StoreDamaged.
    """
    found: list[bytes] = []
    for _, body, offsets in _PARTS.rows(conn, joined=joined):
        starts = _starts(offsets)
        if not starts:
            raise StoreDamaged("the database has a part of a block's body without its transactions' places")
        found += [body[start:end] for start, end in zip(starts, (*starts[1:], len(body)), strict=True)]
    return found


def parts_of_block(conn: Connection, joined: int) -> list[tuple[int, bytes, bytes]]:
    """(position of the first transaction, bytes, offsets) of each part of a stored body; for checks."""
    return [(first, body, offsets) for first, body, offsets in _PARTS.rows(conn, joined=joined)]


def decode(raw: bytes) -> Transaction:
    """A stored transaction. Raises StoreDamaged where its bytes are not just one."""
    try:
        transaction, end = codec.decode_transaction(raw)
    except Malformed as error:
        raise StoreDamaged(f"a stored transaction is damaged: {error}") from error
    if end != len(raw):
        raise StoreDamaged("a stored transaction is damaged: bytes follow it")
    return transaction


def transfer_fields(raw: bytes) -> tuple[bytes, bytes, int, int, int, str, bytes]:
    """`codec.transfer_fields` of a stored transfer, its memo as text. Raises StoreDamaged."""
    try:
        sender, receiver, amount, fee, sequence, memo, signature = codec.transfer_fields(raw)
        return sender, receiver, amount, fee, sequence, memo.decode(), signature
    except (Malformed, UnicodeDecodeError) as error:
        raise StoreDamaged(f"a stored transaction is damaged: {error}") from error


def everything(conn: Connection) -> Iterator[tuple[bytes, int, int]]:
    """(txid, height, position) of every confirmed transaction, in no order; for checks."""
    rows = select(transactions.c.shown_txid, transactions.c.height, transactions.c.position)
    found = conn.execute(rows.execution_options(yield_per=1000))
    return ((shown_txid[::-1], height, position) for shown_txid, height, position in found)
