"""From the tip to the best chain, within one transaction: disconnect, connect, condemn, and the mempool after it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy import Connection

from ..core import fork, ledger
from ..core.errors import RULES, InvalidParent, Malformed, RuleError
from ..core.hashing import show
from ..store import blocks, mining, tree
from ..store.connecting import Ledger, sum_up
from ..store.engine import Store
from ..store.errors import StoreBusy
from .ahead import Ahead, Candidate, Candidates, Decoded, SignaturesWanted, Step
from .outcomes import AlreadyKnown, Extended, Outcome, Reorganized, SideBranch
from .settle import TipChange, after_tip_change, resume


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the block; or the error of the first block that failed, its mark to be committed."""

    outcome: Outcome | None
    error: RuleError | None = None
    is_returning: bool = False
    """Transfers of disconnected blocks are still to come back to the mempool: `settle.bring_back`."""


class Advance:
    """One transaction's way to the best chain, once `candidates` have joined the tree."""

    def __init__(self, conn: Connection, store: Store, ahead: Ahead, candidates: Candidates) -> None:
        self._conn = conn
        self._coin = store.coin
        self._mempool_bytes = store.config.mempool_bytes
        self._ahead = ahead
        self._candidates = candidates
        self._error: RuleError | None = None
        self._touched: set[bytes] = set()
        """Accounts that lost money or sent some; and of blocks that were tried in between, which does no harm."""
        self._gone = 0

    def to_best(self) -> Result:
        """Connect the best chain there is. Raises SignaturesWanted, and then nothing must be committed."""
        tip = blocks.tip(self._conn)
        old_tip = here = Step(tip.block_hash, tip.height, True)
        while True:
            best = blocks.best(self._conn)
            if best.block_hash == here.block_hash:
                break
            here = self._walk(here, best)
            if here.block_hash == best.block_hash:
                break
        way = self._route(old_tip, here)
        is_returning = bool(way.connect) and self._update_mempool(way)
        if self._error is not None:
            return Result(None, self._error, is_returning)
        if not way.connect:
            new = self._candidates[next(reversed(self._candidates))].new
            return Result(SideBranch(new.block_hash, new.height))
        if not way.disconnect:
            return Result(Extended(here.block_hash, here.height), is_returning=is_returning)
        fork_height = old_tip.height - len(way.disconnect)
        outcome = Reorganized(here.block_hash, here.height, fork_height, len(way.disconnect))
        return Result(outcome, is_returning=is_returning)

    def _walk(self, here: Step, best: blocks.BlockRow) -> Step:
        """Go from `here` towards `best` and return how far it went. A block that fails is condemned."""
        way = self._route(here, best)
        steps = [self._step(block_hash) for block_hash in way.connect]
        unchecked = [step.block_hash for step in steps if not self._ahead.has(step)]
        if unchecked:
            raise SignaturesWanted(unchecked, way.disconnect)
        chain = Ledger(self._conn, self._coin)
        self._disconnect(chain, here.height, way.disconnect)
        reached = Step(way.fork_point, here.height - len(way.disconnect), True)
        for step in steps:
            block, txids = self._load(step.block_hash)
            signatures = self._ahead.of(step, block)
            try:
                chain.connect(block, step.block_hash, step.height, signatures, txids)
            except RuleError as error:
                tree.condemn(self._conn, step.block_hash, error.code)
                self._error = self._error or error
                break
            self._touched.update(transfer.sender for transfer in ledger.transfers_of(block))
            reached = step
        chain.save()
        return reached

    def _disconnect(self, chain: Ledger, height: int, hashes: Sequence[bytes]) -> None:
        """Take the last blocks off the main chain, newest first. `height`: of the first of them."""
        while hashes:
            leaving = self._ahead.leaving(hashes) or sum_up(hashes, lambda: nullcontext(self._conn))
            height -= len(leaving.hashes)
            chain.disconnect(leaving, height + 1)
            self._touched.update(leaving.effect.balances)
            self._gone += leaving.transfers
            hashes = hashes[len(leaving.hashes) :]

    def _route(self, here: Step, there: blocks.BlockRow | Step) -> fork.Route:
        return fork.route((here.block_hash, here.height), (there.block_hash, there.height), self._parent_of)

    def _parent_of(self, block_hash: bytes) -> bytes:
        candidate = self._candidates.get(block_hash)
        return candidate.new.block.header.prev_hash if candidate else blocks.parent_of(self._conn, block_hash)

    def _step(self, block_hash: bytes) -> Step:
        candidate = self._candidates.get(block_hash)
        if candidate is not None:
            return Step(block_hash, candidate.new.height, False)
        row = _row(self._conn, block_hash)
        return Step(block_hash, row.height, row.status == blocks.CONNECTED)

    def _load(self, block_hash: bytes) -> Decoded:
        """A block of the tree."""
        return self._ahead.decoded(block_hash) or blocks.load_with_txids(self._conn, block_hash)

    def _update_mempool(self, way: fork.Route) -> bool:
        """Only the way from the old tip to the new one counts, not what was tried in between."""
        change = TipChange(way.connect, way.disconnect[::-1], self._touched, self._gone)
        return after_tip_change(self._conn, self._mempool_bytes, change)


class Joining:
    """New blocks, each on the one before, on their way into the tree. What can be done ahead is done at once."""

    def __init__(self, store: Store, candidates: list[Candidate], job_id: str | None = None) -> None:
        self._store = store
        self._candidates = {candidate.new.block_hash: candidate for candidate in candidates}
        self._job_id = job_id
        self._ahead = Ahead(store, self._candidates)
        self._ahead.look()
        self._written: Future[Result] | None = None

    @property
    def block_hashes(self) -> list[bytes]:
        return list(self._candidates)

    @property
    def last(self) -> tree.NewBlock:
        return self._candidates[self.block_hashes[-1]].new

    def start(self) -> None:
        """Have the writer's thread do the rest: one transaction."""
        self._written = self._store.submit(self._join, alone=True)

    def outcome(self) -> Outcome:
        """Once it is durable. Raises RuleError of the first block that broke a rule, or StoreUnavailable."""
        while True:
            written = self._written or self._store.submit(self._join, alone=True)
            try:
                result = written.result()
            except SignaturesWanted as wanted:
                # Another process moved the tip meanwhile: a branch wins that did not look like it.
                self._ahead.work(wanted.connect, wanted.disconnect)
                self._written = None
                continue
            if result.is_returning:
                resume(self._store)
            if result.error is not None:
                raise result.error
            assert result.outcome is not None  # noqa: S101 - a result has one of the two
            return result.outcome

    def _join(self, conn: Connection) -> Result:
        known = blocks.known(conn, self.block_hashes)
        fresh = {block_hash: each for block_hash, each in self._candidates.items() if block_hash not in known}
        if not fresh:
            return Result(already_known(_row(conn, self.block_hashes[-1])))
        sound, refusal = _sound(conn, fresh)
        result = self._join_sound(conn, sound) if sound else Result(None)
        return result if refusal is None else Result(None, result.error or refusal)

    def _join_sound(self, conn: Connection, fresh: Candidates) -> Result:
        news = [candidate.new for candidate in fresh.values()]
        tree.add(conn, news)
        result = Advance(conn, self._store, self._ahead, fresh).to_best()
        if self._job_id is not None and isinstance(result.outcome, Extended | Reorganized):
            mining.record_block(conn, self._job_id, news[-1].block_hash, news[-1].block.header.timestamp)
        return result


def _sound(conn: Connection, fresh: Candidates) -> tuple[Candidates, InvalidParent | None]:
    """The new blocks before the first whose parent turned out invalid since it was checked, and that one's verdict."""
    sound: Candidates = {}
    for block_hash, candidate in fresh.items():
        prev_hash = candidate.new.block.header.prev_hash
        parent = None if prev_hash in sound else blocks.by_hash(conn, prev_hash)
        if parent is None and prev_hash not in sound:
            raise StoreBusy("the side branch that the block stands on was let go to make room: try again")
        if parent is not None and parent.status == blocks.INVALID:
            tree.add_invalid(conn, candidate.new, InvalidParent.code)
            return sound, invalid_parent(prev_hash)
        sound[block_hash] = candidate
    return sound, None


def invalid_parent(block_hash: bytes) -> InvalidParent:
    """The verdict on a block whose parent, `block_hash`, is invalid."""
    return InvalidParent("the block stands on an invalid one", found=show(block_hash))


def already_known(row: blocks.BlockRow) -> AlreadyKnown:
    """A block offered again. Raises its own error, if it has one."""
    if row.invalid_code is None:
        return AlreadyKnown(row.block_hash, row.height)
    raise RULES.get(row.invalid_code, Malformed)(
        f"this block was refused before ({row.invalid_code})", block_hash=show(row.block_hash)
    )


def _row(conn: Connection, block_hash: bytes) -> blocks.BlockRow:
    row = blocks.by_hash(conn, block_hash)
    assert row is not None  # noqa: S101 - this transaction has seen it
    return row
