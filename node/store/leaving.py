"""Blocks that leave the main chain, summed up: all that disconnecting them asks, without the blocks themselves.

It hangs on nothing but their bytes, so that it is made before the write transaction that disconnects them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sqlalchemy import Connection

from node.core.ledger import Effect
from node.store import blocks

MOST_TRANSACTIONS = 100_000
"""What one `Leaving` sums up at most, and some blocks more: some 10 MB."""

_BLOCKS_AT_ONCE = 16
"""Blocks in one read: a transaction of its own for each costs as much as a block of 50 transfers; and where SQLite
keeps a rollback journal, a read holds writers up."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The last blocks of the main chain. `hashes`: of the blocks, newest first; `txids`: of all their transactions."""

    hashes: list[bytes] = field(default_factory=list)
    txids: list[bytes] = field(default_factory=list)
    effect: Effect = field(default_factory=Effect)

    @property
    def transfers(self) -> int:
        return len(self.txids) - len(self.hashes)

    def add(self, conn: Connection, block_hash: bytes) -> None:
        """The block below the last one."""
        coinbase, coinbase_txid, transfers = blocks.outline(conn, block_hash)
        self.hashes.append(block_hash)
        self.txids.append(coinbase_txid)
        self.txids.extend([transfer.txid for transfer in transfers])
        self.effect.add(coinbase, transfers)


def sum_up(hashes: Sequence[bytes], reading: Callable[[], AbstractContextManager[Connection]]) -> Leaving:
    """The first of `hashes`, as many as are not too many. `reading`: a connection for some of them."""
    leaving = Leaving()
    for start in range(0, len(hashes), _BLOCKS_AT_ONCE):
        with reading() as conn:
            for block_hash in hashes[start : start + _BLOCKS_AT_ONCE]:
                leaving.add(conn, block_hash)
        if len(leaving.txids) >= MOST_TRANSACTIONS:
            break
    leaving.txids.sort()
    return leaving
