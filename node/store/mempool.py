"""The mempool's rows. Policy is `node/mempool.py`; here only queries, and the totals kept in step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, case, delete, func, insert, select, update

from node.core import codec
from node.core.template import fee_rate
from node.core.types import Account, Transfer
from node.store.tables import accounts, mempool, mempool_totals

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class MempoolRow:
    """A transfer that waits for a block. `size` in bytes; `arrived` orders by arrival."""

    txid: bytes
    transfer: Transfer
    size: int
    ready: bool
    arrived: int


@dataclass(frozen=True, slots=True)
class SenderView:
    """What policy asks about a sender before it takes a transfer: all in one query."""

    account: Account
    pool_cost: int
    """Sum of amount + fee of what the sender has in the pool, base units."""
    run_end: int
    """The sequence behind the unbroken ready run."""
    slot_txid: bytes | None
    slot_fee: int
    slot_cost: int
    pool_count: int
    pool_bytes: int


_ROW = select(mempool.c.txid, mempool.c.raw, mempool.c.size, mempool.c.ready, mempool.c.arrived)
_sender: BindParameter[bytes] = bindparam("sender")
_sequence: BindParameter[int] = bindparam("sequence")
_mine = mempool.c.sender == _sender
_slot = mempool.alias("slot")
_VIEW = (
    select(
        select(accounts.c.balance).where(accounts.c.payload == _sender).scalar_subquery().label("balance"),
        select(accounts.c.sequence).where(accounts.c.payload == _sender).scalar_subquery().label("next_sequence"),
        select(func.coalesce(func.sum(mempool.c.cost), 0)).where(_mine).scalar_subquery().label("pool_cost"),
        select(func.max(mempool.c.sequence) + 1).where(_mine, mempool.c.ready).scalar_subquery().label("run_end"),
        _slot.c.txid,
        _slot.c.fee,
        _slot.c.cost,
        mempool_totals.c.count.label("pool_count"),
        mempool_totals.c.bytes.label("pool_bytes"),
    )
    .select_from(mempool_totals)
    .outerjoin(_slot, (_slot.c.sender == _sender) & (_slot.c.sequence == _sequence))
)
_GET = _ROW.where(mempool.c.txid == bindparam("txid"))
_OF_SENDER = _ROW.where(_mine).order_by(mempool.c.sequence)
_INSERT = insert(mempool)
_GROW = update(mempool_totals).values(
    count=mempool_totals.c.count + bindparam("by_count"), bytes=mempool_totals.c.bytes + bindparam("by_bytes")
)
_SET_READY = update(mempool).where(mempool.c.txid == bindparam("which")).values(ready=bindparam("now_ready"))


def _row(row: Row[*tuple[Any, ...]]) -> MempoolRow:
    return MempoolRow(row.txid, codec.decode_transfer(row.raw), row.size, bool(row.ready), row.arrived)


def _rows(conn: Connection, statement: Select[*tuple[Any, ...]], **values: object) -> list[MempoolRow]:
    return [_row(row) for row in conn.execute(statement, values)]


def create_totals(conn: Connection) -> None:
    """The one row of totals of a new database."""
    conn.execute(insert(mempool_totals).values(row=1, count=0, bytes=0))


def get(conn: Connection, txid: bytes) -> MempoolRow | None:
    found = conn.execute(_GET, {"txid": txid}).first()
    return _row(found) if found else None


def view(conn: Connection, sender: bytes, sequence: int) -> SenderView:
    """A sender's state, its pool, and who holds the slot (sender, sequence)."""
    row = conn.execute(_VIEW, {"sender": sender, "sequence": sequence}).one()
    account = Account(row.balance or 0, row.next_sequence or 0)
    return SenderView(
        account=account,
        pool_cost=row.pool_cost,
        run_end=account.sequence if row.run_end is None else row.run_end,
        slot_txid=row.txid,
        slot_fee=row.fee or 0,
        slot_cost=row.cost or 0,
        pool_count=row.pool_count,
        pool_bytes=row.pool_bytes,
    )


def by_fee_rate(conn: Connection, limit: int) -> list[MempoolRow]:
    """Ready and waiting, most fee per byte first."""
    return _rows(conn, _ROW.order_by(mempool.c.fee_rate.desc(), mempool.c.arrived).limit(limit))


def ready(conn: Connection, limit: int) -> list[Transfer]:
    """The `limit` best-paying ready transfers in order of arrival, each sender's in order of sequence."""
    best = select(mempool.c.txid).where(mempool.c.ready).order_by(mempool.c.fee_rate.desc(), mempool.c.arrived)
    rows = _rows(conn, _ROW.where(mempool.c.txid.in_(best.limit(limit))).order_by(mempool.c.arrived))
    waiting_turn: dict[bytes, list[Transfer]] = {}
    for row in rows:
        waiting_turn.setdefault(row.transfer.sender, []).append(row.transfer)
    for transfers in waiting_turn.values():
        transfers.sort(key=lambda transfer: transfer.sequence, reverse=True)
    # A replaced transfer arrives after those behind it: its sender's places in the queue are filled in order.
    return [waiting_turn[row.transfer.sender].pop() for row in rows]


def of_sender(conn: Connection, payload: bytes) -> list[MempoolRow]:
    """A sender's transfers in order of sequence."""
    return _rows(conn, _OF_SENDER, sender=payload)


def to_receiver(conn: Connection, payload: bytes) -> list[MempoolRow]:
    return _rows(conn, _ROW.where(mempool.c.receiver == payload).order_by(mempool.c.arrived))


def sums(conn: Connection, payload: bytes) -> tuple[int, int]:
    """(incoming, outgoing) of an account in the pool, base units: amounts to it; amounts and fees from it."""
    amount = mempool.c.cost - mempool.c.fee
    row = conn.execute(
        select(
            func.coalesce(func.sum(case((mempool.c.receiver == payload, amount), else_=0)), 0),
            func.coalesce(func.sum(case((mempool.c.sender == payload, mempool.c.cost), else_=0)), 0),
        ).where((mempool.c.receiver == payload) | (mempool.c.sender == payload))
    ).one()
    return row[0], row[1]


def totals(conn: Connection) -> tuple[int, int]:
    """(count, bytes)."""
    row = conn.execute(select(mempool_totals.c.count, mempool_totals.c.bytes)).one()
    return row[0], row[1]


def add(conn: Connection, txid: bytes, transfer: Transfer, *, ready: bool) -> None:
    raw = codec.encode_transaction(transfer)
    conn.execute(
        _INSERT,
        {
            "txid": txid,
            "sender": transfer.sender,
            "sequence": transfer.sequence,
            "receiver": transfer.receiver,
            "cost": transfer.cost,
            "fee": transfer.fee,
            "fee_rate": fee_rate(transfer),
            "size": len(raw),
            "ready": ready,
            "raw": raw,
        },
    )
    conn.execute(_GROW, {"by_count": 1, "by_bytes": len(raw)})


def remove(conn: Connection, txids: Sequence[bytes]) -> None:
    """Take transfers out; those that are not there are no error."""
    for start in range(0, len(txids), _CHUNK):
        chunk = txids[start : start + _CHUNK]
        sizes = conn.execute(delete(mempool).where(mempool.c.txid.in_(chunk)).returning(mempool.c.size)).scalars().all()
        if sizes:
            conn.execute(_GROW, {"by_count": -len(sizes), "by_bytes": -sum(sizes)})


def set_ready(conn: Connection, changes: Iterable[tuple[bytes, bool]]) -> None:
    """Each (txid, ready)."""
    rows = [{"which": txid, "now_ready": now_ready} for txid, now_ready in changes]
    if rows:
        conn.execute(_SET_READY, rows)


def senders_among(conn: Connection, payloads: Iterable[bytes]) -> set[bytes]:
    """Those of `payloads` that have something in the pool."""
    wanted = list(payloads)
    found: set[bytes] = set()
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        found.update(conn.execute(select(mempool.c.sender).where(mempool.c.sender.in_(chunk)).distinct()).scalars())
    return found


def worst(conn: Connection) -> MempoolRow | None:
    """Who goes first when the pool is full: waiting before ready, then least fee per byte, then the youngest."""
    order = _ROW.order_by(mempool.c.ready, mempool.c.fee_rate, mempool.c.arrived.desc()).limit(1)
    found = conn.execute(order).first()
    return _row(found) if found else None
