"""Keeps the mempool in step with a new tip.

The transaction that moves the tip also drops what the new state made impossible: a few statements over the accounts
that the blocks touched; no waiting transfer is decoded. What a reorg took off the chain comes back in the same
transaction where that is little, else in further ones, each bounded, so that nobody waits long for the database. Until
they are done the blocks are marked in the database, and a process that was killed meanwhile is followed by one that
goes on. Meanwhile the transfers behind those that are to come back keep their `ready`; a template takes none of them,
as they do not apply yet.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from ..core.codec import Outline, show
from ..core.policy import Locks
from ..core.types import NO_ACCOUNT, Account
from ..store import accounts, blocks
from ..store.engine import Store
from ..store.errors import StoreUnavailable
from ..store.unconfirmed import claims, eviction
from ..store.unconfirmed import entries as rows
from ..store.unconfirmed.claims import Claim
from .pool_policy import MAX_OF_SENDER

BACK_AT_ONCE = 2_000
"""Transfers that come back in the transaction that moves the tip, at most: some 0.1 s of the write lock."""

PORTION = 5_000
"""Transfers that come back in one further transaction, and of one sender more: each writes most pages of the indexes
by txid and receiver, so that many small ones take longer than few."""

_LOOKS = 8
"""Looking at so many waiting transfers takes as long as bringing one back."""

_TURN_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
"""Whoever waits in another process for the right to write looks every 0.1 s whether it is free (SQLite's busy
handler): after a turn of portions it stays free for that long."""

log = logging.getLogger("moneyer.mempool")


@dataclass(frozen=True, slots=True)
class TipChange:
    """How the main chain changed. Hashes of blocks, oldest first; `touched`: accounts that lost money or sent some.

    `gone`: transfers in the disconnected blocks.
    """

    connected: Sequence[bytes]
    disconnected: Sequence[bytes]
    touched: Collection[bytes]
    gone: int


class _Back(NamedTuple):
    """A transfer that a reorg took off the chain. `order`: its place among them, oldest first."""

    order: int
    transfer: Outline


def after_tip_change(conn: Connection, mempool_bytes: int, pool: rows.PoolState, change: TipChange) -> bool:
    """Bring the pool in step with a new tip; True where transfers are still to come back: see `bring_back`."""
    marked = pool.returning
    if change.disconnected or marked:
        connected = set(change.connected)
        marked = [each for each in (*marked, *change.disconnected) if each not in connected]
        rows.set_returning(conn, list(dict.fromkeys(marked)))
    if pool.count:
        rows.remove(conn, rows.used(conn, change.touched))
        doubtful = {*rows.overdrawn(conn, change.touched), *claims.uncovered(conn, change.touched)}
        if change.disconnected:  # only then a height or a time that had come may be to come again
            doubtful.update([sender for _, sender in claims.locked(conn, *_next_block(conn))])
        for sender in doubtful:
            _settle(conn, {sender: []})
        rows.set_heads(conn, change.touched)
        for sender, sequence in rows.unblocked(conn, change.touched):
            eviction.fill_gap(conn, sender, sequence - 1)
    if marked and len(marked) <= len(change.disconnected) and change.gone <= BACK_AT_ONCE:
        parts = list(_parts(*_off_chain(conn, marked, mempool_bytes)))
        if len(parts) < 2:
            for part in parts:
                put_back(conn, part, mempool_bytes)
            rows.set_returning(conn, [])
            return False
    return bool(marked)


def bring_back(store: Store) -> None:
    """Readmit what reorgs took off the chain. Raises StoreUnavailable; what is left is still marked then."""
    mempool_bytes = store.config.mempool_bytes
    while True:
        with store.read() as conn:
            marked = rows.returning(conn)
            if not marked:
                return
            parts = list(_parts(*_off_chain(conn, marked, mempool_bytes)))
        began = time.monotonic()
        for part in parts:
            if time.monotonic() - began > _TURN_SECONDS:
                time.sleep(_PAUSE_SECONDS)
                began = time.monotonic()
            store.submit(partial(put_back, part=part, mempool_bytes=mempool_bytes), alone=True).result()
        store.submit(partial(_unmark, done=set(marked)), alone=True).result()


def resume(store: Store) -> None:
    """Runs `bring_back` for what an earlier process left; where that fails now, the next block tries again."""
    try:
        bring_back(store)
    except StoreUnavailable as error:
        log.warning("transfers of a reorg come back to the mempool later: %s", error.message)


def drop_damaged(store: Store, txids: Sequence[bytes]) -> None:
    """Drop rows of the mempool whose bytes are no longer those of their txid. Raises StoreUnavailable."""

    def drop(conn: Connection) -> None:
        senders = rows.senders_of(conn, txids)
        rows.remove(conn, txids)
        _settle(conn, {sender: [] for sender in senders})

    store.submit(drop, alone=True).result()
    log.warning(
        "%d damaged transfers were dropped from the mempool (the first: %s): see the disk, and run `moneyer verify`",
        len(txids),
        show(txids[0]),
    )


def _unmark(conn: Connection, done: set[bytes]) -> None:
    rows.set_returning(conn, [each for each in rows.returning(conn) if each not in done])


def _off_chain(conn: Connection, hashes: Sequence[bytes], room: int) -> tuple[dict[bytes, list[_Back]], Counter[bytes]]:
    """Unconfirmed transfers of these blocks by sender: the oldest that fit `room` bytes. Every sender has an entry.

    And how many of each sender's transfers are in the pool.
    """
    back: dict[bytes, list[_Back]] = {}
    following: dict[bytes, int] = {}
    slots: set[tuple[bytes, int]] = set()
    order = 0
    for block_hash in hashes:
        _, _, transfers = blocks.outline(conn, block_hash)
        senders = {transfer.sender for transfer in transfers} - following.keys()
        states = accounts.states(conn, senders)
        following.update((sender, states.get(sender, NO_ACCOUNT).sequence) for sender in senders)
        slots |= rows.slots_of(conn, senders)
        for transfer in transfers:
            if transfer.sequence < following[transfer.sender]:
                continue
            of_sender = back.setdefault(transfer.sender, [])
            if room < 0 or (transfer.sender, transfer.sequence) in slots:
                continue
            room -= len(transfer.raw)
            if room < 0:  # nor does any after it come back: its sender's would wait for it
                continue
            of_sender.append(_Back(order, transfer))
            order += 1
    return back, Counter(sender for sender, _ in slots)


def _parts(back: dict[bytes, list[_Back]], pooled: Counter[bytes]) -> Iterator[dict[bytes, list[_Back]]]:
    """Splits them into portions of about `PORTION`, each sender's transfers together."""
    part: dict[bytes, list[_Back]] = {}
    size = 0
    for sender, of_sender in back.items():
        part[sender] = of_sender
        size += len(of_sender) + 1 + pooled[sender] // _LOOKS
        if size >= PORTION:
            yield part
            part, size = {}, 0
    if part:
        yield part


def put_back(conn: Connection, part: dict[bytes, list[_Back]], mempool_bytes: int) -> None:
    """Puts transfers back into the pool as far as they apply and there is room; the least fee does not count."""
    _settle(conn, part)
    eviction.shrink(conn, mempool_bytes)


def _settle(conn: Connection, part: dict[bytes, list[_Back]]) -> None:
    """Give senders their transfers back, drop what their confirmed state no longer allows, mark the rest.

    A returned transfer goes before what its sender sent after it: both are there when money is counted. What is locked
    again goes, and does not come back: a heavier chain may be lower, or its clock behind.
    """
    states = accounts.states(conn, part)
    claimed = claims.of_senders(conn, part)
    upcoming = _next_block(conn)
    locked = {arrived for arrived, _ in claims.locked(conn, *upcoming)}
    pooled: dict[bytes, list[rows.Waiting]] = {}
    for waiting in rows.waiting_of(conn, part):
        pooled.setdefault(waiting.sender, []).append(waiting)
    gone: list[int] = []
    changes: list[tuple[int, bool]] = []
    new: list[tuple[_Back, bool]] = []
    for sender, of_sender in part.items():
        gone += [each.arrived for each in pooled.get(sender, ()) if each.arrived in locked]
        kept = [each for each in pooled.get(sender, ()) if each.arrived not in locked]
        merged = _merged(kept, [each for each in of_sender if not _is_locked(each.transfer, upcoming)], claimed)
        for each, is_ready in _verdicts(states.get(sender, NO_ACCOUNT), claims.Purse(conn, sender), merged):
            if isinstance(each, _Back):
                if is_ready is not None:
                    new.append((each, is_ready))
            elif is_ready is None:
                gone.append(each.arrived)
            elif is_ready != each.ready:
                changes.append((each.arrived, is_ready))
    rows.remove_numbered(conn, gone)
    rows.set_ready(conn, changes)
    new.sort(key=lambda entry: entry[0].order)
    rows.add_many(conn, [(each.transfer, is_ready) for each, is_ready in new])


class _Slot(NamedTuple):
    """What stands at one sequence of a sender. `cost`: of the coin, base units."""

    sequence: int
    cost: int
    claim: Claim
    which: rows.Waiting | _Back


def _merged(pooled: Iterable[rows.Waiting], back: Iterable[_Back], claimed: Mapping[int, Claim]) -> list[_Slot]:
    """In order of sequence; what took a slot meanwhile keeps it."""
    slots: dict[int, _Slot] = {}
    for each in back:
        outline = each.transfer
        cost = outline.coin_amount + outline.fee
        slots[outline.sequence] = _Slot(outline.sequence, cost, claims.claim_of_outline(outline), each)
    for waiting in pooled:
        claim = claimed.get(waiting.arrived, claims.NO_CLAIM)
        slots[waiting.sequence] = _Slot(waiting.sequence, waiting.cost, claim, waiting)
    return [slots[sequence] for sequence in sorted(slots)]


def _verdicts(
    account: Account, purse: claims.Purse, merged: Iterable[_Slot]
) -> Iterator[tuple[rows.Waiting | _Back, bool | None]]:
    """Whether each is ready, or waits; None where it has to go."""
    left, following = account.balance, account.sequence
    for sequence, cost, claim, each in merged:
        is_in_reach = account.sequence <= sequence < account.sequence + MAX_OF_SENDER
        if not is_in_reach or cost > left or not purse.take(claim):
            yield each, None
            continue
        left -= cost
        is_ready = sequence == following
        following += is_ready
        yield each, is_ready


def _is_locked(outline: Outline, upcoming: Locks) -> bool:
    """Whether a spend is not valid yet in the block that would follow the tip."""
    locks = claims.claim_of_outline(outline).locks
    return locks.height > upcoming.height or locks.time > upcoming.time


def _next_block(conn: Connection) -> Locks:
    """Height and median_time_past of the block that would follow the tip."""
    tip = blocks.tip(conn)
    return Locks(tip.height + 1, blocks.median_time_past_of(conn, tip.block_hash))
