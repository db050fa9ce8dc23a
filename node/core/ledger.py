"""The body in context: apply a block to the ledger, and undo it. Arithmetic on mappings; nothing is read or written.

The ledger is what the chain makes of accounts (payload -> Account) and, under rules 2, of assets and holdings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .assets import (
    AssetEffect,
    Assets,
    Holding,
    Holdings,
    apply_to_assets,
    asset_of,
    check_asset_rules,
    check_holding,
    holdings_of,
    undo_assets,
)
from .codec import Outline, outline
from .errors import BadCoinbaseAmount, BadCoinbaseHeight, BadSequence, BadSignature, InsufficientFunds, Locked
from .policy import NO_LOCKS, Locks, decode_witness, locks_of
from .types import (
    COIN_ASSET,
    MAX_MONEY,
    NO_ACCOUNT,
    POLICY_KIND,
    Account,
    Block,
    Burn,
    Coinbase,
    Envelope,
    Payment,
    Spend,
    Transfer,
)

Accounts = MutableMapping[bytes, Account]
"""Payload (33 bytes) -> confirmed Account; one that is missing is (0, 0)."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The state after a block, or the part of it that a block touches. The mappings change as blocks are applied."""

    accounts: Accounts
    assets: Assets = field(default_factory=dict)
    holdings: Holdings = field(default_factory=dict)

    def copy(self) -> Ledger:
        """Another one that changes on its own."""
        return Ledger(dict(self.accounts), dict(self.assets), dict(self.holdings))


@dataclass(frozen=True, slots=True)
class BlockContext:
    """What stage 5 asks of the block in which a transaction stands."""

    chain_id: bytes
    height: int
    median_time_past: Callable[[], int]
    """Unix seconds; called only where a spend names a time."""


class BlockInvariantBroken(Exception):
    """Sums do not hold after a block: a bug in the node. Nothing of the block must be written."""


def spend_locks(spend: Spend) -> Locks:
    """The greatest height and time that the named leaves of a spend ask for; it passed the checks in isolation."""
    if isinstance(spend, Transfer) or spend.sender[0] != POLICY_KIND:
        return NO_LOCKS
    _, shape, items = decode_witness(spend.witness)
    return locks_of(shape.leaves, [item.index for item in items])


def check_locks(spend: Spend, context: BlockContext) -> None:
    """Each height and time that the spend names has come: the block's height, and its median_time_past."""
    locks = spend_locks(spend)
    if locks.height > context.height or (locks.time and locks.time > context.median_time_past()):
        raise locked(locks)


def locked(locks: Locks) -> Locked:
    """The error of a spend whose height or time has not come."""
    opens = [f"height {locks.height}"] if locks.height else []
    opens += [f"median_time_past {locks.time}"] if locks.time else []
    return Locked(
        f"the spend is locked: it is valid from {' and '.join(opens)} on", height=locks.height, time=locks.time
    )


def check_sequence(spend: Spend, account: Account) -> None:
    """The sender's next sequence: each transaction applies once, and in the order in which it was made."""
    if spend.sequence != account.sequence:
        raise BadSequence(
            f"the sender's next sequence is {account.sequence}, not {spend.sequence}",
            expected=account.sequence,
            found=spend.sequence,
        )


def check_funds(spend: Spend, account: Account) -> None:
    """The coin's amount and the fee are there at this point of the block: no balance is ever below 0."""
    if account.balance < spend.cost:
        raise InsufficientFunds(
            f"the sender has {account.balance} base units, amount and fee are {spend.cost}",
            expected=f"at least {spend.cost}",
            found=account.balance,
        )


def check_coinbase_height(coinbase: Coinbase, height: int) -> None:
    """The coinbase names its block's height, so that no two have one txid (BIP34)."""
    if coinbase.height != height:
        raise BadCoinbaseHeight("the coinbase names another height", expected=height, found=coinbase.height)


def check_coinbase_amount(coinbase: Coinbase, reward: int) -> None:
    """Exactly subsidy and fees (Bitcoin allows less): the supply at a height is then known from the height alone."""
    if coinbase.amount != reward:
        raise BadCoinbaseAmount(
            "the coinbase does not mint exactly subsidy and fees", expected=reward, found=coinbase.amount
        )


def bad_signature() -> BadSignature:
    """The error of a spend that its sender did not sign for this chain.

    Nobody else can spend, and no other chain can replay a spend. Signatures are verified many at a time, in threads
    (`node.chain.signatures`), so there is no check of one: what finds a false one raises this.
    """
    return BadSignature("the signature is not the sender's, or not for this chain")


def coinbase_of(block: Block) -> Coinbase:
    """The first transaction of a block that passed `rules.check_one_coinbase`."""
    coinbase = block.transactions[0]
    assert isinstance(coinbase, Coinbase)  # noqa: S101 - held by check_one_coinbase
    return coinbase


def spends_of(block: Block) -> list[Spend]:
    """What accounts signed in a block, in order: all but its coinbase."""
    return [transaction for transaction in block.transactions if not isinstance(transaction, Coinbase)]


def fees_of(block: Block) -> int:
    """Base units that a block's spends pay in fees, and no more than MAX_MONEY.

    A block whose fees exceed MAX_MONEY can be stored on a side branch, and never connects: nobody has that much. Its
    senders chose these numbers, so they are bounded before one of them meets a column or a JSON number.
    """
    return min(MAX_MONEY, sum(spend.fee for spend in spends_of(block)))


def apply_spend(ledger: Ledger, spend: Spend, context: BlockContext) -> None:
    """Raises the error of the first rule that the spend breaks, before anything has changed."""
    accounts = ledger.accounts
    account = accounts.get(spend.sender, NO_ACCOUNT)
    check_sequence(spend, account)
    if isinstance(spend, Envelope):
        check_locks(spend, context)
        check_asset_rules(spend, ledger.assets)
    check_funds(spend, account)
    if isinstance(spend, Payment | Burn) and spend.asset != COIN_ASSET:
        check_holding(spend, ledger.holdings.get((spend.sender, spend.asset), 0))
    accounts[spend.sender] = Account(account.balance - spend.cost, account.sequence + 1)
    _credit(accounts, spend.receiver, spend.coin_amount)
    if isinstance(spend, Envelope):
        apply_to_assets(ledger.assets, ledger.holdings, spend, chain_id=context.chain_id, height=context.height)


def _credit(accounts: Accounts, payload: bytes, amount: int) -> None:
    if not amount:  # a coinbase of nothing (all is minted, no fees) makes no account
        return
    account = accounts.get(payload, NO_ACCOUNT)
    accounts[payload] = Account(account.balance + amount, account.sequence)


class Touched(NamedTuple):
    """What of the ledger a block touches."""

    payloads: set[bytes]
    assets: set[bytes]
    holdings: set[Holding]


@dataclass(frozen=True, slots=True)
class Effect:
    """What blocks did to the ledger: a sum, in which the order of blocks is gone, and all that undoing them asks."""

    balances: dict[bytes, int] = field(default_factory=dict)
    """Every account that they touched: base units that it gained; below 0 where it lost some."""
    sequences: dict[bytes, int] = field(default_factory=dict)
    """Accounts that sent transactions: how many."""
    assets: AssetEffect = field(default_factory=AssetEffect)

    def add(self, chain_id: bytes, coinbase: Coinbase, spends: Iterable[Outline]) -> None:
        """Add what a connected block did, these being all its transactions."""
        balances, sequences = self.balances, self.sequences
        balances[coinbase.receiver] = balances.get(coinbase.receiver, 0) + coinbase.amount
        for _, sender, receiver, amount, fee, _, _, envelope in spends:
            balances[sender] = balances.get(sender, 0) - amount - fee
            sequences[sender] = sequences.get(sender, 0) + 1
            balances[receiver] = balances.get(receiver, 0) + amount
            if envelope is not None:
                self.assets.add(chain_id, envelope)

    @property
    def touched(self) -> Touched:
        """What of the ledger they touched."""
        return Touched(set(self.balances), set(self.assets.minted), set(self.assets.holdings))


def undo(ledger: Ledger, effect: Effect) -> None:
    """Take back what the last connected blocks did; an account that becomes (0, 0) is none and leaves the mapping."""
    accounts = ledger.accounts
    for payload, gained in effect.balances.items():
        account = accounts.get(payload, NO_ACCOUNT)
        before = Account(account.balance - gained, account.sequence - effect.sequences.get(payload, 0))
        if before == NO_ACCOUNT:
            accounts.pop(payload, None)
        else:
            accounts[payload] = before
    undo_assets(ledger.assets, ledger.holdings, effect.assets)


def apply_block(
    ledger: Ledger, block: Block, context: BlockContext, *, subsidy: int, signatures: Sequence[bool]
) -> None:
    """Connect a block that passed every check in isolation, or raise the code of the first transaction that fails.

    `signatures[i]` tells whether the i-th spend's signatures are valid. On an error the ledger may be half changed:
    give a copy or throw it away.
    """
    spends = spends_of(block)
    for spend, is_signed in zip(spends, signatures, strict=True):
        if not is_signed:
            raise bad_signature()
        apply_spend(ledger, spend, context)
    coinbase = coinbase_of(block)
    check_coinbase_height(coinbase, context.height)
    check_coinbase_amount(coinbase, subsidy + sum(spend.fee for spend in spends))
    _credit(ledger.accounts, coinbase.receiver, coinbase.amount)


def undo_block(ledger: Ledger, block: Block, chain_id: bytes) -> None:
    """Exact inverse of `apply_block`."""
    effect = Effect()
    effect.add(chain_id, coinbase_of(block), [outline(spend, b"") for spend in spends_of(block)])
    undo(ledger, effect)


def check_block_invariants(before: Ledger, after: Ledger, subsidy: int) -> None:
    """What a block touched, before and after it: balances grew by the subsidy, holdings by minted - burned.

    Raises BlockInvariantBroken. Over all blocks this is Σ balances = issued(height), and for each asset Σ holdings =
    minted - burned.
    """
    gained = _balances(after.accounts) - _balances(before.accounts)
    if gained != subsidy:
        raise BlockInvariantBroken(f"balances grew by {gained} base units, the subsidy is {subsidy}")
    if not after.assets:
        return
    held = dict.fromkeys(after.assets, 0)
    for ledger, sign in ((after, 1), (before, -1)):
        for (_, asset), amount in ledger.holdings.items():
            held[asset] += sign * amount
        for asset, state in ledger.assets.items():
            held[asset] -= sign * (state.minted - state.burned)
    for asset, excess in held.items():
        if excess or after.assets[asset].minted > after.assets[asset].max_supply:
            raise BlockInvariantBroken(f"holdings of asset {asset.hex()} do not sum to minted - burned")


def _balances(accounts: Mapping[bytes, Account]) -> int:
    return sum([account.balance for account in accounts.values()])


def apply_genesis(ledger: Ledger, genesis: Block) -> None:
    """Credit the premine."""
    for transaction in genesis.transactions:
        if isinstance(transaction, Coinbase):
            _credit(ledger.accounts, transaction.receiver, transaction.amount)


def touched_by(block: Block, chain_id: bytes) -> Touched:
    """What of the ledger a block touches."""
    payloads = {transaction.receiver for transaction in block.transactions}
    assets: set[bytes] = set()
    holdings: set[Holding] = set()
    for spend in spends_of(block):
        payloads.add(spend.sender)
        asset = asset_of(chain_id, spend) if isinstance(spend, Envelope) else None
        if asset is not None and isinstance(spend, Envelope):
            assets.add(asset)
            holdings |= holdings_of(asset, spend)
    return Touched(payloads, assets, holdings)
