"""The mempool in the order in which it came: for whoever follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from node.store.bulk import Among
from node.store.tables import mempool


@dataclass(frozen=True, slots=True)
class Arrival:
    """A transfer as bytes. `arrived` rises from one to the next and is never given twice."""

    arrived: int
    txid: bytes
    raw: bytes


_AFTER = (
    select(mempool.c.arrived, mempool.c.txid, mempool.c.raw)
    .where(mempool.c.arrived > bindparam("number"))
    .order_by(mempool.c.arrived)
    .limit(bindparam("at_most"))
)
_LAST = select(func.max(mempool.c.arrived))
_PRESENT = Among(select(mempool.c.txid), mempool.c.txid)


def after(conn: Connection, arrived: int, limit: int) -> list[Arrival]:
    """What came behind number `arrived` and is still there, ready and waiting, oldest first; damaged rows too."""
    return [Arrival(*row) for row in conn.execute(_AFTER, {"number": arrived, "at_most": limit})]


def last(conn: Connection) -> int:
    """The highest number in the pool, 0 where it is empty."""
    return conn.execute(_LAST).scalar_one() or 0


def present(conn: Connection, txids: Sequence[bytes]) -> set[bytes]:
    """Those of `txids` that are in the pool."""
    return {txid for (txid,) in _PRESENT.rows(conn, txids)}
