"""The mempool in step with a new tip, within the transaction that made it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from node.core import ledger
from node.core.types import Block
from node.mempool import Mempool
from node.store import accounts
from node.store import mempool as rows


def after_tip_change(
    conn: Connection,
    mempool: Mempool,
    *,
    connected: Iterable[tuple[Block, Sequence[bytes]]],
    disconnected: Iterable[tuple[Block, Sequence[bytes]]],
) -> None:
    """Bring the pool in step with a new tip.

    `connected`, `disconnected`: blocks, each with its txids, oldest first. However many they are, one at a time is in
    memory, and what is kept of them is of the pool's size.
    """
    senders: set[bytes] = set()
    for block, txids in connected:
        rows.remove(conn, txids[1:])
        senders |= rows.senders_among(conn, {transfer.sender for transfer in ledger.transfers_of(block)})
    # A returned transfer goes before what its sender sent after it: both are in the pool when money is counted.
    # Receivers are settled too: they lose what they were paid.
    senders |= mempool.put_back(conn, disconnected)
    for sender in senders:
        _settle(conn, sender)
    mempool.shrink(conn)


def _settle(conn: Connection, sender: bytes) -> None:
    """Drop what a sender's confirmed state no longer allows; mark the rest ready or waiting."""
    account = accounts.account(conn, sender)
    left, following = account.balance, account.sequence
    gone, changes = [], []
    for row in rows.of_sender(conn, sender):
        left -= row.transfer.cost
        if row.transfer.sequence < account.sequence or left < 0:
            gone.append(row.txid)
            left += row.transfer.cost
            continue
        is_ready = row.transfer.sequence == following
        following += is_ready
        if is_ready != row.ready:
            changes.append((row.txid, is_ready))
    rows.remove(conn, gone)
    rows.set_ready(conn, changes)
