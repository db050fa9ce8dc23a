"""The body in context: apply a block to accounts, and undo it. Arithmetic on a mapping of payload -> Account."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field

from .codec import Outline
from .errors import BadCoinbaseAmount, BadCoinbaseHeight, BadSequence, BadSignature, InsufficientFunds
from .types import MAX_MONEY, NO_ACCOUNT, Account, Block, Coinbase, Transfer

Accounts = MutableMapping[bytes, Account]
"""Payload (33 bytes) -> confirmed Account; one that is missing is (0, 0)."""


def check_sequence(transfer: Transfer, account: Account) -> None:
    """The sender's next sequence: each transfer applies once, and in the order in which it was made."""
    if transfer.sequence != account.sequence:
        raise BadSequence(
            f"the sender's next sequence is {account.sequence}, not {transfer.sequence}",
            expected=account.sequence,
            found=transfer.sequence,
        )


def check_funds(transfer: Transfer, account: Account) -> None:
    """Amount and fee are there at this point of the block: no balance is ever below 0."""
    if account.balance < transfer.cost:
        raise InsufficientFunds(
            f"the sender has {account.balance} base units, amount and fee are {transfer.cost}",
            expected=f"at least {transfer.cost}",
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
    """The error of a transfer that its sender did not sign for this chain.

    Nobody else can spend, and no other chain can replay a transfer. Signatures are verified many at a time, in threads
    (`node.chain.signatures`), so there is no check of one: what finds a false one raises this.
    """
    return BadSignature("the signature is not the sender's, or not for this chain")


def coinbase_of(block: Block) -> Coinbase:
    """The first transaction of a block that passed `rules.check_one_coinbase`."""
    coinbase = block.transactions[0]
    assert isinstance(coinbase, Coinbase)  # noqa: S101 - held by check_one_coinbase
    return coinbase


def transfers_of(block: Block) -> list[Transfer]:
    """A block's transfers, in order."""
    return [transaction for transaction in block.transactions if isinstance(transaction, Transfer)]


def fees_of(block: Block) -> int:
    """Base units that a block's transfers pay in fees, and no more than MAX_MONEY.

    A block whose fees exceed MAX_MONEY can be stored on a side branch, and never connects: nobody has that much. Its
    senders chose these numbers, so they are bounded before one of them meets a column or a JSON number.
    """
    return min(MAX_MONEY, sum(transfer.fee for transfer in transfers_of(block)))


def apply_transfer(accounts: Accounts, transfer: Transfer) -> None:
    """Raises BadSequence or InsufficientFunds before anything has changed."""
    account = accounts.get(transfer.sender, NO_ACCOUNT)
    check_sequence(transfer, account)
    check_funds(transfer, account)
    accounts[transfer.sender] = Account(account.balance - transfer.cost, account.sequence + 1)
    receiver = accounts.get(transfer.receiver, NO_ACCOUNT)
    accounts[transfer.receiver] = Account(receiver.balance + transfer.amount, receiver.sequence)


def _credit(accounts: Accounts, payload: bytes, amount: int) -> None:
    if not amount:  # a coinbase of nothing (all is minted, no fees) makes no account
        return
    account = accounts.get(payload, NO_ACCOUNT)
    accounts[payload] = Account(account.balance + amount, account.sequence)


@dataclass(frozen=True, slots=True)
class Effect:
    """What blocks did to accounts: a sum, in which the order of blocks is gone, and all that undoing them asks."""

    balances: dict[bytes, int] = field(default_factory=dict)
    """Every account that they touched: base units that it gained; below 0 where it lost some."""
    sequences: dict[bytes, int] = field(default_factory=dict)
    """Accounts that sent transfers: how many."""

    def add(self, coinbase: Coinbase, transfers: Iterable[Transfer | Outline]) -> None:
        """Add what a connected block did, these being all its transactions."""
        balances, sequences = self.balances, self.sequences
        balances[coinbase.receiver] = balances.get(coinbase.receiver, 0) + coinbase.amount
        for transfer in transfers:
            sender, receiver, amount = transfer.sender, transfer.receiver, transfer.amount
            balances[sender] = balances.get(sender, 0) - amount - transfer.fee
            sequences[sender] = sequences.get(sender, 0) + 1
            balances[receiver] = balances.get(receiver, 0) + amount


def undo(accounts: Accounts, effect: Effect) -> None:
    """Take back what the last connected blocks did; an account that becomes (0, 0) is none and leaves the mapping."""
    for payload, gained in effect.balances.items():
        account = accounts.get(payload, NO_ACCOUNT)
        before = Account(account.balance - gained, account.sequence - effect.sequences.get(payload, 0))
        if before == NO_ACCOUNT:
            accounts.pop(payload, None)
        else:
            accounts[payload] = before


def apply_block(accounts: Accounts, block: Block, *, height: int, subsidy: int, signatures: Sequence[bool]) -> None:
    """Connect a block that passed every check in isolation, or raise the code of the first transaction that fails.

    `signatures[i]` tells whether the i-th transfer's signature is valid. On an error `accounts` may be half
    changed: give a copy or throw it away.
    """
    transfers = transfers_of(block)
    for transfer, is_signed in zip(transfers, signatures, strict=True):
        if not is_signed:
            raise bad_signature()
        apply_transfer(accounts, transfer)
    coinbase = coinbase_of(block)
    check_coinbase_height(coinbase, height)
    check_coinbase_amount(coinbase, subsidy + sum(transfer.fee for transfer in transfers))
    _credit(accounts, coinbase.receiver, coinbase.amount)


def undo_block(accounts: Accounts, block: Block) -> None:
    """Exact inverse of `apply_block`."""
    effect = Effect()
    effect.add(coinbase_of(block), transfers_of(block))
    undo(accounts, effect)


def apply_genesis(accounts: Accounts, genesis: Block) -> None:
    """Credit the premine."""
    for transaction in genesis.transactions:
        if transaction.amount:
            _credit(accounts, transaction.receiver, transaction.amount)


def payloads_of(block: Block) -> set[bytes]:
    """Every account that the block touches."""
    touched = {transaction.receiver for transaction in block.transactions}
    touched.update(transfer.sender for transfer in transfers_of(block))
    return touched
