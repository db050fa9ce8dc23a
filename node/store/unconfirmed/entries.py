"""The mempool's rows. Policy is `node/chain/mempool.py`; here only queries, and the totals kept in step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from ...core import codec
from ...core.codec import sha256d
from ...core.template import rate_of
from ...core.types import HASH_SIZE, Account, Spend
from .. import meta
from ..backends.statements import Among, Many, Query
from ..errors import StoreDamaged
from ..tables import NONE, ONE, accounts, mempool, mempool_totals, transactions
from ..tables import meta as meta_rows
from .claims import claim_of_outline


@dataclass(frozen=True, slots=True)
class MempoolRow:
    """A transfer that waits for a block. `size` in bytes; `arrived` orders by arrival."""

    txid: bytes
    transfer: Spend
    size: int
    ready: bool
    arrived: int


class Waiting(NamedTuple):
    """The columns of a row that settling reads, all in one index. `cost`: amount + fee, base units; `ready`: 0 or 1."""

    sender: bytes
    sequence: int
    arrived: int
    cost: int
    ready: int


class SenderView(NamedTuple):
    """What policy needs to know of a sender before a transfer is accepted, from one query."""

    account: Account
    pool_cost: int
    """Sum of amount + fee of what the sender has in the pool, base units."""
    run_end: int
    """The sequence behind the unbroken ready run."""
    pool_ready: bool | None
    """Whether this very transfer is in the pool already: ready, waiting, or (None) not."""
    is_confirmed: bool
    """Whether this very transfer is on the main chain."""
    is_followed: bool
    """Whether the sender's next transfer waits behind this one."""
    has_waiting: bool
    """Whether any transfer of the sender waits behind a gap."""
    slot_txid: bytes | None
    slot_fee: int
    slot_cost: int
    pool_bytes: int


_ROW = select(mempool.c.txid, mempool.c.raw, mempool.c.size, mempool.c.ready, mempool.c.arrived)
_sender: BindParameter[bytes] = bindparam("sender")
_sequence: BindParameter[int] = bindparam("sequence", type_=BigInteger)
_txid: BindParameter[bytes] = bindparam("txid")
_shown_txid: BindParameter[bytes] = bindparam("shown_txid")
_mine = mempool.c.sender == _sender
_slot = mempool.alias("slot")
_this = mempool.alias("this")
_follower: Select[Any] = select(ONE).where(_mine, ~mempool.c.ready, mempool.c.sequence == _sequence + 1)
_any_waiting: Select[Any] = select(ONE).where(_mine, ~mempool.c.ready).limit(ONE)
_confirmed: Select[Any] = select(ONE).where(transactions.c.shown_txid == _shown_txid)
_pool_cost = select(func.coalesce(func.sum(mempool.c.cost), NONE)).where(_mine).scalar_subquery()


def _view(pool_cost: ColumnElement[int]) -> Query:
    view = select(
        select(accounts.c.balance).where(accounts.c.payload == _sender).scalar_subquery().label("balance"),
        select(accounts.c.sequence).where(accounts.c.payload == _sender).scalar_subquery().label("next_sequence"),
        pool_cost.label("pool_cost"),
        select(func.max(mempool.c.sequence) + 1).where(_mine, mempool.c.ready).scalar_subquery().label("run_end"),
        select(_this.c.ready).where(_this.c.txid == _txid).scalar_subquery().label("pool_ready"),
        _confirmed.scalar_subquery().label("confirmed"),
        _follower.scalar_subquery().label("followed"),
        _any_waiting.scalar_subquery().label("has_waiting"),
        _slot.c.txid.label("slot_txid"),
        _slot.c.fee.label("slot_fee"),
        _slot.c.cost.label("slot_cost"),
        mempool_totals.c.bytes.label("pool_bytes"),
    )
    is_slot = (_slot.c.sender == _sender) & (_slot.c.sequence == _sequence)
    return Query(view.select_from(mempool_totals).outerjoin(_slot, is_slot))


_VIEW, _VIEW_OF_KNOWN_COST = _view(_pool_cost), _view(bindparam("known_cost", type_=BigInteger))
_INCOMING = Query(
    select(func.coalesce(func.sum(mempool.c.cost) - func.sum(mempool.c.fee), NONE)).where(
        mempool.c.receiver == bindparam("receiver")
    )
)
_GET = _ROW.where(mempool.c.txid == bindparam("txid"))


_OF_SENDER = _ROW.where(_mine).order_by(mempool.c.sequence)
_TOTALS = Query(select(mempool_totals.c.count, mempool_totals.c.bytes))
_RETURNING = "returning"
"""Key in `meta` of the list that `returning` reads."""
_STATE = Query(
    select(mempool_totals.c.count, select(meta_rows.c.value).where(meta_rows.c.key == _RETURNING).scalar_subquery())
)
_INSERT = Many(
    insert(mempool),
    *("txid", "sender", "sequence", "receiver", "cost", "fee", "fee_rate", "size", "ready", "raw", "head"),
    *("asset", "asset_amount", "mints", "lock_height", "lock_time"),
)
_REMOVE = Among(delete(mempool).returning(mempool.c.size), mempool.c.txid)
_REMOVE_NUMBERED = Among(delete(mempool).returning(mempool.c.size), mempool.c.arrived)
_GROW = Many(
    # With a row named, SQLite keeps no journal of the statement.
    update(mempool_totals)
    .where(mempool_totals.c.row == ONE)
    .values(count=mempool_totals.c.count + bindparam("by_count"), bytes=mempool_totals.c.bytes + bindparam("by_bytes")),
    "by_count",
    "by_bytes",
)
_SET_READY = Many(
    update(mempool).where(mempool.c.arrived == bindparam("which")).values(ready=bindparam("is_ready")),
    "is_ready",
    "which",
)
_NEXT = Among(select(accounts.c.payload, accounts.c.sequence), accounts.c.payload)
_lowest = mempool.alias("lowest")
_least = select(func.min(_lowest.c.sequence)).where(_lowest.c.sender == accounts.c.payload).correlate(accounts)
_is_next = mempool.c.sequence == accounts.c.sequence
_HEADS = Among(
    select(mempool.c.arrived, _is_next)
    .join_from(
        accounts,
        mempool,
        (mempool.c.sender == accounts.c.payload) & (mempool.c.sequence == _least.scalar_subquery()),
    )
    .where(mempool.c.head != _is_next),
    accounts.c.payload,
)
_SET_HEAD = Many(
    update(mempool).where(mempool.c.arrived == bindparam("which")).values(head=bindparam("is_head")), "is_head", "which"
)
_SENDERS_OF = Among(select(mempool.c.sender), mempool.c.txid)
_WAITING = Among(
    select(mempool.c.sender, mempool.c.sequence, mempool.c.arrived, mempool.c.cost, mempool.c.ready), mempool.c.sender
)
_USED = Among(
    select(mempool.c.txid).join_from(
        accounts, mempool, (mempool.c.sender == accounts.c.payload) & (mempool.c.sequence < accounts.c.sequence)
    ),
    accounts.c.payload,
)
_spent = select(func.sum(mempool.c.cost)).where(mempool.c.sender == accounts.c.payload).scalar_subquery()
_OVERDRAWN = Among(select(accounts.c.payload).where(accounts.c.balance < _spent), accounts.c.payload)
_UNBLOCKED = Among(
    select(accounts.c.payload, accounts.c.sequence).join_from(
        accounts,
        mempool,
        (mempool.c.sender == accounts.c.payload) & (mempool.c.sequence == accounts.c.sequence) & ~mempool.c.ready,
    ),
    accounts.c.payload,
)
_SLOTS = Among(select(mempool.c.sender, mempool.c.sequence), mempool.c.sender)


def is_whole(txid: bytes, raw: bytes) -> bool:
    """Whether a row's bytes still hash to its txid. They were checked when they came, so whole ones can be decoded."""
    return sha256d(raw) == txid


def _row(row: Row[*tuple[Any, ...]]) -> MempoolRow:
    return MempoolRow(row.txid, codec.decode_spend(row.raw), row.size, bool(row.ready), row.arrived)


def _rows(conn: Connection, statement: Select[*tuple[Any, ...]], **values: object) -> list[MempoolRow]:
    """Decodes rows. Damaged ones are left out: the next template drops them."""
    return [_row(row) for row in conn.execute(statement, values) if is_whole(row.txid, row.raw)]


def create_totals(conn: Connection) -> None:
    """The one row of totals of a new database."""
    conn.execute(insert(mempool_totals).values(row=1, count=0, bytes=0))


def get(conn: Connection, txid: bytes) -> MempoolRow | None:
    return next(iter(_rows(conn, _GET, txid=txid)), None)


def view(
    conn: Connection, sender: bytes, sequence: int, txid: bytes = b"", *, pool_cost: int | None = None
) -> SenderView:
    """A sender's state, its pool, who holds the slot (sender, sequence), and whether `txid` is known.

    `pool_cost`: what the caller knows the sender's pool to cost; else it is summed, some 10 ms for a whole pool.
    """
    asked = {"sender": sender, "sequence": sequence, "txid": txid, "shown_txid": txid[::-1]}
    if pool_cost is None:
        row = _VIEW.one(conn, **asked)
    else:
        row = _VIEW_OF_KNOWN_COST.one(conn, **asked, known_cost=pool_cost)
    if row is None:
        raise StoreDamaged("the mempool's totals are gone")
    balance, next_sequence, cost, run_end, pool_ready, confirmed, followed, waiting, *rest = row
    slot_txid, slot_fee, slot_cost, pool_bytes = rest
    account = Account(balance or 0, next_sequence or 0)
    return SenderView(
        account=account,
        pool_cost=cost,
        run_end=account.sequence if run_end is None else run_end,
        pool_ready=None if pool_ready is None else bool(pool_ready),
        is_confirmed=confirmed is not None,
        is_followed=followed is not None,
        has_waiting=waiting is not None,
        slot_txid=slot_txid,
        slot_fee=slot_fee or 0,
        slot_cost=slot_cost or 0,
        pool_bytes=pool_bytes,
    )


def arrived_after(conn: Connection, number: int, limit: int) -> list[MempoolRow]:
    """Transfers that arrived after number `arrived`, ready and waiting, oldest first."""
    return _rows(conn, _ROW.where(mempool.c.arrived > number).order_by(mempool.c.arrived).limit(limit))


@dataclass(frozen=True, slots=True)
class StoredTransfer:
    """A row of the mempool as it is stored, nothing decoded."""

    txid: bytes
    sender: bytes
    sequence: int
    receiver: bytes
    cost: int
    fee: int
    fee_rate: int
    size: int
    ready: bool
    raw: bytes
    head: bool
    asset: bytes | None
    asset_amount: int
    mints: int
    lock_height: int
    lock_time: int


_STORED = select(*(mempool.c[each.name] for each in fields(StoredTransfer)))


def stored(conn: Connection) -> Iterator[StoredTransfer]:
    """Every row, each sender's by sequence; for checks."""
    rows = conn.execute(_STORED.order_by(mempool.c.sender, mempool.c.sequence))
    return (StoredTransfer(*row) for row in rows)


def of_sender(conn: Connection, payload: bytes) -> list[MempoolRow]:
    """A sender's transfers in order of sequence."""
    return _rows(conn, _OF_SENDER, sender=payload)


def incoming(conn: Connection, receiver: bytes) -> int:
    """Base units that transfers in the pool would bring to an account."""
    row = _INCOMING.one(conn, receiver=receiver)
    assert row is not None  # noqa: S101 - a SELECT of a sum is one row
    total: int = row[0]
    return total


def totals(conn: Connection) -> tuple[int, int]:
    """(count, bytes)."""
    row = _TOTALS.one(conn)
    if row is None:
        raise StoreDamaged("the mempool's totals are gone")
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a new tip has to know of the mempool."""

    count: int
    """Transfers in it."""
    returning: list[bytes]
    """As `returning` gives it."""

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is to come back."""
        return not self.count and not self.returning


def state(conn: Connection) -> PoolState:
    """Both in one statement, as every new tip asks for them. Raises StoreDamaged."""
    row = _STATE.one(conn)
    if row is None:
        raise StoreDamaged("the mempool's totals are gone")
    return PoolState(row[0], _hashes_in(row[1]))


def returning(conn: Connection) -> list[bytes]:
    """Hashes of disconnected blocks whose transfers are still to come back to the mempool, oldest first."""
    return _hashes_in(meta.get(conn, _RETURNING))


def set_returning(conn: Connection, block_hashes: Sequence[bytes]) -> None:
    """Replace that list."""
    meta.replace(conn, _RETURNING, b"".join(block_hashes))


def _hashes_in(raw: object) -> list[bytes]:
    if not isinstance(raw, bytes | None) or len(raw or b"") % HASH_SIZE:
        raise StoreDamaged("the list of blocks whose transfers return to the mempool is no list of hashes")
    return [raw[start : start + HASH_SIZE] for start in range(0, len(raw), HASH_SIZE)] if raw else []


def add(conn: Connection, txid: bytes, transfer: Spend, *, ready: bool) -> None:
    add_many(conn, [(codec.outline(transfer, txid), ready)])


def add_many(conn: Connection, new: Sequence[tuple[codec.Outline, bool]]) -> None:
    """Each (transfer, ready), in order of arrival."""
    following: dict[bytes, int] = dict(_NEXT.rows(conn, list({each.sender for each, _ in new})))
    insert_many(conn, [(each, ready, each.sequence == following.get(each.sender)) for each, ready in new])


def insert_many(conn: Connection, new: Sequence[tuple[codec.Outline, bool, bool]]) -> None:
    """`add_many` where it is known whether each is its sender's head: (transfer, ready, head)."""
    values, added = [], 0
    for each, is_ready, is_head in new:
        txid, sender, receiver, amount, fee, sequence, raw, _ = each
        size = len(raw)
        added += size
        paying = (amount + fee, fee, rate_of(fee, size))
        claim = claim_of_outline(each)
        claims = (claim.asset, claim.amount, claim.mints, *claim.locks)
        values.append((txid, sender, sequence, receiver, *paying, size, is_ready, raw, is_head, *claims))
    if values:
        _INSERT.run(conn, values)
        grow(conn, len(values), added)


def remove(conn: Connection, txids: Sequence[bytes]) -> None:
    """Take transfers out; those that are not there are no error."""
    _removed(conn, _REMOVE.rows(conn, txids))


def remove_numbered(conn: Connection, numbers: Sequence[int]) -> None:
    """The same by `arrived`."""
    _removed(conn, _REMOVE_NUMBERED.rows(conn, numbers))


def _removed(conn: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    sizes = [size for (size,) in rows]
    if sizes:
        grow(conn, -len(sizes), -sum(sizes))


def grow(conn: Connection, count: int, size: int) -> None:
    """Keep the totals in step with rows that were inserted, or deleted (both below 0). `size` in bytes."""
    _GROW.run(conn, [(count, size)])


def set_ready(conn: Connection, changes: Iterable[tuple[int, bool]]) -> None:
    """Each (arrived, ready)."""
    _SET_READY.run(conn, [(is_ready, arrived) for arrived, is_ready in changes])


def senders_of(conn: Connection, txids: Sequence[bytes]) -> set[bytes]:
    """Senders of those of these transfers that are in the pool."""
    return {sender for (sender,) in _SENDERS_OF.rows(conn, txids)}


def waiting_of(conn: Connection, senders: Iterable[bytes]) -> Iterator[Waiting]:
    """Every row of those senders."""
    return (Waiting(*row) for row in _WAITING.rows(conn, list(senders)))


def used(conn: Connection, senders: Collection[bytes]) -> list[bytes]:
    """Txids of what those senders have in the pool whose sequence the main chain has."""
    return [txid for (txid,) in _USED.rows(conn, list(senders))]


def overdrawn(conn: Connection, senders: Collection[bytes]) -> list[bytes]:
    """Those of `senders` whose transfers in the pool cost more than their balance."""
    return [sender for (sender,) in _OVERDRAWN.rows(conn, list(senders))]


def set_heads(conn: Connection, senders: Collection[bytes]) -> None:
    """Marks each sender's head: the row with its confirmed sequence, if any. Rows before it are gone already."""
    _SET_HEAD.run(conn, [(is_head, arrived) for arrived, is_head in _HEADS.rows(conn, list(senders))])


def unblocked(conn: Connection, senders: Collection[bytes]) -> list[tuple[bytes, int]]:
    """Those of `senders` whose next transfer is still marked as waiting, each with its sequence."""
    return [(sender, sequence) for sender, sequence in _UNBLOCKED.rows(conn, list(senders))]


def slots_of(conn: Connection, senders: Iterable[bytes]) -> set[tuple[bytes, int]]:
    """Every (sender, sequence) that those senders have in the pool."""
    return {(sender, sequence) for sender, sequence in _SLOTS.rows(conn, list(senders))}
