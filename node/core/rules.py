"""The rules in the order of the protocol: one `check_*` each, cheap before dear.

Stages: size, header in isolation, header in context, body in isolation. The body in context is `ledger.py`.
Each check raises its own error with what was expected and found; none returns a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from . import pow
from .coin import Coin
from .errors import (
    BadAmount,
    BadBits,
    BadMemo,
    BadMerkleRoot,
    BadReceiver,
    BadSender,
    BadSequence,
    BadVersion,
    BlockTooLarge,
    ExtraCoinbase,
    HighHash,
    Malformed,
    Mutated,
    NoCoinbase,
    TimeTooNew,
    TimeTooOld,
    WrongGenesis,
)
from .hashing import merkle_root, show
from .types import HEADER_SIZE, KEY_KIND, MAX_MEMO, MAX_MONEY, Block, Coinbase, Header, Transaction, Transfer

RULES_VERSION: Final = 1
"""The version of the rules of consensus that stand here; a coin keeps its own for ever (docs/changing-rules.md)."""

ROLLABLE_VERSION_BITS = 0x1FFFE000
"""Bits 13-28, free for miners (BIP320)."""

MEDIAN_SPAN = 11


@dataclass(frozen=True, slots=True)
class HeaderContext:
    """What a header's ancestors ask of it."""

    height: int
    bits: int
    median_time_past: int


# 1. size


def check_size(size: int, coin: Coin) -> None:
    """`size`: bytes of the whole serialized block."""
    if size > coin.max_block_bytes:
        raise BlockTooLarge(
            f"the block has {size} bytes, {coin.max_block_bytes} are allowed", expected=coin.max_block_bytes, found=size
        )
    if size < HEADER_SIZE + 1:
        raise Malformed("the block is cut short", expected=f"at least {HEADER_SIZE + 1} bytes", found=size)


# 2. header in isolation


def check_version(header: Header) -> None:
    if header.version & ~ROLLABLE_VERSION_BITS != 1:
        raise BadVersion("the block's version is not 1", expected=1, found=header.version)


def check_bits_allowed(header: Header, coin: Coin) -> None:
    if pow.decode_bits(header.bits) > coin.target_limit:
        raise BadBits(
            "the work is easier than this coin allows", expected=f"{coin.pow_limit:08x}", found=f"{header.bits:08x}"
        )


def check_proof_of_work(header: Header, block_hash: bytes) -> None:
    if pow.hash_number(block_hash) > pow.decode_bits(header.bits):
        raise HighHash(
            "the block's hash shows too little work",
            expected=f"at most {pow.decode_bits(header.bits):064x}",
            found=show(block_hash),
        )


def check_header_in_isolation(header: Header, block_hash: bytes, coin: Coin) -> None:
    check_version(header)
    check_bits_allowed(header, coin)
    check_proof_of_work(header, block_hash)


# 3. header in context


def check_not_genesis(header: Header) -> None:
    if header.prev_hash == bytes(32):
        raise WrongGenesis("this is another coin's genesis block", found=show(header.prev_hash))


def check_bits_in_context(header: Header, context: HeaderContext) -> None:
    if header.bits != context.bits:
        raise BadBits(
            "the block's bits are not what the retarget asks",
            expected=f"{context.bits:08x}",
            found=f"{header.bits:08x}",
        )


def check_time_not_old(header: Header, context: HeaderContext) -> None:
    if header.timestamp <= context.median_time_past:
        raise TimeTooOld(
            "the block is not younger than the median of its ancestors",
            expected=f"over {context.median_time_past}",
            found=header.timestamp,
        )


def check_time_not_new(header: Header, coin: Coin, now: int) -> None:
    """`now`: the local clock, whole Unix seconds."""
    if header.timestamp > now + coin.clock_tolerance:
        raise TimeTooNew(
            "the block is from the future by this node's clock; it may be accepted later",
            expected=f"at most {now + coin.clock_tolerance}",
            found=header.timestamp,
        )


def check_header_in_context(header: Header, context: HeaderContext, coin: Coin, now: int) -> None:
    check_bits_in_context(header, context)
    check_time_not_old(header, context)
    check_time_not_new(header, coin, now)


# 4. body in isolation


def check_not_mutated(txids: Sequence[bytes]) -> None:
    if len(set(txids)) != len(txids):
        raise Mutated("a transaction stands twice in the block")


def check_merkle_root(header: Header, txids: Sequence[bytes]) -> None:
    root = merkle_root(txids)
    if root != header.merkle_root:
        raise BadMerkleRoot(
            "the body is not the one that the header commits to", expected=show(header.merkle_root), found=show(root)
        )


def check_one_coinbase(transactions: Sequence[Transaction]) -> None:
    if not transactions or not isinstance(transactions[0], Coinbase):
        raise NoCoinbase("the first transaction is not a coinbase")
    if any(isinstance(transaction, Coinbase) for transaction in transactions[1:]):
        raise ExtraCoinbase("the block has more than one coinbase")


def check_receiver(transaction: Transaction) -> None:
    if transaction.receiver[0] != KEY_KIND:
        raise BadReceiver("the receiver is of a reserved kind", expected=KEY_KIND, found=transaction.receiver[0])


def check_sender(transfer: Transfer) -> None:
    if transfer.sender[0] != KEY_KIND:
        raise BadSender("the sender is of a reserved kind", expected=KEY_KIND, found=transfer.sender[0])


def check_amount(transaction: Transaction) -> None:
    """A transfer: 1 <= amount and amount + fee <= MAX_MONEY. A coinbase: amount <= MAX_MONEY."""
    if isinstance(transaction, Coinbase):
        if transaction.amount > MAX_MONEY:
            raise BadAmount("the coinbase is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=transaction.amount)
        return
    if transaction.amount < 1:
        raise BadAmount("a transfer moves at least 1 base unit", expected="at least 1", found=transaction.amount)
    if transaction.cost > MAX_MONEY:
        # As text: the sum of two u64 is more than a JSON encoder takes for a number.
        raise BadAmount("amount + fee is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=str(transaction.cost))


def check_memo(transfer: Transfer) -> None:
    if len(transfer.memo) > MAX_MEMO:
        raise BadMemo("the memo is too long", expected=f"at most {MAX_MEMO} bytes", found=len(transfer.memo))
    try:
        transfer.memo.decode()
    except UnicodeDecodeError:
        raise BadMemo("the memo is not UTF-8") from None


def check_sequence_range(transfer: Transfer) -> None:
    if transfer.sequence > MAX_MONEY:
        raise BadSequence("the sequence is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=transfer.sequence)


def check_transaction_in_isolation(transaction: Transaction) -> None:
    check_receiver(transaction)
    if isinstance(transaction, Coinbase):
        check_amount(transaction)
        return
    check_sender(transaction)
    check_amount(transaction)
    check_memo(transaction)
    check_sequence_range(transaction)


def check_body_in_isolation(block: Block, txids: Sequence[bytes]) -> None:
    """`txids`: of `block.transactions`, in order."""
    check_not_mutated(txids)
    check_merkle_root(block.header, txids)
    check_one_coinbase(block.transactions)
    for transaction in block.transactions:
        check_transaction_in_isolation(transaction)
