"""New blocks join the tree, and the tip goes to the best chain: stage 5 and the fork choice of `docs/protocol.md`.

`PendingBlocks` is what one write transaction does, everything or nothing: the blocks join the tree, `Advance` walks to
the chain with the most work (disconnect, connect, condemn what fails), and the mempool follows (`settle`). What takes
long and depends on nothing but the blocks is done before that transaction, by `Prepared`: signatures are verified, and
the blocks that may be disconnected are summed up. If another process moves the tip meanwhile, that work may be of no
use, never wrong; where signatures are missing, the transaction is rolled back and tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection

from ..core import ledger
from ..core.codec import show
from ..core.errors import RULES, InvalidParent, Malformed, MoneyerError, RuleError
from ..core.rules import Route, route
from ..core.types import Block, Spend
from ..store import blocks, chainstate, mining
from ..store.chainstate import ChainState, Leaving, NewBlock, sum_up
from ..store.engine import Store
from ..store.errors import StoreBusy
from ..store.unconfirmed import entries
from .outcomes import AlreadyKnown, Extended, Outcome, Reorganized, SideBranch
from .pipeline import TreeBlock
from .settle import TipChange, after_tip_change, resume
from .signatures import verify_signatures

_VERIFIED_AT_ONCE = 4_000
"""Transfers whose signatures are handed to the threads together: enough for each, and no whole branch in memory."""

_MOST_KEPT = 50_000
"""Transfers of stored blocks that are kept decoded after their signatures were verified: some 25 MB."""

_MOST_LEAVING = 300_000
"""About so many transactions of blocks that may leave are summed up before the transaction: some 30 MB."""

NewBlocks = Mapping[bytes, NewBlock]
"""Blocks on their way into the tree by hash, in the order in which they join."""

Decoded = tuple[Block, Sequence[bytes]]
"""A block and the txids of its transactions, in order."""


class PendingBlocks:
    """New blocks, each on the one before, on their way into the tree."""

    def __init__(
        self,
        store: Store,
        news: Sequence[NewBlock],
        job_id: str | None = None,
        on_extended: Callable[[NewBlock], None] = lambda _: None,
    ) -> None:
        """Prepares the transaction (see `Prepared`), before any is open.

        `job_id`: as in `Origin`; `on_extended`: as of `Chain`.
        """
        self._store = store
        self._on_extended = on_extended
        self._news = {new.block_hash: new for new in news}
        self._job_id = job_id
        self._prepared = Prepared(store, self._news)
        self._prepared.look()
        self._written: Future[_Joined] | None = None

    @property
    def last(self) -> NewBlock:
        return next(reversed(self._news.values()))

    def start(self) -> None:
        """Queue the transaction."""
        self._written = self._store.submit(self._join, alone=True)

    def outcome(self) -> Outcome:
        """Once it is durable. Raises RuleError of the first block that broke a rule, or StoreUnavailable."""
        while True:
            written = self._written or self._store.submit(self._join, alone=True)
            try:
                joined = written.result()
            except _SignaturesMissing as missing:
                self._prepared.work(missing.connect, missing.disconnect)
                self._written = None
                continue
            if joined.is_returning:
                resume(self._store)
            if isinstance(joined.verdict, RuleError):
                raise joined.verdict
            return joined.verdict

    def _join(self, conn: Connection) -> _Joined:
        """The transaction. A block that breaks a rule is marked in it, so its error is returned, not raised."""
        known = blocks.known(conn, list(self._news))
        fresh = {block_hash: new for block_hash, new in self._news.items() if block_hash not in known}
        if not fresh:
            row = blocks.by_hash(conn, self.last.block_hash)
            assert row is not None  # noqa: S101 - it is known
            return _Joined(already_known(row))
        sound, refusal = _before_invalid(conn, fresh)
        if not sound:
            assert refusal is not None  # noqa: S101 - there was a first one
            return _Joined(refusal)
        joined = self._join_sound(conn, sound)
        if refusal is None or isinstance(joined.verdict, RuleError):
            return joined
        return _Joined(refusal, joined.is_returning)

    def _join_sound(self, conn: Connection, fresh: NewBlocks) -> _Joined:
        chainstate.add(conn, list(fresh.values()))
        joined = Advance(conn, self._store, self._prepared, fresh).to_best()
        if self._job_id is not None and isinstance(joined.verdict, Extended | Reorganized):
            mining.record_block(conn, self._job_id, self.last.block_hash, self.last.header.timestamp)
        if len(self._news) == 1 and isinstance(joined.verdict, Extended):
            self._on_extended(self.last)
        return joined


@dataclass(frozen=True, slots=True)
class _Joined:
    """What the transaction did: an outcome, or the error of the first block that failed, its mark to be committed."""

    verdict: Outcome | RuleError
    is_returning: bool = False
    """Transfers of disconnected blocks are still to come back to the mempool: `settle.bring_back`."""


class _SignaturesMissing(MoneyerError):
    """Rolls the transaction back: `connect` are to be connected, and their signatures were not verified before it.

    `disconnect`: what leaves the main chain for them, newest first.
    """

    def __init__(self, connect: Sequence[bytes], disconnect: Sequence[bytes]) -> None:
        super().__init__("signatures are not verified yet")
        self.connect = connect
        self.disconnect = disconnect


class Advance:
    """One transaction's way from the tip to the best chain, once `fresh` have joined the tree."""

    def __init__(self, conn: Connection, store: Store, prepared: Prepared, fresh: NewBlocks) -> None:
        self._conn = conn
        self._coin = store.coin
        self._mempool_bytes = store.config.mempool_bytes
        self._prepared = prepared
        self._fresh = fresh
        self._error: RuleError | None = None
        self._touched: set[bytes] = set()
        """Accounts that lost money or sent some; and of blocks that were tried in between, which does no harm."""
        self._gone = 0
        self._undone: set[bytes] = set()
        """Assets that were undone; some may have come back with the blocks of the new chain."""

    def to_best(self) -> _Joined:
        """Connect the best chain there is. Raises _SignaturesMissing, and then nothing must be committed."""
        old_tip: TreeBlock = blocks.tip(self._conn)
        tip = old_tip
        while True:
            best = blocks.best(self._conn)
            if best.block_hash == tip.block_hash:
                break
            tip = self._walk(tip, best)
            if tip.block_hash == best.block_hash:
                break
        way = self._route(old_tip, tip)
        is_returning = bool(way.connect) and self._update_mempool(way)
        if self._error is not None:
            return _Joined(self._error, is_returning)
        if not way.connect:
            new = list(self._fresh.values())[-1]
            return _Joined(SideBranch(new.block_hash, new.height))
        if not way.disconnect:
            return _Joined(Extended(tip.block_hash, tip.height), is_returning)
        fork_height = old_tip.height - len(way.disconnect)
        return _Joined(Reorganized(tip.block_hash, tip.height, fork_height, len(way.disconnect)), is_returning)

    def _walk(self, tip: TreeBlock, best: TreeBlock) -> TreeBlock:
        """Go from `tip` towards `best`; the new tip. A block that fails is condemned, and the way ends before it."""
        way = self._route(tip, best)
        steps = [self._block(block_hash) for block_hash in way.connect]
        unverified = [step.block_hash for step in steps if not self._prepared.has_verified(step)]
        if unverified:
            raise _SignaturesMissing(unverified, way.disconnect)
        state = ChainState(self._conn, self._coin)
        self._disconnect(state, tip.height, way.disconnect)
        reached = self._block(way.fork_point) if way.disconnect else tip
        for step in steps:
            block, txids = self._load(step.block_hash)
            signatures = self._prepared.signatures_of(step, block)
            try:
                state.connect(block, step.block_hash, step.height, signatures, txids)
            except RuleError as error:
                chainstate.condemn(self._conn, step.block_hash, error.code)
                self._error = self._error or error
                break
            self._touched.update([spend.sender for spend in ledger.spends_of(block)])
            reached = step
        state.save()
        return reached

    def _disconnect(self, state: ChainState, height: int, hashes: Sequence[bytes]) -> None:
        """Take the last blocks off the main chain, newest first. `height`: of the first of them."""
        while hashes:
            leaving = self._prepared.leaving(hashes) or sum_up(
                hashes, lambda: nullcontext(self._conn), self._coin.chain_id
            )
            height -= len(leaving.hashes)
            state.disconnect(leaving, height + 1)
            self._touched.update(leaving.effect.balances)
            self._gone += leaving.spends
            self._undone |= leaving.effect.assets.issued
            hashes = hashes[len(leaving.hashes) :]

    def _route(self, here: TreeBlock, there: TreeBlock) -> Route[bytes]:
        return route((here.block_hash, here.height), (there.block_hash, there.height), self._parent_of)

    def _parent_of(self, block_hash: bytes) -> bytes:
        new = self._fresh.get(block_hash)
        return new.header.prev_hash if new else blocks.parent_of(self._conn, block_hash)

    def _block(self, block_hash: bytes) -> TreeBlock:
        block = self._fresh.get(block_hash) or blocks.by_hash(self._conn, block_hash)
        assert block is not None  # noqa: S101 - this transaction has seen it
        return block

    def _load(self, block_hash: bytes) -> Decoded:
        """A block of the tree."""
        return self._prepared.decoded(block_hash) or blocks.load_with_txids(self._conn, block_hash)

    def _update_mempool(self, way: Route[bytes]) -> bool:
        """Settles the mempool for the way from the old tip to the new one; branches tried in between do not count."""
        pool = entries.state(self._conn)
        if pool.is_idle and not way.disconnect:
            return False
        change = TipChange(way.connect, way.disconnect[::-1], self._touched, self._gone)
        return after_tip_change(self._conn, self._mempool_bytes, pool, change)


class Prepared:
    """Computes, before the transaction, what depends on blocks alone: signatures and the sums of blocks that may leave.

    Each block of the tree is read in a transaction of its own, so that no writer waits for a long read.
    """

    def __init__(self, store: Store, news: NewBlocks) -> None:
        self._store = store
        self._news = news
        self._verified: dict[bytes, list[bool]] = {}
        """By block hash: whether each transfer's signature is valid."""
        self._kept: dict[bytes, Decoded] = {}
        self._room = _MOST_KEPT
        self._leaving: list[Leaving] = []

    def look(self) -> None:
        """Does that work for the way that the tip would take if the new blocks joined now."""
        with self._store.read() as conn:
            connect, disconnect = self._foresee(conn)
        self.work(connect, disconnect)

    def work(self, connect: Sequence[bytes], disconnect: Sequence[bytes]) -> None:
        """Verify the signatures of blocks and sum up others (newest first), outside any transaction."""
        self.verify(connect)
        self._leaving = []
        while disconnect and sum(len(each.txids) for each in self._leaving) < _MOST_LEAVING:
            self._leaving.append(sum_up(disconnect, self._store.read, self._store.coin.chain_id))
            disconnect = disconnect[len(self._leaving[-1].hashes) :]

    def leaving(self, hashes: Sequence[bytes]) -> Leaving | None:
        """The first of these blocks, newest first, summed up; None if `look` expected others to be disconnected."""
        return next((each for each in self._leaving if tuple(hashes[: len(each.hashes)]) == tuple(each.hashes)), None)

    def verify(self, block_hashes: Sequence[bytes]) -> None:
        """Verify the signatures in these blocks, outside any transaction."""
        waiting: dict[bytes, list[Spend]] = {}
        count = 0
        for block_hash in block_hashes:
            block = self._find(block_hash)
            if block is None:
                continue
            waiting[block_hash] = ledger.spends_of(block)
            count += len(waiting[block_hash])
            if count >= _VERIFIED_AT_ONCE:
                self._verify_all(waiting)
                waiting, count = {}, 0
        self._verify_all(waiting)

    def _verify_all(self, waiting: dict[bytes, list[Spend]]) -> None:
        spends = [spend for of_block in waiting.values() for spend in of_block]
        results = iter(verify_signatures(self._store.coin.chain_id, spends) if spends else ())
        for block_hash, of_block in waiting.items():
            self._verified[block_hash] = list(islice(results, len(of_block)))

    def decoded(self, block_hash: bytes) -> Decoded | None:
        """A new block, or one that was kept when its signatures were verified."""
        new = self._news.get(block_hash)
        return self._kept.get(block_hash) if new is None else (new.block, new.txids)

    def _find(self, block_hash: bytes) -> Block | None:
        """Loads a block; None where it was condemned or forgotten since it was looked up, and so will not connect."""
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

    def has_verified(self, block: TreeBlock) -> bool:
        """Whether `signatures_of` can tell."""
        return block.status == blocks.CONNECTED or block.block_hash in self._verified

    def signatures_of(self, row: TreeBlock, block: Block) -> list[bool]:
        """Whether each transfer's signature is valid; once connected, they are for ever."""
        if row.status == blocks.CONNECTED:
            return [True] * len(ledger.spends_of(block))
        return self._verified[row.block_hash]

    def _foresee(self, conn: Connection) -> tuple[list[bytes], list[bytes]]:
        """(connect, disconnect): the new blocks and what they stand on beside the main chain, as far as it was never
        connected; and the main chain's blocks above that, newest first. Nothing if the tip has as much work."""
        news = list(self._news.values())
        tip = blocks.tip(conn)
        if max(new.work for new in news) <= tip.work:
            return [], []
        connect = list(self._news)
        parent = blocks.by_hash(conn, news[0].header.prev_hash)
        while parent is not None and not parent.main_chain:
            if parent.status == blocks.STORED:
                connect.append(parent.block_hash)
            parent = blocks.by_hash(conn, parent.header.prev_hash)
        if parent is None or parent.height == tip.height:  # it is on its way into the tree, or nothing leaves
            return connect, []
        return connect, [row.block_hash for row in blocks.newest_first(conn, None, tip.height - parent.height)]


def _before_invalid(conn: Connection, fresh: NewBlocks) -> tuple[NewBlocks, InvalidParent | None]:
    """The new blocks before the first whose parent turned out invalid since it was checked, and that one's verdict."""
    sound: dict[bytes, NewBlock] = {}
    for block_hash, new in fresh.items():
        prev_hash = new.header.prev_hash
        parent = None if prev_hash in sound else blocks.by_hash(conn, prev_hash)
        if parent is None and prev_hash not in sound:
            raise StoreBusy("the side branch that the block stands on was let go to make room: try again")
        if parent is not None and parent.status == blocks.INVALID:
            chainstate.add_invalid(conn, new, InvalidParent.code)
            return sound, invalid_parent(prev_hash)
        sound[block_hash] = new
    return sound, None


def invalid_parent(block_hash: bytes) -> InvalidParent:
    """The verdict on a block whose parent, `block_hash`, is invalid."""
    return InvalidParent("the block stands on an invalid one", found=show(block_hash))


def already_known(row: blocks.BlockRow) -> AlreadyKnown:
    """The outcome of a block that is offered again. Raises its error where it is invalid."""
    if row.invalid_code is None:
        return AlreadyKnown(row.block_hash, row.height)
    raise RULES.get(row.invalid_code, Malformed)(
        f"this block was refused before ({row.invalid_code})", block_hash=show(row.block_hash)
    )
