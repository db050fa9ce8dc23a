"""What moving the tip asks and no write transaction need wait for: signatures, and the blocks that leave summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from ..core import ledger
from ..core.errors import MoneyerError
from ..core.types import Block, Transfer
from ..store import blocks, tree
from ..store.connecting import Leaving, sum_up
from ..store.engine import Store
from .signatures import check_signatures

_AT_ONCE = 4_000
"""Transfers whose signatures are handed to the threads together: enough for each, and no whole branch in memory."""


_MOST_KEPT = 50_000
"""Transfers of stored blocks that are kept decoded from the check of their signatures on: some 25 MB."""

_MOST_LEAVING = 300_000
"""Transactions of blocks that leave, of which no more are summed up ahead: some 30 MB."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new block that passed every check in isolation. `txids`: of its transactions, in order."""

    new: tree.NewBlock
    txids: list[bytes]


Decoded = tuple[Block, list[bytes]]
"""A block and the txids of its transactions, in order."""

Candidates = dict[bytes, Candidate]
"""New blocks by hash, in the order in which they join."""


class Step(NamedTuple):
    """A block on the way. `is_signed`: it was connected before, so its signatures are valid for ever."""

    block_hash: bytes
    height: int
    is_signed: bool


class SignaturesWanted(MoneyerError):
    """`connect` are to be connected and nobody has checked their signatures: do so outside the transaction.

    `disconnect`: what leaves the main chain for them, newest first.
    """

    def __init__(self, connect: list[bytes], disconnect: Sequence[bytes]) -> None:
        super().__init__("signatures are not checked yet")
        self.connect = connect
        self.disconnect = disconnect


class Ahead:
    """Work on the blocks that new ones may cause to be connected, and on those that leave for them.

    All of it hangs on nothing but the blocks: if another process moves the tip meanwhile, it is of no use, never wrong.
    """

    def __init__(self, store: Store, candidates: Candidates) -> None:
        self._store = store
        self._candidates = candidates
        self._checked: dict[bytes, list[bool]] = {}
        self._kept: dict[bytes, Decoded] = {}
        self._room = _MOST_KEPT
        self._leaving: list[Leaving] = []

    def look(self) -> None:
        """Work on what would happen if the new blocks joined now."""
        with self._store.read() as conn:
            connect, disconnect = self._foresee(conn)
        self.work(connect, disconnect)

    def work(self, connect: list[bytes], disconnect: Sequence[bytes]) -> None:
        """Outside any transaction. Each block is read by itself: no long read that writers would wait for."""
        self.check(connect)
        self._leaving = []
        while disconnect and sum(len(each.txids) for each in self._leaving) < _MOST_LEAVING:
            self._leaving.append(sum_up(disconnect, self._store.read))
            disconnect = disconnect[len(self._leaving[-1].hashes) :]

    def leaving(self, hashes: Sequence[bytes]) -> Leaving | None:
        """The first of these blocks, newest first, summed up; None where it was others that seemed to leave."""
        return next((each for each in self._leaving if tuple(hashes[: len(each.hashes)]) == tuple(each.hashes)), None)

    def check(self, block_hashes: list[bytes]) -> None:
        """Check the signatures in these, outside any transaction."""
        waiting: dict[bytes, list[Transfer]] = {}
        count = 0
        for block_hash in block_hashes:
            block = self._block(block_hash)
            if block is None:
                continue
            waiting[block_hash] = ledger.transfers_of(block)
            count += len(waiting[block_hash])
            if count >= _AT_ONCE:
                self._check_all(waiting)
                waiting, count = {}, 0
        self._check_all(waiting)

    def _check_all(self, waiting: dict[bytes, list[Transfer]]) -> None:
        transfers = [transfer for of_block in waiting.values() for transfer in of_block]
        results = iter(check_signatures(self._store.coin.chain_id, transfers))
        for block_hash, of_block in waiting.items():
            self._checked[block_hash] = list(islice(results, len(of_block)))

    def decoded(self, block_hash: bytes) -> Decoded | None:
        """A new block, or one that was kept from the check of its signatures."""
        candidate = self._candidates.get(block_hash)
        return self._kept.get(block_hash) if candidate is None else (candidate.new.block, candidate.txids)

    def _block(self, block_hash: bytes) -> Block | None:
        """None where the block turned out invalid since it was looked up, or was let go: it will not be connected."""
        found = self.decoded(block_hash)
        if found is not None:
            return found[0]
        with self._store.read() as conn:
            row = blocks.by_hash(conn, block_hash)
            if row is None or row.status == blocks.INVALID:
                return None
            found = blocks.load_with_txids(conn, block_hash)
        if row.tx_count <= self._room:
            self._room -= row.tx_count
            self._kept[block_hash] = found
        return found[0]

    def has(self, step: Step) -> bool:
        """Whether `of` can tell."""
        return step.is_signed or step.block_hash in self._checked

    def of(self, step: Step, block: Block) -> list[bool]:
        """Whether each transfer's signature is valid."""
        if step.is_signed:
            return [True] * len(ledger.transfers_of(block))
        return self._checked[step.block_hash]

    def _foresee(self, conn: Connection) -> tuple[list[bytes], list[bytes]]:
        """(connect, disconnect): the new blocks and what they stand on beside the main chain, as far as it was never
        connected; and the main chain's blocks above that, newest first. Nothing if the tip has as much work."""
        news = [candidate.new for candidate in self._candidates.values()]
        tip = blocks.tip(conn)
        if max(new.work for new in news) <= tip.work:
            return [], []
        connect = list(self._candidates)
        parent = blocks.by_hash(conn, news[0].block.header.prev_hash)
        while parent is not None and not parent.main_chain:
            if parent.status == blocks.STORED:
                connect.append(parent.block_hash)
            parent = blocks.by_hash(conn, parent.header.prev_hash)
        if parent is None or parent.height == tip.height:  # it is on its way into the tree, or nothing leaves
            return connect, []
        return connect, [row.block_hash for row in blocks.newest_first(conn, None, tip.height - parent.height)]
