"""The one door for a block: `Chain.accept_block`, used alike by API, peers and worker.

A block passes the stages of `docs/protocol.md`, cheap before dear. What it changes, it changes in one transaction:
everything or nothing, a reorg too. Signatures are checked before that transaction begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from node import advance
from node.ancestry import Ancestry
from node.core import codec, pow, rules
from node.core.errors import NOT_THE_HEADERS_FAULT, RULES, InvalidParent, Malformed, RuleError, TooDeep
from node.core.hashing import sha256d, show
from node.core.template import Parent, build_template
from node.core.types import HEADER_SIZE, Block, Header
from node.mempool import Mempool
from node.orphans import Orphans
from node.outcomes import AlreadyKnown, Extended, Orphan, Outcome, Reorganized, SideBranch
from node.store import accounts, blocks, jobs
from node.store import mempool as mempool_rows
from node.store.engine import Store

MAX_UNASKED_DEPTH = 288
"""An unasked block that branches off deeper below the tip isn't stored: its branch comes by headers first."""


@dataclass(frozen=True, slots=True)
class Template:
    """An unsolved block (nonce 0), and the parent that it stands on."""

    block: Block
    parent: Parent


class Chain:
    def __init__(self, store: Store, mempool: Mempool | None = None) -> None:
        self.store = store
        self.coin = store.coin
        self.ancestry = Ancestry(store.coin)
        self.orphans = Orphans()
        self._mempool = mempool or Mempool(store)

    def accept_block(self, raw: bytes, now: int, *, asked: bool = False, job_id: str | None = None) -> Outcome:
        """Check a block and connect, store or hold it; durable when this returns.

        `raw`: the whole block; `now`: local clock, whole Unix seconds; `asked`: this node asked a peer for it;
        `job_id`: the mining job that it was mined for. Raises RuleError or StoreUnavailable.
        """
        outcome = self._accept(raw, now, asked, job_id)
        if isinstance(outcome, Extended | Reorganized | SideBranch):
            self._connect_orphans(outcome.block_hash, now)
        return outcome

    def _accept(self, raw: bytes, now: int, asked: bool, job_id: str | None) -> Outcome:
        rules.check_size(len(raw), self.coin)
        header = codec.decode_header(raw[:HEADER_SIZE])
        block_hash = sha256d(raw[:HEADER_SIZE])
        with self.store.read() as conn:
            known = blocks.by_hash(conn, block_hash)
            if known is not None:
                return _known(known)
            rules.check_header_in_isolation(header, block_hash, self.coin)
            rules.check_not_genesis(header)
            parent = blocks.by_hash(conn, header.prev_hash)
            if parent is None:
                held = self.orphans.hold(block_hash, header.prev_hash, raw)
                return Orphan(block_hash) if held else AlreadyKnown(block_hash, -1)
            self._check_parent(conn, parent, header, now, asked)
        new = self._check_body(raw, header, block_hash, parent)
        return self._join(new, job_id)

    def _check_parent(self, conn: Connection, parent: blocks.BlockRow, header: Header, now: int, asked: bool) -> None:
        """Stage 3: the header in context."""
        check_parent_valid(parent)
        context = self.ancestry.context_after(conn, parent.block_hash)
        rules.check_header_in_context(header, context, self.coin, now)
        if not asked:
            _check_depth(conn, parent)

    def _check_body(self, raw: bytes, header: Header, block_hash: bytes, parent: blocks.BlockRow) -> advance.Candidate:
        """Stage 4: the body in isolation. A failure that the header commits to is remembered."""
        body = raw[HEADER_SIZE:]
        block = Block(header, codec.decode_body(body))
        work = parent.work + pow.block_work(pow.decode_bits(header.bits))
        new = blocks.NewBlock(block, block_hash, body, parent.height + 1, work)
        txids = [codec.txid(transaction) for transaction in block.transactions]
        try:
            rules.check_body_in_isolation(block, txids)
        except RuleError as error:
            if error.code not in NOT_THE_HEADERS_FAULT:
                code = error.code
                self.store.write(lambda conn: _remember_invalid(conn, new, code))
            raise
        return advance.Candidate(new, txids)

    def _join(self, candidate: advance.Candidate, job_id: str | None) -> Outcome:
        """The block joins the tree, and the best chain is connected: one transaction."""
        new = candidate.new
        signatures = advance.Signatures(self.store, candidate)
        while True:
            signatures.check_ahead()

            def job(conn: Connection) -> advance.Result:
                known = blocks.by_hash(conn, new.block_hash)
                if known is not None:
                    return advance.Result(_known(known))
                parent = blocks.by_hash(conn, new.block.header.prev_hash)
                assert parent is not None  # noqa: S101 - a block never leaves the tree
                check_parent_valid(parent)
                blocks.add(conn, new)
                result = advance.Advance(conn, self._mempool, signatures, candidate).to_best()
                if job_id is not None and result.error is None:
                    jobs.record_block(conn, job_id, new.block_hash, new.block.header.timestamp)
                return result

            try:
                result = self.store.write(job)
            except advance.SignaturesWanted as wanted:
                # Another process moved the tip meanwhile: a branch wins that did not look like it.
                signatures.want(wanted.block_hashes)
                continue
            if result.error is not None:
                raise result.error
            assert result.outcome is not None  # noqa: S101 - a result has one of the two
            return result.outcome

    def _connect_orphans(self, parent_hash: bytes, now: int) -> None:
        """Children that waited for a block, theirs, and so on; a bad one only ends its own line."""
        parents = [parent_hash]
        while parents:
            for raw in self.orphans.take_children(parents.pop()):
                try:
                    outcome = self._accept(raw, now, False, None)
                except RuleError:
                    continue
                if isinstance(outcome, Extended | Reorganized | SideBranch):
                    parents.append(outcome.block_hash)

    def template(self, receiver: bytes, now: int, extra: bytes) -> Template:
        """An unsolved block on the tip with the best-paying ready transfers.

        `receiver`: payload that the reward goes to; `now`: whole Unix seconds; `extra`: at most 100 bytes.
        """
        # Twice as many as fit: some may not apply, when a sender's cheaper one before them was left out.
        limit = 2 * self.coin.max_block_bytes // codec.TRANSFER_BASE
        with self.store.read() as conn:
            tip = blocks.tip(conn)
            context = self.ancestry.context_after(conn, tip.block_hash)
            ready = mempool_rows.ready(conn, limit)
            senders = {transfer.sender for transfer in ready}
            state = {sender: accounts.account(conn, sender) for sender in senders}
        parent = Parent(tip.block_hash, tip.height, context.median_time_past, context.bits)
        block = build_template(self.coin, parent, ready, state, receiver=receiver, now=now, extra=extra)
        return Template(block, parent)

    def missing(self, hashes: list[bytes]) -> list[bytes]:
        """Those of `hashes` (at most a few thousand) that are not in the tree, in order."""
        with self.store.read() as conn:
            known = blocks.known(conn, hashes)
        return [block_hash for block_hash in hashes if block_hash not in known]


def check_parent_valid(parent: blocks.BlockRow) -> None:
    if parent.status == blocks.INVALID:
        raise InvalidParent("the block stands on an invalid one", found=show(parent.block_hash))


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


def _known(row: blocks.BlockRow) -> AlreadyKnown:
    """A block offered again. Raises its own error, if it has one."""
    if row.invalid_code is None:
        return AlreadyKnown(row.block_hash, row.height)
    raise RULES.get(row.invalid_code, Malformed)(
        f"this block was refused before ({row.invalid_code})", block_hash=show(row.block_hash)
    )


def _remember_invalid(conn: Connection, new: blocks.NewBlock, code: str) -> None:
    if blocks.by_hash(conn, new.block_hash) is None:
        blocks.add_invalid(conn, new, code)
