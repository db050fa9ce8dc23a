"""A node without store, clock or network: the rules of `node.core` in the protocol's order, the tree in dictionaries.

It is slow and simple on purpose: what it says of a block is what the pure functions say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from moneyer.node.core import codec, pow, rules
from moneyer.node.core.coin import Coin
from moneyer.node.core.errors import NOT_THE_HEADERS_FAULT, InvalidParent, RuleError
from moneyer.node.core.ledger import (
    BlockContext,
    Ledger,
    apply_block,
    apply_genesis,
    check_block_invariants,
    undo_block,
)
from moneyer.node.core.rules import route
from moneyer.node.core.types import HEADER_SIZE, NO_ACCOUNT, Account, Block
from tests.kit.chains import are_signed


@dataclass(frozen=True, slots=True)
class Tip:
    """A block that a chain could end with. `joined`: order in which it joined the tree, body and ancestors known."""

    block_hash: bytes
    height: int
    work: int
    joined: int


def wins(candidate: Tip, tip: Tip) -> bool:
    """Whether `candidate` is to replace `tip`. The node's own choice is SQL."""
    return rules.wins(candidate.work, candidate.joined, tip.work, tip.joined)


@dataclass(frozen=True)
class Entry:
    """A block of the tree, with what its place there says."""

    block: Block
    tip: Tip


@dataclass
class PureNode:
    coin: Coin
    tree: dict[bytes, Entry] = field(default_factory=dict)
    invalid: dict[bytes, RuleError] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=lambda: Ledger({}))
    tip: bytes = b""

    def __post_init__(self) -> None:
        genesis = self.coin.genesis
        self.tip = self.coin.chain_id
        self.tree[self.tip] = Entry(genesis, Tip(self.tip, 0, 0, 0))
        apply_genesis(self.ledger, genesis)

    def copy(self) -> PureNode:
        """One that goes its own way."""
        other = PureNode(self.coin)
        other.tree, other.invalid, other.ledger = dict(self.tree), dict(self.invalid), self.ledger.copy()
        other.tip = self.tip
        return other

    def accept(self, raw: bytes, now: int) -> str:
        """The interface's word for what became of the block. Raises RuleError."""
        rules.check_size(len(raw), self.coin)
        header = codec.decode_header(raw[:HEADER_SIZE])
        block_hash = codec.block_hash(header)
        if block_hash in self.invalid:
            raise self.invalid[block_hash]
        if block_hash in self.tree:
            return "already_known"
        rules.check_header_in_isolation(header, block_hash, self.coin)
        rules.check_not_genesis(header)
        if header.prev_hash in self.invalid:
            raise InvalidParent("the parent is invalid")
        if header.prev_hash not in self.tree:
            return "orphan"
        parent = self.tree[header.prev_hash].tip
        rules.check_header_in_context(header, self.context(header.prev_hash), self.coin, now)
        try:
            transactions, txids = codec.decode_body_and_txids(raw[HEADER_SIZE:], rules=self.coin.rules)
            block = Block(header, transactions)
            rules.check_body_in_isolation(block, txids, self.coin.rules)
        except RuleError as error:
            if error.code not in NOT_THE_HEADERS_FAULT:
                self.invalid[block_hash] = error
            raise
        work = parent.work + pow.block_work(pow.decode_bits(header.bits))
        entry = Entry(block, Tip(block_hash, parent.height + 1, work, len(self.tree)))
        self.tree[block_hash] = entry
        if not wins(entry.tip, self.tree[self.tip].tip):
            return "side_branch"
        return self._move(entry.tip)

    def _move(self, target: Tip) -> str:
        current = self.tree[self.tip].tip
        way = route(
            (current.block_hash, current.height),
            (target.block_hash, target.height),
            lambda block_hash: self.tree[block_hash].block.header.prev_hash,
        )
        state = self.ledger.copy()
        for block_hash in way.disconnect:
            undo_block(state, self.tree[block_hash].block, self.coin.chain_id)
        for number, block_hash in enumerate(way.connect):
            try:
                self._connect(state, self.tree[block_hash])
            except RuleError as error:
                self.invalid[block_hash] = error
                for below in way.connect[number + 1 :]:
                    self.invalid[below] = InvalidParent("the parent is invalid")
                for bad in way.connect[number:]:
                    del self.tree[bad]
                raise
        self.ledger, self.tip = state, target.block_hash
        return "reorganized" if way.disconnect else "extended"

    def _connect(self, state: Ledger, entry: Entry) -> None:
        """Apply the block, and hold both invariants of what it touched, as the node does."""
        context = self.block_context(entry.block.header.prev_hash)
        subsidy = self.coin.subsidy(context.height)
        before = state.copy()
        apply_block(
            state,
            entry.block,
            context,
            subsidy=subsidy,
            signatures=are_signed(self.coin, entry.block),
        )
        check_block_invariants(before, state, subsidy)

    def block_context(self, parent: bytes) -> BlockContext:
        """What stage 5 asks of a block on `parent`."""
        context = self.context(parent)
        return BlockContext(self.coin.chain_id, context.height, lambda: context.median_time_past)

    def account(self, payload: bytes) -> Account:
        return self.ledger.accounts.get(payload, NO_ACCOUNT)

    def context(self, parent: bytes) -> rules.HeaderContext:
        """What the ancestors ask of a header on `parent`."""
        height = self.tree[parent].tip.height + 1
        span = max(rules.MEDIAN_SPAN, self.coin.difficulty_window + 1)
        window = [header for header, _ in zip(self._ancestors(parent), range(span), strict=False)][::-1]
        return rules.HeaderContext(
            height=height,
            bits=self.coin.next_bits(window, height),
            median_time_past=pow.median_time_past([row.timestamp for row in window[-rules.MEDIAN_SPAN :]]),
        )

    def _ancestors(self, block_hash: bytes) -> Iterator[pow.TimedBits]:
        while block_hash in self.tree:
            header = self.tree[block_hash].block.header
            yield pow.TimedBits(header.timestamp, header.bits)
            block_hash = header.prev_hash
