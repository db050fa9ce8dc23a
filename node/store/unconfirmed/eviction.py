"""Evicts transfers from a full mempool, and keeps `ready` right for those that stood behind them.

A whole pool may be one sender's, and this runs within write transactions: only statements, no row is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, select, update

from ...core.codec import SHORTEST_SPEND
from ..backends.statements import Many, Query
from ..tables import ONE, mempool
from .entries import grow, remove_numbered, totals
from .order import first_by_rate


@dataclass(frozen=True, slots=True)
class Victim:
    """A row of the mempool. `cost`: amount + fee, base units; `size` in bytes."""

    arrived: int
    txid: bytes
    sender: bytes
    sequence: int
    cost: int
    fee_rate: int
    size: int
    ready: bool


_order = (mempool.c.ready, mempool.c.fee_rate)
_least_ready, _least_rate = (select(column).order_by(*_order).limit(ONE).scalar_subquery() for column in _order)
# In two steps: ordered by all three, SQLite would sort every transfer that pays the same.
_WORST = Query(
    select(
        *(mempool.c.arrived, mempool.c.txid, mempool.c.sender, mempool.c.sequence),
        *(mempool.c.cost, mempool.c.fee_rate, mempool.c.size, mempool.c.ready),
    )
    .where(mempool.c.ready == _least_ready, mempool.c.fee_rate == _least_rate)
    .order_by(mempool.c.arrived.desc())
    .limit(ONE)
)
_WAITING = Query(first_by_rate(~mempool.c.ready, mempool.c.size, best=False))
_TOGETHER = 1_000
_behind = bindparam("behind", type_=BigInteger)
_DELETE = Many(delete(mempool).where(mempool.c.arrived == bindparam("number")), "number")
_WAIT_BEHIND = Many(
    update(mempool)
    .where(mempool.c.sender == bindparam("whose"), mempool.c.ready, mempool.c.sequence > _behind)
    .values(ready=False),
    *("ready", "whose", "behind"),
)
_last, _next = mempool.alias("last"), mempool.alias("next")
_is_followed = (
    select(_next.c.sequence)
    .where(_next.c.sender == _last.c.sender, ~_next.c.ready, _next.c.sequence == _last.c.sequence + ONE)
    .exists()
)
_end_of_run = (
    select(func.min(_last.c.sequence))
    .where(_last.c.sender == bindparam("whose"), ~_last.c.ready, _last.c.sequence > _behind, ~_is_followed)
    .scalar_subquery()
)
_GO_AHEAD = Many(
    update(mempool)
    .where(
        mempool.c.sender == bindparam("whose"),
        ~mempool.c.ready,
        mempool.c.sequence > _behind,
        mempool.c.sequence <= _end_of_run,
    )
    .values(ready=True),
    *("ready", "whose", "behind", "whose", "behind"),
)


def worst(conn: Connection) -> Victim | None:
    """The transfers that are evicted first: waiting before ready, then the least fee per byte, then the youngest."""
    found = _WORST.one(conn)
    if found is None:
        return None
    arrived, txid, sender, sequence, cost, rate, size, ready = found
    return Victim(arrived, txid, sender, sequence, cost, rate, size, bool(ready))


def evict(conn: Connection, victim: Victim) -> None:
    """Removes a transfer; its sender's ready ones behind it become waiting."""
    _DELETE.run(conn, [(victim.arrived,)])
    grow(conn, -1, -victim.size)
    if victim.ready:
        _WAIT_BEHIND.run(conn, [(False, victim.sender, victim.sequence)])


def shrink(conn: Connection, most: int) -> None:
    """Evicts until the pool has at most `most` bytes: as `evict` one by one, but waiting ones together."""
    over = totals(conn)[1] - most
    while over > 0:
        size = _evict_waiting(conn, over) or _evict_worst(conn)
        if not size:
            return
        over -= size


def _evict_waiting(conn: Connection, over: int) -> int:
    """Evict the worst of what waits until `over` bytes are free, some at a time: nothing depends on these. Returns the
    bytes that are free now; 0 where nothing waits."""
    most = min(_TOGETHER, over // SHORTEST_SPEND + 1)
    rows = sorted(_WAITING.rows(conn, most=most, others=most - 1), key=lambda row: (row[1], -row[0]))
    free = 0
    gone: list[int] = []
    for arrived, _, size in rows[:most]:
        if free >= over:
            break
        gone.append(arrived)
        free += size
    remove_numbered(conn, gone)
    return free


def _evict_worst(conn: Connection) -> int:
    """Evict the next one. Returns its bytes; 0 where there is none."""
    victim = worst(conn)
    if victim is None:
        return 0
    evict(conn, victim)
    return victim.size


def fill_gap(conn: Connection, sender: bytes, sequence: int) -> None:
    """The sender's unbroken run that waits right behind `sequence` is ready now; there is one."""
    _GO_AHEAD.run(conn, [(True, sender, sequence, sender, sequence)])
