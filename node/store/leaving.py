"""Blocks that leave the main chain, summed up: all that disconnecting them asks, without the blocks themselves.

It hangs on nothing but their bytes, so that it is made before the write transaction that disconnects them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sqlalchemy import Connection

from node.core import ledger
from node.store import blocks

MOST_TRANSACTIONS = 100_000
"""What one `Leaving` sums up at most, and a block more: some 10 MB."""


@dataclass(slots=True)
class Leaving:
    """The last blocks of the main chain. `hashes`: of the blocks, newest first; `txids`: of all their transactions."""

    hashes: list[bytes] = field(default_factory=list)
    txids: list[bytes] = field(default_factory=list)
    effect: ledger.Effect = field(default_factory=dict)

    @property
    def transfers(self) -> int:
        return len(self.txids) - len(self.hashes)


def sum_up(hashes: Iterable[bytes], reading: Callable[[], AbstractContextManager[Connection]]) -> Leaving:
    """The first of `hashes`, as many as are not too many. `reading`: a connection for each block."""
    leaving = Leaving()
    for block_hash in hashes:
        with reading() as conn:
            coinbase, coinbase_txid, transfers = blocks.outline(conn, block_hash)
        leaving.hashes.append(block_hash)
        leaving.txids.append(coinbase_txid)
        leaving.txids += [transfer.txid for transfer in transfers]
        ledger.add_effect(leaving.effect, coinbase, transfers)
        if len(leaving.txids) >= MOST_TRANSACTIONS:
            break
    leaving.txids.sort()
    return leaving
