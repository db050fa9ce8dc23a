"""The one door for a block: `Chain.accept_block`, used alike by API, peers and worker.

A block passes the stages of `docs/protocol.md`, cheap before dear: `Chain._examine` is stages 1 to 4,
`node.chain.advance` is the fifth and the fork choice. What a block changes, it changes in one transaction: everything
or nothing, a reorg too. Signatures are verified before that transaction begins.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from ..core import codec, pow, rules
from ..core.codec import sha256d
from ..core.errors import NOT_THE_HEADERS_FAULT, RuleError, TooDeep
from ..core.types import HEADER_SIZE, Block, Header
from ..store import blocks, chainstate
from ..store.chainstate import NewBlock
from ..store.engine import Store
from ..store.errors import StoreUnavailable
from . import settle
from .advance import PendingBlocks, already_known, invalid_parent
from .next_block import Template, TemplateMaker
from .orphans import HeldBlock, Orphans
from .outcomes import Orphan, Outcome, SideBranch
from .pipeline import Ancestry, TreeBlock, open_block, open_body
from .side_branches import SideBlock, SideBranches

log = logging.getLogger("moneyer.chain")

RUN_BLOCKS = 4_000
RUN_BYTES = 1_000_000
"""What goes in one transaction (and a part of a block more): no long wait for whoever else wants to write, some 0.2 s
of processor; and of many hashes several fall on one page of an index, which is written once."""

_SAME_BLOCK_SECONDS = 20.0
"""A block that is being accepted right now is not worked on a second time before this has passed."""

MAX_UNASKED_DEPTH = 288
"""An unasked block that branches off deeper below the tip isn't stored: its branch comes by headers first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a block comes from."""

    asked: bool = False
    """This node asked a peer for it: no policy against floods applies."""
    job_id: str | None = None
    """The mining job that it was mined for."""
    remote: str = ""
    """The address that sent it unasked, by which orphans are counted; empty for this machine's own."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A block that breaks a rule."""

    error: RuleError
    invalid: NewBlock | None = None
    """What is remembered as invalid, where the header commits to what is wrong."""


class KeyedLock:
    """One lock per key, with a time-out: identical work is done once while other callers wait for it.

    `seconds`: how long a caller waits; past that it goes ahead all the same.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._held: set[bytes] = set()
        self._waiting = 0

    @contextmanager
    def of(self, key: bytes) -> Iterator[None]:
        """Hold the lock of `key`."""
        with self._changed:
            self._waiting += 1
            is_ours = self._changed.wait_for(lambda: key not in self._held, self._seconds)
            self._waiting -= 1
            if is_ours:
                self._held.add(key)
        try:
            yield
        finally:
            if is_ours:
                with self._changed:
                    self._held.remove(key)
                    self._changed.notify_all()

    def snapshot(self) -> tuple[int, int]:
        """How many keys are held now, and how many callers wait."""
        with self._changed:
            return len(self._held), self._waiting


class Chain:
    """Accepts blocks and makes the next ones. May be used by several threads."""

    def __init__(self, store: Store, *, run_blocks: int = RUN_BLOCKS, run_bytes: int = RUN_BYTES) -> None:
        """`run_blocks`, `run_bytes`: see RUN_BLOCKS."""
        self.store = store
        self.coin = store.coin
        self._run_blocks = run_blocks
        self._run_bytes = run_bytes
        self.ancestry = Ancestry(store.coin)
        self.orphans = Orphans()
        self.side_branches = SideBranches()
        self.accepting = KeyedLock(_SAME_BLOCK_SECONDS)
        """By a block's bytes, not its hash: a wrong body must not delay the right one."""
        self.on_extended: Callable[[NewBlock], None] = lambda _: None
        """Told of a single block that is the new tip: it has passed every rule, and its commit is still to come.

        Called within the write transaction, so it waits for nothing.
        """
        self._next = TemplateMaker(store, self.ancestry)
        settle.resume(store)

    def accept_block(
        self, raw: bytes, now: int, *, asked: bool = False, job_id: str | None = None, remote: str = ""
    ) -> Outcome:
        """Check a block and connect, store or hold it; durable when this returns.

        `raw`: the whole block; `now`: local clock, whole Unix seconds; the others: see `Origin`.
        Raises RuleError or StoreUnavailable.
        """
        try:
            with self.accepting.of(raw):
                return self._accept(raw, now, Origin(asked, job_id, remote))
        finally:
            self.connect_orphans(now)

    def accept_blocks(self, raws: Sequence[bytes], now: int) -> list[Outcome]:
        """Many blocks that a peer was asked for, each on the one before; all durable when this returns.

        Returns what each transaction did. Raises RuleError for the first block that breaks a rule, those before it
        being kept, or StoreUnavailable.
        """
        intake = self.intake()
        return [*intake.take(raws, now), *intake.finish(now)]

    def intake(self) -> Intake:
        """`accept_blocks` for blocks that come bit by bit."""
        return Intake(self, Origin(asked=True))

    def template(self, receiver: bytes, now: int, extra: bytes) -> Template:
        """See `TemplateMaker.make`."""
        return self._next.make(receiver, now, extra)

    def went_back(self) -> None:
        """The rows are those of a snapshot: forget what else is held of blocks, and finish what the snapshot began."""
        self.orphans.clear()
        self.side_branches = SideBranches(self.side_branches.most)
        settle.resume(self.store)

    def missing(self, hashes: list[bytes]) -> list[bytes]:
        """Those of `hashes` (at most a few thousand) that are not in the tree, in order."""
        with self.store.read() as conn:
            known = blocks.known(conn, hashes)
        return [block_hash for block_hash in hashes if block_hash not in known]

    def _accept(self, raw: bytes, now: int, origin: Origin) -> Outcome:
        intake = Intake(self, origin)
        return [*intake.take_runs([raw], now), *intake.wait()][-1]

    def examine_run(
        self, raws: Sequence[bytes], start: int, now: int, origin: Origin, previous: NewBlock | None
    ) -> tuple[list[NewBlock], Outcome | Refused | None]:
        """The blocks from `start` on that can be written together, and what came of the one that ends the run."""
        run: list[NewBlock] = []
        size = 0
        with self.store.read() as conn:
            for raw in raws[start : start + self._run_blocks]:
                if size >= self._run_bytes:
                    break
                found = self._examine(conn, raw, now, origin, previous)
                if not isinstance(found, NewBlock):
                    return run, found
                run.append(found)
                previous = found
                size += len(raw)
        return run, None

    def _examine(
        self, conn: Connection, raw: bytes, now: int, origin: Origin, previous: NewBlock | None
    ) -> NewBlock | Outcome | Refused:
        """Stages 1 to 4, in the protocol's order. `previous`: a block on its way into the tree, maybe the parent."""
        try:
            header, block_hash = open_block(raw, self.coin)
            parent: TreeBlock | None = previous
            if parent is None or header.prev_hash != parent.block_hash:
                known = blocks.by_hash(conn, block_hash)
                if known is not None:
                    return already_known(known)
                parent = None
            rules.check_header_in_isolation(header, block_hash, self.coin)
            rules.check_not_genesis(header)
            if parent is None:
                parent = blocks.by_hash(conn, header.prev_hash)
            if parent is None:
                return Orphan(block_hash)
            if parent.status == blocks.INVALID:
                return self._child_of_invalid(conn, header, block_hash, parent, now, origin)
            self._check_header_in_context(conn, header, parent, now, origin)
        except RuleError as error:
            return Refused(error)
        return self._open_body(raw, header, block_hash, parent)

    def _check_header_in_context(
        self, conn: Connection, header: Header, parent: TreeBlock, now: int, origin: Origin
    ) -> None:
        context = self.ancestry.context_after(conn, parent.block_hash)
        rules.check_header_in_context(header, context, self.coin, now)
        if not origin.asked and isinstance(parent, blocks.BlockRow):  # unasked ones come one by one: it is a row
            _check_depth(conn, parent)

    def _open_body(self, raw: bytes, header: Header, block_hash: bytes, parent: TreeBlock) -> NewBlock | Refused:
        """Stage 4. A failure that the header commits to is to be remembered."""
        try:
            block, txids = open_body(raw, header, self.coin)
        except RuleError as error:
            return Refused(error)
        new = NewBlock(block, block_hash, raw[HEADER_SIZE:], parent.height + 1, _work(header, parent), txids)
        try:
            rules.check_body_in_isolation(block, txids, self.coin.rules)
        except RuleError as error:
            return Refused(error, None if error.code in NOT_THE_HEADERS_FAULT else new)
        self.ancestry.remember(block_hash, header, new.height)
        return new

    def _child_of_invalid(
        self, conn: Connection, header: Header, block_hash: bytes, parent: TreeBlock, now: int, origin: Origin
    ) -> Refused:
        """A child of an invalid block is remembered as one, so that its own children are known for what they are.

        Only where its header has shown the work that its place asks: rows of the database must cost their sender.
        """
        verdict = invalid_parent(parent.block_hash)
        try:
            self._check_header_in_context(conn, header, parent, now, origin)
        except RuleError:
            return Refused(verdict)
        without_body = NewBlock(Block(header, ()), block_hash, b"", parent.height + 1, _work(header, parent), ())
        return Refused(verdict, without_body)

    def conclude(self, found: Outcome | Refused, raw: bytes, now: int, origin: Origin) -> Outcome:
        """Do what is left for a block that does not join the tree. Raises its RuleError."""
        if isinstance(found, Refused):
            if found.invalid is not None:
                self._remember_invalid(found.invalid, found.error.code)
            raise found.error
        return self._hold(raw, found.block_hash, now, origin) if isinstance(found, Orphan) else found

    def _remember_invalid(self, new: NewBlock, code: str) -> None:
        def remember(conn: Connection) -> None:
            if blocks.by_hash(conn, new.block_hash) is None:
                chainstate.add_invalid(conn, new, code)

        self.store.write(remember)

    def written(self, pending: PendingBlocks, origin: Origin) -> Outcome:
        outcome = pending.outcome()
        if isinstance(outcome, SideBranch) and not origin.asked:
            self._bound_side_branches(pending.last)
        return outcome

    def _bound_side_branches(self, new: NewBlock) -> None:
        """Let go of the weakest ends of unasked side branches, `new` being one, as far as they are too many bytes."""
        if not self.side_branches.is_seeded:
            with self.store.read() as conn:
                stored = blocks.never_connected(conn)
            self.side_branches.seed(SideBlock(*each) for each in stored)
        size = HEADER_SIZE + len(new.body)
        self.side_branches.add(SideBlock(new.block_hash, new.header.prev_hash, new.work, size))
        surplus = self.side_branches.take_surplus()
        if surplus:
            try:
                self.store.write(lambda conn: chainstate.forget(conn, surplus))
            except StoreUnavailable as error:  # the block is in all the same; the next one counts anew
                log.info("side branches keep more than their room for now: %s", error.message)
                self.side_branches = SideBranches(self.side_branches.most)

    def _hold(self, raw: bytes, block_hash: bytes, now: int, origin: Origin) -> Outcome:
        """Holds an orphan until its parent comes.

        One whose body does not match its header is not held: it would take the place of the right block, which has the
        same hash.
        """
        header = codec.decode_header(raw[:HEADER_SIZE])
        try:
            _, txids = codec.decode_body_and_txids(raw[HEADER_SIZE:], rules=self.coin.rules)
            rules.check_not_mutated(txids)  # the root alone doesn't tell (CVE-2012-2459)
            rules.check_merkle_root(header, txids)
        except RuleError:
            return Orphan(block_hash)
        self.orphans.hold(block_hash, HeldBlock(header.prev_hash, raw, origin.remote))
        with self.store.read() as conn:
            parent = blocks.by_hash(conn, header.prev_hash)
        if parent is not None:  # it came while we looked, and found no child of its waiting
            self.orphans.drop(block_hash)
            return self._accept(raw, now, Origin(remote=origin.remote))
        # Also where it was held already: whoever brings it has its parents, and may be asked for them.
        return Orphan(block_hash)

    def connect_orphans(self, now: int) -> None:
        """Orphans whose parent is in the tree by now join it, then their children; a bad one only ends its own line.

        Whoever brought the parent: this process, in whatever way, or another one.
        """
        try:
            while len(self.orphans):
                with self.store.read() as conn:
                    parents = blocks.known(conn, self.orphans.parents())
                if not parents:
                    return
                for orphan in itertools.chain.from_iterable(map(self.orphans.take_children, parents)):
                    self._accept_orphan(orphan, now)
        except StoreUnavailable:
            return  # they wait; the block that was offered has its own answer

    def _accept_orphan(self, orphan: HeldBlock, now: int) -> None:
        """Raises StoreUnavailable, and the orphan waits on."""
        try:
            self._accept(orphan.raw, now, Origin(remote=orphan.remote))
        except RuleError as error:
            log.info("an orphan breaks a rule: %s", error.code)
        except StoreUnavailable:
            self.orphans.hold(sha256d(orphan.raw[:HEADER_SIZE]), orphan)
            raise
        except Exception:
            log.exception("an orphan met a bug in the node")


class Intake:
    """Blocks, each on the one before, as they come: one run of them is written while the next one is examined.

    For one thread. Nothing is written any more when a method has raised, or `finish` has returned.
    """

    def __init__(self, chain: Chain, origin: Origin) -> None:
        """Use `Chain.intake`."""
        self._chain = chain
        self._origin = origin
        self._writing: PendingBlocks | None = None
        self._unsettled: Sequence[bytes] = ()
        """The blocks of the last `take`: the last of them may not be written yet."""

    def take(self, raws: Sequence[bytes], now: int) -> list[Outcome]:
        """What the transactions did that ended meanwhile: all blocks of the `take` before this one are durable.

        Raises RuleError for the first block that breaks a rule, those before it being kept, or StoreUnavailable.
        """
        before, self._unsettled = self._unsettled, raws
        return self._settled(lambda: self.take_runs(raws, now), [*before, *raws], now)

    def finish(self, now: int) -> list[Outcome]:
        """The same for what is left: all blocks are durable."""
        before, self._unsettled = self._unsettled, ()
        return self._settled(self.wait, before, now)

    def _settled(self, work: Callable[[], list[Outcome]], raws: Sequence[bytes], now: int) -> list[Outcome]:
        try:
            return work()
        except Exception as error:
            with suppress(Exception):  # whatever that meets: the blocks are taken again
                self.wait()
            if isinstance(error, (RuleError, StoreUnavailable)):
                raise
            # Caused by one block. Taken one by one, those before it keep their place in the chain.
            log.exception("blocks taken together met a bug in the node; they are taken one by one")
            return [self._chain.accept_block(raw, now, asked=True) for raw in raws]
        finally:
            self._chain.connect_orphans(now)

    def take_runs(self, raws: Sequence[bytes], now: int) -> list[Outcome]:
        """`take`, for blocks of any origin."""
        chain, outcomes, position = self._chain, list[Outcome](), 0
        while position < len(raws):
            previous = self._writing.last if self._writing else None
            run, other = chain.examine_run(raws, position, now, self._origin, previous)
            pending = PendingBlocks(chain.store, run, self._origin.job_id, chain.on_extended) if run else None
            if self._writing is not None:
                outcomes += self.wait()
            elif pending is None:
                assert other is not None  # noqa: S101 - a run ends early by something else
                outcomes.append(chain.conclude(other, raws[position], now, self._origin))
                position += 1
            # Otherwise the block that ended the run is examined again, now that those before it are in the tree.
            if pending is not None:
                pending.start()
                self._writing = pending
            position += len(run)
        return outcomes

    def wait(self) -> list[Outcome]:
        """What the transaction under way does, if there is one."""
        writing, self._writing = self._writing, None
        return [] if writing is None else [self._chain.written(writing, self._origin)]


def _work(header: Header, parent: TreeBlock) -> int:
    """Cumulative, of a block on `parent`."""
    return parent.work + pow.block_work(pow.decode_bits(header.bits))


def _check_depth(conn: Connection, parent: blocks.BlockRow) -> None:
    """Policy: an unasked block branches off at most MAX_UNASKED_DEPTH blocks below the tip."""
    lowest = blocks.tip(conn).height - MAX_UNASKED_DEPTH
    row: blocks.BlockRow | None = parent
    while row is not None and not row.main_chain and row.height >= lowest:
        row = blocks.by_hash(conn, row.header.prev_hash)
    if row is None or row.height < lowest:
        raise TooDeep(
            f"the block branches off more than {MAX_UNASKED_DEPTH} blocks below the tip: such a branch comes by "
            "headers first",
            expected=f"a fork at height {lowest} or above",
        )
