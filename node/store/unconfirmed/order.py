"""The mempool in two orders: as transfers came, for those that follow it, and as they pay, for a block's template.

Both go by indexes, so that no pool is too large for them. `node.core.template.select_transfers` makes the second
choice in memory; a test holds the two equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, bindparam, func, literal_column, select

from ...core.codec import TRANSFER_BASE
from ..accounts import states
from ..backends.engines import Among, Query
from ..tables import mempool


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


class Candidate(NamedTuple):
    """A row of the mempool. `cost`: amount + fee, base units; `size` in bytes."""

    txid: bytes
    sender: bytes
    sequence: int
    cost: int
    fee_rate: int
    size: int
    arrived: int


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
    .limit(_SOME)
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


def best(conn: Connection, room: int) -> list[Candidate]:
    """Selects transfers for `room` bytes of a block: each time the best-paying one that its sender's order allows.

    Of equals the first to arrive. None without those of its sender before it, and none that the confirmed balance does
    not cover.
    """
    most = room // TRANSFER_BASE
    heads = [Candidate(*row) for row in _HEADS.rows(conn, most=most)]
    runs = _Runs(conn, heads, most)
    left = {sender: account.balance for sender, account in states(conn, {head.sender for head in heads}).items()}
    heap = [(-head.fee_rate, head.arrived, head) for head in heads]  # in order, so it is a heap
    chosen = []
    while heap:
        each = heapq.heappop(heap)[2]
        if each.size > room or each.cost > left.get(each.sender, 0):
            continue
        chosen.append(each)
        room -= each.size
        if room < TRANSFER_BASE:
            break
        left[each.sender] -= each.cost
        following = runs.after(each)
        if following is not None:
            heapq.heappush(heap, (-following.fee_rate, following.arrived, following))
    return chosen


def raws(conn: Connection, txids: Iterable[bytes]) -> dict[bytes, bytes]:
    """The bytes of those that are in the mempool, by txid."""
    return dict(_RAWS.rows(conn, list(txids)))
