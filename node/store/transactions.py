"""Confirmed transactions: where they stand on the main chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from node.core import codec
from node.core.types import Transaction
from node.store.tables import blocks, bodies, transactions

_LONGEST = codec.MAX_TRANSFER
_FIND = select(transactions.c.height, transactions.c.position).where(transactions.c.txid == bindparam("txid"))
_OFFSET = (
    select(bodies.c.joined, func.substr(bodies.c.offsets, bindparam("at") + 1, 4))
    .join_from(bodies, blocks)
    .where(blocks.c.main_chain, blocks.c.height == bindparam("height"))
)
_BYTES = select(func.substr(bodies.c.body, bindparam("start") + 1, _LONGEST)).where(
    bodies.c.joined == bindparam("joined")
)


class Place(NamedTuple):
    """Where a transaction stands: block height, and position in that block (coinbase 0). Sorts by age."""

    height: int
    position: int


def find(conn: Connection, txid: bytes) -> Place | None:
    """Where a confirmed transaction stands."""
    row = conn.execute(_FIND, {"txid": txid}).first()
    return Place(row.height, row.position) if row else None


def everything(conn: Connection) -> Iterator[tuple[bytes, int, int]]:
    """(txid, height, position) of every confirmed transaction, in no order; for checks."""
    rows = select(transactions.c.txid, transactions.c.height, transactions.c.position)
    return (tuple(row) for row in conn.execute(rows.execution_options(yield_per=1000)))


def load(conn: Connection, place: Place) -> Transaction:
    """The transaction at `place` of the main chain. Raises LookupError where there is none."""
    row = conn.execute(_OFFSET, {"height": place.height, "at": 4 * place.position}).first()
    if row is None or len(row[1]) != 4:
        raise LookupError(f"no transaction at {place}")
    start = int.from_bytes(row[1], "little")
    raw = conn.execute(_BYTES, {"joined": row[0], "start": start}).scalar_one()
    return codec.decode_transaction(raw)[0]
