"""The model with every version of a transaction: assets are issued, moved, minted and burned, and a contract spends."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from moneyer.node.core import ledger
from moneyer.node.core.coin import Coin
from moneyer.node.core.errors import InsufficientAsset, InsufficientFunds, Locked, OverMaxSupply
from moneyer.node.core.ledger import BlockContext, Ledger
from moneyer.node.core.policy import AfterHeight, Policy, Threshold
from moneyer.node.core.policy import Key as KeyLeaf
from moneyer.node.core.types import COIN_ASSET, NO_ACCOUNT, Payment, Spend
from tests.chain.model import Model, Place
from tests.kit.chains import Key, burn, contract, issue, meet, mint, pay, transfer

OPENS = 40
"""Height from which on the contract's second signer spends alone."""


def shared_policy(one: Key, other: Key) -> Policy:
    """Both at any time; the second alone after a height."""
    first, second = (KeyLeaf(each.payload[1:]) for each in (one, other))
    return Threshold(2, (second, Threshold(1, (first, AfterHeight(OPENS)))))


class ModelOfAllVersions(Model):
    """The first two people share a contract."""

    most_fee = 50
    """Base units."""

    def __init__(self, coin: Coin, people: Sequence[Key], random: Random) -> None:
        super().__init__(coin, people, random)
        self.policy = shared_policy(people[0], people[1])
        self.shared = contract(self.policy)

    def transfers(self, parent: Place, count: int) -> Sequence[Spend]:
        """Valid spends, one after the other, for a block on this one."""
        return self.spends(parent.ledger.copy(), self.context(parent), count)

    def spends(self, state: Ledger, context: BlockContext, count: int) -> Sequence[Spend]:
        """The same on any state, which follows."""
        made: list[Spend] = []
        for _ in range(count):
            spend = self._spend(state)
            try:
                ledger.apply_spend(state, spend, context)
            except (InsufficientFunds, InsufficientAsset, OverMaxSupply, Locked):
                continue
            made.append(spend)
        return made

    def _spend(self, state: Ledger) -> Spend:
        """Somebody's wish; there may not be enough for it."""
        who, other = self.random.choice(self.people), self.random.choice(self.people)
        if self.random.random() < 0.15:
            return self._of_contract(state, other)
        account = state.accounts.get(who.payload, NO_ACCOUNT)
        fee, sequence = self.random.randint(0, self.most_fee), account.sequence
        amount = self.random.randint(1, min(max(account.balance - fee, 1), 5_000))
        asset = self._asset_of(state, who.payload)
        units = self.random.randint(1, max(1, state.holdings.get((who.payload, asset), 0)))
        match self.random.randint(0, 7):
            case 0:
                return issue(
                    self.coin,
                    who,
                    self.random.choice((0, 3, 10)),
                    self.random.randint(10, 40),
                    receiver=self.random.choice([other.payload, self.shared]),
                    fee=fee,
                    sequence=sequence,
                )
            case 1 | 2 if asset != COIN_ASSET:
                receiver = self.random.choice([other.payload, self.shared])
                return pay(self.coin, who, receiver, units, asset, fee=fee, sequence=sequence)
            case 3 if asset != COIN_ASSET:
                return burn(self.coin, who, asset, units, fee=fee, sequence=sequence)
            case 4 if state.assets:
                return self._mint(state, other, fee)
            case 5:
                return pay(self.coin, who, self.shared, amount, fee=fee, sequence=sequence)
        return transfer(self.coin, who, other, amount, fee, sequence)

    def _asset_of(self, state: Ledger, payload: bytes) -> bytes:
        """One that an account holds; the coin where it holds none."""
        held = sorted(asset for who, asset in state.holdings if who == payload)
        return self.random.choice(held) if held else COIN_ASSET

    def _mint(self, state: Ledger, receiver: Key, fee: int) -> Spend:
        asset = self.random.choice(sorted(state.assets))
        issuer = next(each for each in self.people if each.payload == state.assets[asset].issuer)
        sequence = state.accounts.get(issuer.payload, NO_ACCOUNT).sequence
        amount = self.random.randint(1, 5)
        return mint(self.coin, issuer, asset, amount, receiver=receiver, fee=fee, sequence=sequence)

    def _of_contract(self, state: Ledger, receiver: Key) -> Spend:
        """A payment of the coin or of an asset: by both signers, or by the second one after the height."""
        account = state.accounts.get(self.shared, NO_ACCOUNT)
        asset = self._asset_of(state, self.shared) if self.random.random() < 0.5 else COIN_ASSET
        most = account.balance if asset == COIN_ASSET else state.holdings[(self.shared, asset)]
        amount = self.random.randint(1, max(1, min(most, 2_000)))
        unsigned = Payment(self.shared, 1, account.sequence, b"", b"", receiver.payload, asset, amount)
        return meet(self.coin, unsigned, self.policy, self.random.choice([(0, 1), (0, 2)]), self.people[:2])
