"""From the tip to the best chain, within one transaction: disconnect, connect, condemn, and the mempool after it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from node.core import codec, fork, ledger
from node.core.errors import MoneyerError, RuleError
from node.core.types import Block, Transfer
from node.mempool import Mempool, after_tip_change
from node.outcomes import Extended, Outcome, Reorganized, SideBranch
from node.signatures import check_signatures
from node.store import blocks
from node.store import ledger as ledger_rows
from node.store.engine import Store


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new block that passed every check in isolation. `txids`: of its transactions, in order."""

    new: blocks.NewBlock
    txids: list[bytes]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the block; or the error of the first block that failed, its mark to be committed."""

    outcome: Outcome | None
    error: RuleError | None = None


class SignaturesWanted(MoneyerError):
    """These blocks are to be connected and nobody has checked their signatures: do so outside the transaction."""

    def __init__(self, block_hashes: list[bytes]) -> None:
        super().__init__("signatures are not checked yet")
        self.block_hashes = block_hashes


class Signatures:
    """Signature checks of the blocks that a new one may cause to be connected, made before the transaction."""

    def __init__(self, store: Store, candidate: Candidate) -> None:
        self._store = store
        self._candidate = candidate
        self._wanted: list[bytes] | None = None
        self._checked: dict[bytes, list[bool]] = {}

    def want(self, block_hashes: list[bytes]) -> None:
        """Check these too, next time."""
        self._wanted = block_hashes

    def check_ahead(self) -> None:
        """Check what is wanted; at first, what would be connected if the new block joined now."""
        with self._store.read() as conn:
            wanted = self._foresee(conn) if self._wanted is None else self._wanted
            transfers = {block_hash: self._transfers(conn, block_hash) for block_hash in wanted}
        for block_hash, of_block in transfers.items():
            self._checked[block_hash] = check_signatures(self._store.coin.chain_id, of_block)

    def has(self, row: blocks.BlockRow) -> bool:
        """Whether `of` can tell: a block that was connected before has valid signatures for ever."""
        return row.status == blocks.CONNECTED or row.block_hash in self._checked

    def of(self, row: blocks.BlockRow, block: Block) -> list[bool]:
        """Whether each transfer's signature is valid."""
        if row.status == blocks.CONNECTED:
            return [True] * len(ledger.transfers_of(block))
        return self._checked[row.block_hash]

    def _foresee(self, conn: Connection) -> list[bytes]:
        new = self._candidate.new
        tip = blocks.tip(conn)
        if new.work <= tip.work:
            return []
        parent = blocks.by_hash(conn, new.block.header.prev_hash)
        wanted = [new.block_hash]
        while parent is not None and not parent.main_chain:
            if parent.status == blocks.STORED:
                wanted.append(parent.block_hash)
            parent = blocks.by_hash(conn, parent.header.prev_hash)
        return [block_hash for block_hash in wanted if block_hash not in self._checked]

    def _transfers(self, conn: Connection, block_hash: bytes) -> list[Transfer]:
        if block_hash == self._candidate.new.block_hash:
            return ledger.transfers_of(self._candidate.new.block)
        return ledger.transfers_of(blocks.load(conn, block_hash))


class Advance:
    """One transaction's way to the best chain, once `candidate` has joined the tree."""

    def __init__(self, conn: Connection, mempool: Mempool, signatures: Signatures, candidate: Candidate) -> None:
        self._conn = conn
        self._mempool = mempool
        self._signatures = signatures
        self._candidate = candidate
        self._error: RuleError | None = None

    def to_best(self) -> Result:
        """Connect the best chain there is. Raises SignaturesWanted, and then nothing must be committed."""
        old_tip = here = blocks.tip(self._conn)
        while True:
            best = blocks.best(self._conn)
            if best.block_hash == here.block_hash:
                break
            here = self._walk(here, best)
        way = self._route(old_tip, here)
        if way.connect:
            self._update_mempool(way)
        if self._error is not None:
            return Result(None, self._error)
        new = self._candidate.new
        if not way.connect:
            return Result(SideBranch(new.block_hash, new.height))
        if not way.disconnect:
            return Result(Extended(here.block_hash, here.height))
        fork_height = old_tip.height - len(way.disconnect)
        return Result(Reorganized(here.block_hash, here.height, fork_height, len(way.disconnect)))

    def _walk(self, here: blocks.BlockRow, best: blocks.BlockRow) -> blocks.BlockRow:
        """Go from `here` towards `best` and return how far it went. A block that fails is condemned."""
        conn, way = self._conn, self._route(here, best)
        rows = [_row(conn, block_hash) for block_hash in way.connect]
        unchecked = [row.block_hash for row in rows if not self._signatures.has(row)]
        if unchecked:
            raise SignaturesWanted(unchecked)
        for distance, block_hash in enumerate(way.disconnect):
            block, txids = self._load(block_hash)
            ledger_rows.disconnect(conn, block, block_hash, here.height - distance, txids)
        reached = _row(conn, way.fork_point)
        for row in rows:
            block, txids = self._load(row.block_hash)
            results = self._signatures.of(row, block)
            try:
                ledger_rows.connect(conn, self._mempool.coin, block, row.block_hash, row.height, results, txids)
            except RuleError as error:
                blocks.condemn(conn, row.block_hash, error.code)
                self._error = self._error or error
                break
            reached = row
        return reached

    def _route(self, here: blocks.BlockRow, there: blocks.BlockRow) -> fork.Route:
        return fork.route(
            (here.block_hash, here.height),
            (there.block_hash, there.height),
            lambda block_hash: blocks.parent_of(self._conn, block_hash),
        )

    def _load(self, block_hash: bytes) -> tuple[Block, list[bytes]]:
        """A block of the tree and its txids."""
        if block_hash == self._candidate.new.block_hash:
            return self._candidate.new.block, self._candidate.txids
        block = blocks.load(self._conn, block_hash)
        return block, [codec.txid(transaction) for transaction in block.transactions]

    def _update_mempool(self, way: fork.Route) -> None:
        """Only the way from the old tip to the new one counts, not what was tried in between."""
        returned: list[Transfer] = []
        touched: set[bytes] = set()
        confirmed: list[bytes] = []
        for block_hash in reversed(way.disconnect):
            block, _ = self._load(block_hash)
            returned += ledger.transfers_of(block)
            touched |= ledger.payloads_of(block)  # receivers too: they lose what they were paid
        for block_hash in way.connect:
            block, txids = self._load(block_hash)
            confirmed += txids[1:]
            touched.update(transfer.sender for transfer in ledger.transfers_of(block))
        after_tip_change(self._conn, self._mempool, confirmed=confirmed, returned=returned, touched=touched)


def _row(conn: Connection, block_hash: bytes) -> blocks.BlockRow:
    row = blocks.by_hash(conn, block_hash)
    assert row is not None  # noqa: S101 - a block never leaves the tree
    return row
