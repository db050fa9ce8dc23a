"""Blocks, transactions and accounts by the first digits of what people see: a hash, a txid, an address.

A hash is shown with its last byte first (`core.codec.show`), so rows are found by what is shown: transactions are kept
under it, and blocks have an index on its first 12 digits. The mempool has neither, for every transfer would pay for it:
of that the newest `WAITING` are looked through.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from sqlalchemy import Connection, Integer, bindparam, func, select

from ...core.codec import show
from ...core.types import HASH_SIZE
from .. import blocks
from ..backends.statements import Query
from ..blocks import BlockRow
from ..tables import NONE, accounts, mempool, transactions
from ..tables import blocks as block_table
from ..transactions import Place

WAITING: Final = 10_000
"""Transfers of the mempool that are looked through, those that came last."""
_INDEXED: Final = 2 * blocks.DIGIT_BYTES
"""Digits of a block's hash in its index."""
_ALIKE: Final = 1_000
"""Blocks that are looked at where they share all of these, which only blocks of great work do, by their zeros."""

_BLOCKS = Query(
    select(block_table.c.block_hash)
    .where(block_table.c.first_digits.between(bindparam("lowest"), bindparam("highest")))
    .order_by(block_table.c.first_digits)
    .limit(bindparam("at_most", type_=Integer))
)
_TRANSACTIONS = Query(
    select(transactions.c.shown_txid, transactions.c.height, transactions.c.position)
    .where(transactions.c.shown_txid.between(bindparam("lowest"), bindparam("highest")))
    .order_by(transactions.c.shown_txid)
    .limit(bindparam("at_most", type_=Integer))
)
_newest = (
    select(mempool.c.txid).order_by(mempool.c.arrived.desc()).limit(bindparam("at_most", type_=Integer)).subquery()
)
# By whole bytes, from the end, since SQLite is quicker than Python and lets other threads go on.
_NEWEST_WAITING = Query(
    select(_newest.c.txid).where(func.substr(_newest.c.txid, bindparam("start", type_=Integer)) == bindparam("end"))
)
_ACCOUNTS = Query(
    select(accounts.c.payload)
    .where(
        accounts.c.payload.between(bindparam("lowest"), bindparam("highest")),
        (accounts.c.balance != NONE) | (accounts.c.sequence != NONE),
    )
    .order_by(accounts.c.payload)
    .limit(bindparam("at_most", type_=Integer))
)


def blocks_beginning(conn: Connection, digits: str, limit: int) -> list[BlockRow]:
    """Blocks of the tree, invalid ones too, whose shown hash begins with `digits` (lower case), at most `limit`; the
    highest first."""
    lowest, highest = (int(digits[:_INDEXED].ljust(_INDEXED, end), 16) for end in "0f")
    # What the index cannot tell apart is told apart here.
    at_most = limit if len(digits) <= _INDEXED else _ALIKE
    found = (block_hash for (block_hash,) in _BLOCKS.rows(conn, lowest=lowest, highest=highest, at_most=at_most))
    alike = (block_hash for block_hash in found if show(block_hash).startswith(digits))
    return sorted(blocks.by_hashes(conn, list(islice(alike, limit))), key=lambda row: -row.height)


def transactions_beginning(conn: Connection, digits: str, limit: int) -> list[tuple[bytes, Place]]:
    """(txid, place) of confirmed transactions whose shown txid begins with `digits`, at most `limit`."""
    lowest, highest = (bytes.fromhex(digits.ljust(64, end)) for end in "0f")
    rows = _TRANSACTIONS.rows(conn, lowest=lowest, highest=highest, at_most=limit)
    return [(shown[::-1], Place(height, position)) for shown, height, position in rows]


def waiting_beginning(conn: Connection, digits: str, limit: int) -> list[bytes]:
    """txids of the newest `WAITING` transfers of the mempool that begin with `digits`, at most `limit`."""
    whole = bytes.fromhex(digits[: len(digits) // 2 * 2])[::-1]
    rows = _NEWEST_WAITING.rows(conn, at_most=WAITING, start=HASH_SIZE - len(whole) + 1, end=whole)
    return list(islice((txid for (txid,) in rows if show(txid).startswith(digits)), limit))


def accounts_between(conn: Connection, lowest: bytes, highest: bytes, limit: int) -> list[bytes]:
    """Payloads of accounts that this chain has used, both ends included, at most `limit`."""
    rows = _ACCOUNTS.rows(conn, lowest=lowest, highest=highest, at_most=limit)
    return [payload for (payload,) in rows]
