"""What a node must say, kept the simple way: the state after every block of the tree, and fork choice over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from moneyer.node.core import codec, ledger
from moneyer.node.core.coin import Coin
from moneyer.node.core.ledger import Accounts, BlockContext, Ledger
from moneyer.node.core.types import NO_ACCOUNT, Block, Spend
from tests.kit.chains import Key, are_signed, block_on, transfer


@dataclass(frozen=True)
class Place:
    """A block of the tree. `joined`: order of arrival; every block of the easy coin has the same work."""

    block: Block
    height: int
    joined: int
    ledger: Ledger
    """After the block."""

    @property
    def accounts(self) -> Accounts:
        return self.ledger.accounts

    @property
    def block_hash(self) -> bytes:
        return codec.block_hash(self.block.header)


class Model:
    """`people` send each other money; `random` decides everything."""

    def __init__(self, coin: Coin, people: Sequence[Key], random: Random) -> None:
        self.coin = coin
        self.people = people
        self.random = random
        state = Ledger({})
        ledger.apply_genesis(state, coin.genesis)
        self.tip = Place(coin.genesis, 0, 0, state)
        self.recent = [self.tip]
        """Where the next block may stand."""
        self.made = 0

    def context(self, parent: Place) -> BlockContext:
        """Of a block on this one; no spend of this model names a time."""
        return BlockContext(self.coin.chain_id, parent.height + 1, lambda: 0)

    def transfers(self, parent: Place, count: int) -> Sequence[Spend]:
        """Valid ones, one after the other, for a block on this one."""
        state, context = parent.ledger.copy(), self.context(parent)
        made: list[Spend] = []
        for _ in range(count):
            sender, receiver = self.random.choice(self.people), self.random.choice(self.people)
            account = state.accounts.get(sender.payload, NO_ACCOUNT)
            if account.balance:
                amount = self.random.randint(1, min(account.balance, 5000))
                fee = self.random.randint(0, min(account.balance - amount, 50))
                made.append(transfer(self.coin, sender, receiver, amount, fee, account.sequence))
                ledger.apply_spend(state, made[-1], context)
        return made

    def block(self, parent: Place, transfers: Sequence[Spend]) -> Block:
        """A valid block on any place of the tree."""
        self.made += 1
        miner, extra = self.random.choice(self.people), self.made.to_bytes(8, "little")
        return block_on(self.coin, parent.block.header, parent.height + 1, transfers, miner, extra=extra)

    def bad_block(self, parent: Place) -> tuple[Block, str]:
        """One that breaks a rule which only connecting it shows, and the rule's code."""
        rich = max(self.people, key=lambda person: parent.accounts.get(person.payload, NO_ACCOUNT))
        account = parent.accounts.get(rich.payload, NO_ACCOUNT)
        good = transfer(self.coin, rich, self.people[0], 1, 0, account.sequence)
        kind = self.random.choice(("bad_sequence", "insufficient_funds", "bad_signature", "bad_coinbase_amount"))
        if kind == "bad_coinbase_amount":
            miner, extra = self.people[0], self.random.randbytes(8)
            header, height = parent.block.header, parent.height + 1
            return block_on(self.coin, header, height, (), miner, extra=extra, amount=1), kind
        bad = {
            "bad_sequence": transfer(self.coin, rich, rich, 1, 0, account.sequence + 2),
            "insufficient_funds": transfer(self.coin, rich, rich, account.balance + 1, 0, account.sequence + 1),
            "bad_signature": replace(good, sequence=account.sequence + 1),
        }[kind]
        return self.block(parent, [good, bad]), kind

    def accepted(self, parent: Place, block: Block) -> str:
        """The block joins the tree: what the node must answer."""
        state, signatures = parent.ledger.copy(), are_signed(self.coin, block)
        assert all(signatures)
        subsidy = self.coin.subsidy(parent.height + 1)
        ledger.apply_block(state, block, self.context(parent), subsidy=subsidy, signatures=signatures)
        place = Place(block, parent.height + 1, self.made, state)
        self.recent = [*self.recent[-5:], place]
        if place.height <= self.tip.height:
            return "side_branch"
        extends = parent.block_hash == self.tip.block_hash
        self.tip = place
        return "extended" if extends else "reorganized"
