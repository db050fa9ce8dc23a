"""The mempool in two orders: as transfers came, for those that follow it, and as they pay, for a block's template.

Both go by indexes, so that no pool is too large for them. `node.core.template.select_spends` makes the second
choice in memory; a test holds the two equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)

from ...core import codec
from ..accounts import states
from ..backends.statements import Among, Query
from ..tables import ONE, mempool
from .claims import Claim, Purse
from .entries import MempoolRow, is_whole


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
    """Transfers that arrived after number `arrived` and are still there, oldest first; damaged rows too."""
    return [Arrival(*row) for row in conn.execute(_AFTER, {"number": arrived, "at_most": limit})]


def last(conn: Connection) -> int:
    """The highest number in the pool, 0 where it is empty."""
    return conn.execute(_LAST).scalar_one() or 0


def present(conn: Connection, txids: Sequence[bytes]) -> set[bytes]:
    """Those of `txids` that are in the pool."""
    return {txid for (txid,) in _PRESENT.rows(conn, txids)}


def first_by_rate(is_ready: ColumnElement[bool], *also: ColumnElement[Any], best: bool) -> CompoundSelect[Any]:
    """(arrived, fee_rate, *also) of at least the `most` best-paying of one kind, or the worst; at most twice as many.

    Of those that pay the same, the oldest are the best: rate and arrival are ordered in opposite directions, which the
    index cannot do. So the rate of the last row wanted is found first; then come all beyond it, and those at that rate.
    """
    rate, arrived = mempool.c.fee_rate, mempool.c.arrived
    columns = (arrived, rate, *also)
    limit = func.coalesce(
        select(rate)
        .where(is_ready)
        .order_by(rate.desc() if best else rate)
        .limit(ONE)
        .offset(bindparam("others", type_=Integer))
        .scalar_subquery(),
        literal_column("-1" if best else str(2**63 - 1)),
    )
    last = (
        select(*columns)
        .where(is_ready, rate == limit)
        .order_by(arrived if best else arrived.desc())
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )
    # Fewer than `most`, and by the index; said, since PostgreSQL takes them for a third of the pool.
    beyond = (
        select(*columns)
        .where(is_ready, rate > limit if best else rate < limit)
        .order_by(rate.desc() if best else rate)
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )
    return union_all(select(beyond), select(last))


_best_of_both = union_all(
    *(select(first_by_rate(each, best=True).subquery()) for each in (mempool.c.ready, ~mempool.c.ready))
).subquery()


def _best_first(statement: Select[*tuple[Any, ...]]) -> Query:
    return Query(
        statement.join(_best_of_both, _best_of_both.c.arrived == mempool.c.arrived)
        .order_by(_best_of_both.c.fee_rate.desc(), _best_of_both.c.arrived)
        .limit(bindparam("most", type_=Integer))
    )


_BEST_ROWS = _best_first(select(mempool.c.txid, mempool.c.raw, mempool.c.size, mempool.c.ready, mempool.c.arrived))
_BEST_RAWS = _best_first(select(mempool.c.txid, mempool.c.raw))


def by_fee_rate(conn: Connection, limit: int) -> list[MempoolRow]:
    """Ready and waiting, most fee per byte first, of equals the oldest."""
    rows = _BEST_ROWS.rows(conn, most=limit, others=limit - 1)
    return [
        MempoolRow(txid, codec.decode_spend(raw), size, bool(ready), arrived)
        for txid, raw, size, ready, arrived in rows
        if is_whole(txid, raw)
    ]


def raws_by_fee_rate(conn: Connection, limit: int) -> Iterator[bytes]:
    """The same as bytes on the wire, nothing decoded; a damaged row is left out, as a peer would blame us for it."""
    return (raw for txid, raw in _BEST_RAWS.rows(conn, most=limit, others=limit - 1) if is_whole(txid, raw))


class Candidate(NamedTuple):
    """A row of the mempool. `cost`: amount + fee of the coin, base units; `size` in bytes; the last three: `Claim`."""

    txid: bytes
    sender: bytes
    sequence: int
    cost: int
    fee_rate: int
    size: int
    arrived: int
    asset: bytes | None
    asset_amount: int
    mints: int


_COLUMNS = tuple(mempool.c[name] for name in Candidate._fields)
_HEADS = Query(
    select(*_COLUMNS)
    .where(mempool.c.head)
    .order_by(mempool.c.fee_rate.desc(), mempool.c.arrived)
    .limit(bindparam("most", type_=Integer))
)
_first = mempool.alias("first")


def _ahead(count: int) -> Among:
    """The `count` rows behind rows that are named by number."""
    behind = (mempool.c.sequence > _first.c.sequence) & (
        mempool.c.sequence <= _first.c.sequence + literal_column(str(count))
    )
    return Among(
        select(*_COLUMNS).join_from(_first, mempool, (mempool.c.sender == _first.c.sender) & behind), _first.c.arrived
    )


_SOME, _ONE = 32, 1
_AHEAD = {count: _ahead(count) for count in (_SOME, 16, 8, 4, _ONE)}
_MORE = Query(
    select(*_COLUMNS)
    .where(mempool.c.sender == bindparam("whose"), mempool.c.sequence > bindparam("behind", type_=BigInteger))
    .order_by(mempool.c.sequence)
    .limit(literal_column(str(_SOME)))
)
_RAWS = Among(select(mempool.c.txid, mempool.c.raw), mempool.c.txid)


class _Runs:
    """Each sender's transfers behind its head, read in portions."""

    def __init__(self, conn: Connection, heads: Sequence[Candidate], most: int) -> None:
        self._conn = conn
        # So many that one or two blocks' worth are read at once, however many senders share it.
        self._count = next((count for count in _AHEAD if len(heads) * count <= 2 * most), _ONE)
        self._rows: dict[bytes, list[Candidate]] = {}
        for row in _AHEAD[self._count].rows(conn, [head.arrived for head in heads]):
            candidate = Candidate(*row)
            self._rows.setdefault(candidate.sender, []).append(candidate)
        for of_sender in self._rows.values():
            of_sender.sort(key=lambda each: each.sequence, reverse=True)
        self._open = {sender for sender, of_sender in self._rows.items() if len(of_sender) == self._count}

    def after(self, each: Candidate) -> Candidate | None:
        """The sender's next transfer, if no sequence is missing before it."""
        rows = self._rows.get(each.sender)
        if not rows:
            if each.sender not in self._open:
                return None
            rows = [Candidate(*row) for row in _MORE.rows(self._conn, whose=each.sender, behind=each.sequence)][::-1]
            self._rows[each.sender] = rows
            if len(rows) < _SOME:
                self._open.discard(each.sender)
            if not rows:
                return None
        following = rows.pop()
        return following if following.sequence == each.sequence + 1 else None


def best(conn: Connection, room: int, least: int) -> list[Candidate]:
    """Selects transfers for `room` bytes of a block: each time the best-paying one that its sender's order allows.

    Of equals the first to arrive. None without those of its sender before it, and none that is not covered by what is
    confirmed, balance or assets. `least`: bytes that every transfer of the coin has (`codec.least_spend`).
    """
    most = room // least
    heads = [Candidate(*row) for row in _HEADS.rows(conn, most=most)]
    runs = _Runs(conn, heads, most)
    left = {sender: account.balance for sender, account in states(conn, {head.sender for head in heads}).items()}
    purses: dict[bytes, Purse] = {}
    heap = [(-head.fee_rate, head.arrived, head) for head in heads]  # in order, so it is a heap
    chosen = []
    while heap:
        each = heapq.heappop(heap)[2]
        if each.size > room or each.cost > left.get(each.sender, 0):
            continue
        if each.asset is not None:
            purse = purses.setdefault(each.sender, Purse(conn, each.sender))
            if not purse.take(Claim(each.asset, each.asset_amount, each.mints)):
                continue
        chosen.append(each)
        room -= each.size
        if room < least:
            break
        left[each.sender] -= each.cost
        following = runs.after(each)
        if following is not None:
            heapq.heappush(heap, (-following.fee_rate, following.arrived, following))
    return chosen


def raws(conn: Connection, txids: Iterable[bytes]) -> dict[bytes, bytes]:
    """The bytes of those that are in the mempool, by txid."""
    return dict(_RAWS.rows(conn, list(txids)))
