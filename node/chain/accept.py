"""The one door for a block: `Chain.accept_block`, used alike by API, peers and worker.

A block passes the stages of `docs/protocol.md`, cheap before dear. What it changes, it changes in one transaction:
everything or nothing, a reorg too. Signatures are checked before that transaction begins.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ..core import codec, pow, rules
from ..core.errors import NOT_THE_HEADERS_FAULT, InvalidParent, RuleError, TooDeep
from ..core.hashing import sha256d
from ..core.template import Parent, assemble, room_for_transfers
from ..core.types import HEADER_SIZE, Block, Header, Transfer
from ..store import blocks, tree
from ..store.engine import Store
from ..store.errors import StoreUnavailable
from ..store.unconfirmed import entries as mempool_rows
from ..store.unconfirmed import order
from ..system.threads import Turns
from . import advance, settle
from .ahead import Candidate
from .ancestry import Ancestry, ancestor
from .orphans import HeldBlock, Orphans
from .outcomes import Orphan, Outcome, SideBranch
from .side_branches import SideBlock, SideBranches

log = logging.getLogger("moneyer.chain")

_RUN_BLOCKS = 200
_RUN_BYTES = 1_000_000
"""What goes in one transaction (and a part of a block more): enough that a transaction itself costs nothing, and no
long wait for whoever else wants to write."""

_TURN_SECONDS = 20.0
"""A block that is being taken right now is not worked on again before this."""

MAX_UNASKED_DEPTH = 288
"""An unasked block that branches off deeper below the tip isn't stored: its branch comes by headers first."""


_Parent = blocks.BlockRow | tree.NewBlock
"""A block that another stands on: of the tree, or on its way there."""


@dataclass(frozen=True, slots=True)
class Template:
    """An unsolved block (nonce 0), the parent that it stands on, and the txids of its transfers."""

    block: Block
    parent: Parent
    txids: tuple[bytes, ...]


class Chain:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.coin = store.coin
        self.ancestry = Ancestry(store.coin)
        self.orphans = Orphans()
        self.side_branches = SideBranches()
        settle.resume(store)
        self._turns = Turns(_TURN_SECONDS)
        self._decoded: dict[bytes, Transfer] = {}
        """The transfers of the last template by txid: the next one has most of them too."""

    def accept_block(
        self, raw: bytes, now: int, *, asked: bool = False, job_id: str | None = None, remote: str = ""
    ) -> Outcome:
        """Check a block and connect, store or hold it; durable when this returns.

        `raw`: the whole block; `now`: local clock, whole Unix seconds; `asked`: this node asked a peer for it;
        `job_id`: the mining job that it was mined for; `remote`: the address of whoever sent it unasked, by which
        orphans are counted. Raises RuleError or StoreUnavailable.
        """
        try:
            # By its bytes, not its hash: a wrong body must not delay the right one.
            with self._turns.of(raw):
                return self._accept(raw, now, asked, job_id, remote)
        finally:
            self._connect_orphans(now)

    def accept_blocks(self, raws: Sequence[bytes], now: int) -> list[Outcome]:
        """Many blocks that a peer was asked for, each on the one before; all durable when this returns.

        Does what `accept_block(raw, now, asked=True)` for each does, but several are written in one transaction, while
        the next ones are checked. Returns what each transaction did. Raises RuleError for the first block that breaks
        a rule, those before it being kept, or StoreUnavailable.
        """
        try:
            return self._accept_runs(raws, now)
        except (RuleError, StoreUnavailable):
            raise
        except Exception:
            # Caused by one block. Taken one by one, those before it keep their place in the chain.
            log.exception("blocks taken together met a bug in the node; they are taken one by one")
            return [self.accept_block(raw, now, asked=True) for raw in raws]
        finally:
            self._connect_orphans(now)

    def _accept_runs(self, raws: Sequence[bytes], now: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        writing: advance.Joining | None = None
        position = 0
        while position < len(raws):
            run = self._plain_run(raws[position : position + _RUN_BLOCKS], now, writing.last if writing else None)
            joining = advance.Joining(self.store, run) if run else None
            if writing is not None:
                outcomes.append(writing.outcome())
            if joining is None:
                # What isn't plain takes the way that is open to every block, and learns there what is wrong with it.
                outcomes.append(self.accept_block(raws[position], now, asked=True))
            else:
                joining.start()
            writing = joining
            position += len(run) or 1
        if writing is not None:
            outcomes.append(writing.outcome())
        return outcomes

    def _plain_run(self, raws: Sequence[bytes], now: int, parent: _Parent | None) -> list[Candidate]:
        """The first blocks, as far as each is new, stands on the one before and breaks no rule known by then."""
        run: list[Candidate] = []
        size = 0
        with self.store.read() as conn:
            for raw in raws:
                if size >= _RUN_BYTES:
                    break
                try:
                    candidate = self._plain(conn, raw, now, parent)
                except RuleError:
                    break
                if candidate is None:
                    break
                run.append(candidate)
                parent = candidate.new
                size += len(raw)
        return run

    def _plain(self, conn: Connection, raw: bytes, now: int, parent: _Parent | None) -> Candidate | None:
        rules.check_size(len(raw), self.coin)
        header = codec.decode_header(raw[:HEADER_SIZE])
        block_hash = sha256d(raw[:HEADER_SIZE])
        rules.check_header_in_isolation(header, block_hash, self.coin)
        if parent is None or header.prev_hash != parent.block_hash:
            parent = blocks.by_hash(conn, header.prev_hash)
            if parent is None or parent.status == blocks.INVALID or blocks.known(conn, [block_hash]):
                return None
        context = self.ancestry.context_after(conn, parent.block_hash)
        rules.check_header_in_context(header, context, self.coin, now)
        candidate = _candidate(raw, header, block_hash, parent)
        rules.check_body_in_isolation(candidate.new.block, candidate.txids)
        self.ancestry.remember(block_hash, ancestor(header, candidate.new.height))
        return candidate

    def _accept(self, raw: bytes, now: int, asked: bool, job_id: str | None, remote: str) -> Outcome:
        rules.check_size(len(raw), self.coin)
        header = codec.decode_header(raw[:HEADER_SIZE])
        block_hash = sha256d(raw[:HEADER_SIZE])
        with self.store.read() as conn:
            known = blocks.by_hash(conn, block_hash)
            if known is not None:
                return advance.already_known(known)
            rules.check_header_in_isolation(header, block_hash, self.coin)
            rules.check_not_genesis(header)
            parent = blocks.by_hash(conn, header.prev_hash)
            is_doomed = parent is not None and parent.status == blocks.INVALID
            if parent is not None and not is_doomed:
                self._check_header_in_context(conn, parent, header, now, asked)
        if parent is not None and is_doomed:
            self._remember_descendant(parent, header, block_hash, now, asked)
            raise advance.invalid_parent(parent.block_hash)
        if parent is None:
            return self._hold(HeldBlock(header.prev_hash, raw, remote), header, block_hash, now)
        candidate = self._check_body(raw, header, block_hash, parent)
        outcome = advance.Joining(self.store, [candidate], job_id).outcome()
        if isinstance(outcome, SideBranch) and not asked:
            self._bound_side_branches(candidate.new)
        return outcome

    def _bound_side_branches(self, new: tree.NewBlock) -> None:
        """Let go of the weakest ends of unasked side branches, `new` being one, as far as they are too many bytes."""
        if not self.side_branches.is_seeded:
            with self.store.read() as conn:
                stored = blocks.never_connected(conn)
            self.side_branches.seed(SideBlock(*each) for each in stored)
        size = HEADER_SIZE + len(new.body)
        self.side_branches.add(SideBlock(new.block_hash, new.block.header.prev_hash, new.work, size))
        surplus = self.side_branches.take_surplus()
        if surplus:
            try:
                self.store.write(lambda conn: tree.forget(conn, surplus))
            except StoreUnavailable as error:  # the block is in all the same; the next one counts anew
                log.info("side branches keep more than their room for now: %s", error.message)
                self.side_branches = SideBranches(self.side_branches.most)

    def _hold(self, block: HeldBlock, header: Header, block_hash: bytes, now: int) -> Outcome:
        """An orphan waits for its parent, unless its body is another's: the true one must find its place free."""
        try:
            _, txids = codec.decode_body_and_txids(block.raw[HEADER_SIZE:])
            rules.check_not_mutated(txids)  # the root alone doesn't tell (CVE-2012-2459)
            rules.check_merkle_root(header, txids)
        except RuleError:
            return Orphan(block_hash)
        self.orphans.hold(block_hash, block)
        with self.store.read() as conn:
            parent = blocks.by_hash(conn, header.prev_hash)
        if parent is not None:  # it came while we looked, and found nobody waiting
            self.orphans.drop(block_hash)
            return self._accept(block.raw, now, False, None, block.remote)
        # Also where it was held already: whoever brings it has its parents, and may be asked for them.
        return Orphan(block_hash)

    def _check_header_in_context(
        self, conn: Connection, parent: blocks.BlockRow, header: Header, now: int, asked: bool
    ) -> None:
        context = self.ancestry.context_after(conn, parent.block_hash)
        rules.check_header_in_context(header, context, self.coin, now)
        if not asked:
            _check_depth(conn, parent)

    def _remember_descendant(
        self, parent: blocks.BlockRow, header: Header, block_hash: bytes, now: int, asked: bool
    ) -> None:
        """A child of an invalid block is remembered as one, so that its own children are known for what they are.

        Only where its header has shown the work that its place asks: rows of the database must cost their sender.
        """
        try:
            with self.store.read() as conn:
                self._check_header_in_context(conn, parent, header, now, asked)
        except RuleError:
            return
        work = parent.work + pow.block_work(pow.decode_bits(header.bits))
        new = tree.NewBlock(Block(header, ()), block_hash, b"", parent.height + 1, work)
        self.store.write(lambda conn: _remember_invalid(conn, new, InvalidParent.code))

    def _check_body(self, raw: bytes, header: Header, block_hash: bytes, parent: _Parent) -> Candidate:
        """Stage 4: the body in isolation. A failure that the header commits to is remembered."""
        candidate = _candidate(raw, header, block_hash, parent)
        try:
            rules.check_body_in_isolation(candidate.new.block, candidate.txids)
        except RuleError as error:
            if error.code not in NOT_THE_HEADERS_FAULT:
                code = error.code
                self.store.write(lambda conn: _remember_invalid(conn, candidate.new, code))
            raise
        self.ancestry.remember(block_hash, ancestor(header, candidate.new.height))
        return candidate

    def _connect_orphans(self, now: int) -> None:
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
            self._accept(orphan.raw, now, False, None, orphan.remote)
        except RuleError as error:
            log.info("an orphan breaks a rule: %s", error.code)
        except StoreUnavailable:
            self.orphans.hold(sha256d(orphan.raw[:HEADER_SIZE]), orphan)
            raise
        except Exception:
            log.exception("an orphan met a bug in the node")

    def template(self, receiver: bytes, now: int, extra: bytes) -> Template:
        """An unsolved block on the tip with the best-paying ready transfers.

        `receiver`: payload that the reward goes to; `now`: whole Unix seconds; `extra`: at most 100 bytes.
        Raises NoTimestamp or StoreUnavailable.
        """
        with self.store.read() as conn:
            tip = blocks.tip(conn)
            context = self.ancestry.context_after(conn, tip.block_hash)
            txids = [each.txid for each in order.best(conn, room_for_transfers(self.coin))]
            known = self._decoded
            fresh = order.raws(conn, [txid for txid in txids if txid not in known])
        damaged = [txid for txid, raw in fresh.items() if not mempool_rows.is_whole(txid, raw)]
        if damaged:
            settle.drop_damaged(self.store, damaged)
            return self.template(receiver, now, extra)
        decoded = {txid: known.get(txid) or codec.decode_transfer(fresh[txid]) for txid in txids}
        self._decoded = decoded
        parent = Parent(tip.block_hash, tip.height, context.median_time_past, context.bits)
        transfers = list(decoded.values())
        block = assemble(self.coin, parent, transfers, receiver=receiver, now=now, extra=extra, txids=txids)
        return Template(block, parent, tuple(txids))

    def missing(self, hashes: list[bytes]) -> list[bytes]:
        """Those of `hashes` (at most a few thousand) that are not in the tree, in order."""
        with self.store.read() as conn:
            known = blocks.known(conn, hashes)
        return [block_hash for block_hash in hashes if block_hash not in known]


def _candidate(raw: bytes, header: Header, block_hash: bytes, parent: _Parent) -> Candidate:
    """A block and its txids. Raises Malformed."""
    body = raw[HEADER_SIZE:]
    transactions, txids = codec.decode_body_and_txids(body)
    work = parent.work + pow.block_work(pow.decode_bits(header.bits))
    new = tree.NewBlock(Block(header, transactions), block_hash, body, parent.height + 1, work)
    return Candidate(new, txids)


def _check_depth(conn: Connection, parent: blocks.BlockRow) -> None:
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


def _remember_invalid(conn: Connection, new: tree.NewBlock, code: str) -> None:
    if blocks.by_hash(conn, new.block_hash) is None:
        tree.add_invalid(conn, new, code)
