"""The rules of `docs/protocol.md` in its order: one `check_*` each, and one function a stage that calls them in order.

Stages: 1 size, 2 header in isolation, 3 header in context, 4 body in isolation. Stage 5, the body in context, is
`ledger.apply_block`. At the end stands which chain counts, and the way from tip to tip. Each check raises its own error
with what was expected and found; none returns a verdict. `node.chain.pipeline` decodes what these functions look at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from . import pow
from .codec import merkle_root, show
from .coin import Coin
from .errors import (
    BadAmount,
    BadAsset,
    BadBits,
    BadMemo,
    BadMerkleRoot,
    BadReceiver,
    BadSender,
    BadSequence,
    BadVersion,
    BadWitness,
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
from .policy import check_exactly_enough, check_preimages, decode_witness, payload_of_policy
from .types import (
    COIN_ASSET,
    HEADER_SIZE,
    KEY_KIND,
    MAX_MEMO,
    MAX_MONEY,
    POLICY_KIND,
    SIGNATURE_SIZE,
    Block,
    Burn,
    Coinbase,
    Header,
    Issue,
    Mint,
    Spend,
    Transaction,
    Transfer,
)

ROLLABLE_VERSION_BITS = 0x1FFFE000
"""Bits 13-28, free for miners (BIP320)."""

MEDIAN_SPAN = 11
"""Timestamps in the median time past; as in Bitcoin."""


@dataclass(frozen=True, slots=True)
class HeaderContext:
    """A header's context, computed from its ancestors."""

    height: int
    bits: int
    """The compact target that the retarget requires."""
    median_time_past: int
    """Median of the last up to 11 timestamps: the header's own must be later."""


def context_of(coin: Coin, height: int, recent: Sequence[pow.TimedBits]) -> HeaderContext:
    """The context of a header at `height`. `recent`: its ancestors, oldest first, at least `span(coin)` or all."""
    median = pow.median_time_past([row.timestamp for row in recent[-MEDIAN_SPAN:]])
    return HeaderContext(height, coin.next_bits(recent, height), median)


def span(coin: Coin) -> int:
    """How many ancestors a header's context takes at most."""
    return max(coin.difficulty_window + 1, MEDIAN_SPAN)


# 1. size


def check_size(size: int, coin: Coin) -> None:
    """A block is bounded before anything of it is decoded, and holds a header at least (stage 1).

    `size`: bytes of the whole serialized block.
    """
    if size > coin.max_block_bytes:
        raise BlockTooLarge(
            f"the block has {size} bytes, {coin.max_block_bytes} are allowed", expected=coin.max_block_bytes, found=size
        )
    if size < HEADER_SIZE + 1:
        raise Malformed("the block is cut short", expected=f"at least {HEADER_SIZE + 1} bytes", found=size)


# 2. header in isolation


def check_version(header: Header) -> None:
    """Version 1. Bits 13-28 are the miner's to roll, as more room beside the nonce (BIP320)."""
    if header.version & ~ROLLABLE_VERSION_BITS != 1:
        raise BadVersion("the block's version is not 1", expected=1, found=header.version)


def check_bits_allowed(header: Header, coin: Coin) -> None:
    """No target is easier than the coin's own limit, whatever the retarget says."""
    if pow.decode_bits(header.bits) > coin.target_limit:
        raise BadBits(
            "the work is easier than this coin allows", expected=f"{coin.pow_limit:08x}", found=f"{header.bits:08x}"
        )


def check_proof_of_work(header: Header, block_hash: bytes) -> None:
    """The hash, read as a little-endian number, is at most the target: this is what a block costs."""
    if pow.hash_number(block_hash) > pow.decode_bits(header.bits):
        raise HighHash(
            "the block's hash shows too little work",
            expected=f"at most {pow.decode_bits(header.bits):064x}",
            found=show(block_hash),
        )


def check_header_in_isolation(header: Header, block_hash: bytes, coin: Coin) -> None:
    """Stage 2: what a header shows by itself. First, as it is cheap, and a false one costs its sender nothing."""
    check_version(header)
    check_bits_allowed(header, coin)
    check_proof_of_work(header, block_hash)


# 3. header in context


def check_not_genesis(header: Header) -> None:
    """A header without a parent is a genesis block, and this coin has its own already."""
    if header.prev_hash == bytes(32):
        raise WrongGenesis("this is another coin's genesis block", found=show(header.prev_hash))


def check_bits_in_context(header: Header, context: HeaderContext) -> None:
    """The bits are exactly those of the retarget: a miner does not choose its own difficulty."""
    if header.bits != context.bits:
        raise BadBits(
            "the block's bits are not what the retarget asks",
            expected=f"{context.bits:08x}",
            found=f"{header.bits:08x}",
        )


def check_time_not_old(header: Header, context: HeaderContext) -> None:
    """Later than the median of the last 11 timestamps (median time past, BIP113): time cannot be turned back."""
    if header.timestamp <= context.median_time_past:
        raise TimeTooOld(
            "the block is not younger than the median of its ancestors",
            expected=f"over {context.median_time_past}",
            found=header.timestamp,
        )


def check_time_not_new(header: Header, coin: Coin, now: int) -> None:
    """Not from the future, else a miner's clock could lower the difficulty. `now`: the local clock, Unix seconds."""
    if header.timestamp > now + coin.clock_tolerance:
        raise TimeTooNew(
            "the block is from the future by this node's clock; it may be accepted later",
            expected=f"at most {now + coin.clock_tolerance}",
            found=header.timestamp,
        )


def check_header_in_context(header: Header, context: HeaderContext, coin: Coin, now: int) -> None:
    """Stage 3, once the parent is known and valid. `now`: the local clock, whole Unix seconds."""
    check_bits_in_context(header, context)
    check_time_not_old(header, context)
    check_time_not_new(header, coin, now)


# 4. body in isolation


def check_not_mutated(txids: Sequence[bytes]) -> None:
    """No transaction stands twice: repeating the last ones leaves the Merkle root as it is (CVE-2012-2459)."""
    if len(set(txids)) != len(txids):
        raise Mutated("a transaction stands twice in the block")


def check_merkle_root(header: Header, txids: Sequence[bytes]) -> None:
    """The body is the one that the header's work was spent on."""
    root = merkle_root(txids)
    if root != header.merkle_root:
        raise BadMerkleRoot(
            "the body is not the one that the header commits to", expected=show(header.merkle_root), found=show(root)
        )


def check_one_coinbase(transactions: Sequence[Transaction]) -> None:
    """The first transaction is a coinbase and no other is: each block mints once."""
    if not transactions or not isinstance(transactions[0], Coinbase):
        raise NoCoinbase("the first transaction is not a coinbase")
    if any(isinstance(transaction, Coinbase) for transaction in transactions[1:]):
        raise ExtraCoinbase("the block has more than one coinbase")


MAX_DECIMALS = 8
"""Of an asset, as of a coin."""
MAX_SYMBOL = 12
"""Characters of an asset's symbol, each of `A-Z0-9`."""
MAX_NAME = 64
"""Bytes of UTF-8 in an asset's name."""
_KINDS = {1: (KEY_KIND,), 2: (KEY_KIND, POLICY_KIND)}
"""Kinds of address in use, by the coin's rules: money sent to a reserved kind could be claimed by later ones."""
_SYMBOL = re.compile(rb"[A-Z0-9]{1,12}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def check_version_known(transaction: Transaction, coin_rules: int) -> None:
    """Under rules 1 there are coinbases and transfers only. Bytes of others do not decode; fields are checked here."""
    if coin_rules == 1 and not isinstance(transaction, Transfer | Coinbase):
        raise Malformed("unknown transaction version: this coin has rules 1", expected="0 to 1")


def check_receiver(transaction: Transaction, coin_rules: int) -> None:
    """The receiver is of a kind in use."""
    kinds = _KINDS[coin_rules]
    if transaction.receiver[0] not in kinds and not isinstance(transaction, Burn):
        raise BadReceiver("the receiver is of a reserved kind", expected=max(kinds), found=transaction.receiver[0])


def check_sender(spend: Spend, coin_rules: int) -> None:
    """Only a key can sign a transfer; a policy spends by versions 2 to 5."""
    kinds = (KEY_KIND,) if isinstance(spend, Transfer) else _KINDS[coin_rules]
    if spend.sender[0] not in kinds:
        raise BadSender("the sender is of a kind that cannot send this", expected=max(kinds), found=spend.sender[0])


def check_amount(transaction: Transaction) -> None:
    """1 <= amount and amount + fee <= MAX_MONEY where the coin moves; assets and fees each by themselves.

    A coinbase: amount <= MAX_MONEY. An issue: 1 <= max_supply <= MAX_MONEY and amount <= max_supply.
    """
    if isinstance(transaction, Coinbase):
        if transaction.amount > MAX_MONEY:
            raise BadAmount("the coinbase is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=transaction.amount)
        return
    if isinstance(transaction, Issue):
        _check_issue_amounts(transaction)
    elif transaction.amount < 1:
        raise BadAmount("at least 1 unit is moved", expected="at least 1", found=transaction.amount)
    # As text: a u64, and still more the sum of two, is more than a JSON encoder takes for a number.
    if transaction.cost > MAX_MONEY:
        what = "amount + fee" if transaction.coin_amount else "the fee"
        raise BadAmount(f"{what} is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=str(transaction.cost))
    if transaction.amount > MAX_MONEY:
        raise BadAmount("the amount is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=str(transaction.amount))


def _check_issue_amounts(issue: Issue) -> None:
    if not 1 <= issue.max_supply <= MAX_MONEY:
        raise BadAmount(
            "an asset's max_supply is at least 1 and at most MAX_MONEY",
            expected=f"1 to {MAX_MONEY}",
            found=str(issue.max_supply),
        )
    if issue.amount > issue.max_supply:
        raise BadAmount(
            "an issue gives no more than max_supply", expected=f"at most {issue.max_supply}", found=str(issue.amount)
        )


def check_asset(spend: Spend) -> None:
    """A mint or a burn is not of the coin; an issue's decimals, symbol and name can be shown."""
    if isinstance(spend, Mint | Burn) and spend.asset == COIN_ASSET:
        raise BadAsset("the coin itself can't be minted or burned", found=spend.asset.hex())
    if not isinstance(spend, Issue):
        return
    if spend.decimals > MAX_DECIMALS:
        raise BadAsset("the asset has too many decimals", expected=f"at most {MAX_DECIMALS}", found=spend.decimals)
    if not _SYMBOL.fullmatch(spend.symbol):
        raise BadAsset("an asset's symbol is 1 to 12 of A-Z and 0-9", expected="1 to 12 of A-Z0-9")
    if not 1 <= len(spend.name) <= MAX_NAME:
        raise BadAsset(
            "an asset's name has 1 to 64 bytes of UTF-8", expected=f"1 to {MAX_NAME} bytes", found=len(spend.name)
        )
    try:
        name = spend.name.decode()
    except UnicodeDecodeError:
        raise BadAsset("the asset's name is not UTF-8") from None
    if _CONTROL.search(name):
        raise BadAsset("the asset's name has a control character", found=ascii(name)[1:-1])


def check_memo(spend: Spend) -> None:
    """At most MAX_MEMO bytes of UTF-8, so that every reader can show it."""
    if len(spend.memo) > MAX_MEMO:
        raise BadMemo("the memo is too long", expected=f"at most {MAX_MEMO} bytes", found=len(spend.memo))
    try:
        spend.memo.decode()
    except UnicodeDecodeError:
        raise BadMemo("the memo is not UTF-8") from None


def check_sequence_range(spend: Spend) -> None:
    """A sequence stays an exact JSON number."""
    if spend.sequence > MAX_MONEY:
        raise BadSequence("the sequence is over MAX_MONEY", expected=f"at most {MAX_MONEY}", found=spend.sequence)


def check_witness(spend: Spend) -> None:
    """All of a witness but its signatures and times: its form, its policy, and that the leaves are exactly enough."""
    if isinstance(spend, Transfer):
        return
    if spend.sender[0] == KEY_KIND:
        if len(spend.witness) != SIGNATURE_SIZE:
            raise BadWitness(
                "the witness of a key is its signature", expected=f"{SIGNATURE_SIZE} bytes", found=len(spend.witness)
            )
        return
    raw_policy, shape, items = decode_witness(spend.witness)
    if payload_of_policy(raw_policy) != spend.sender:
        raise BadWitness("the policy is not the one of the sender's address", expected=spend.sender[1:].hex())
    check_preimages(shape, items)
    check_exactly_enough(shape, [item.index for item in items])


def check_transaction_in_isolation(transaction: Transaction, coin_rules: int) -> None:
    """What a transaction shows by itself; the mempool asks the same of a spend. `coin_rules`: the coin's, 1 or 2."""
    check_version_known(transaction, coin_rules)
    check_receiver(transaction, coin_rules)
    if isinstance(transaction, Coinbase):
        check_amount(transaction)
        return
    check_sender(transaction, coin_rules)
    check_amount(transaction)
    check_asset(transaction)
    check_memo(transaction)
    check_sequence_range(transaction)
    check_witness(transaction)


def check_body_in_isolation(block: Block, txids: Sequence[bytes], coin_rules: int) -> None:
    """Stage 4. `txids`: of `block.transactions`, in order. `coin_rules`: the coin's, 1 or 2."""
    check_not_mutated(txids)
    check_merkle_root(block.header, txids)
    check_one_coinbase(block.transactions)
    for transaction in block.transactions:
        check_transaction_in_isolation(transaction, coin_rules)


# which chain counts

Id = TypeVar("Id")
"""What names a block: its hash; in a simulation its number."""


def wins(work: int, joined: int, tip_work: int, tip_joined: int) -> bool:
    """Whether a block is to replace the tip: more cumulative work, or as much and there first.

    `joined` grows in the order in which blocks joined this node's tree, body and ancestors known: nobody gains by
    being late. The node asks its database for the best block in one query (`node.store.blocks.best`), which a test
    holds equal to this.
    """
    return work > tip_work or (work == tip_work and joined < tip_joined)


@dataclass(frozen=True, slots=True)
class Route(Generic[Id]):
    """From one tip to another: disconnect newest first, then connect oldest first."""

    fork_point: Id
    disconnect: tuple[Id, ...]
    connect: tuple[Id, ...]


def route(current: tuple[Id, int], target: tuple[Id, int], parent: Callable[[Id], Id]) -> Route[Id]:
    """The way between two (block, height) of one tree. `parent` gives a block's parent."""
    disconnect: list[Id] = []
    connect: list[Id] = []
    here, here_height = current
    there, there_height = target
    while here != there:
        if here_height >= there_height:
            disconnect.append(here)
            here, here_height = parent(here), here_height - 1
        else:
            connect.append(there)
            there, there_height = parent(there), there_height - 1
    return Route(here, tuple(disconnect), tuple(reversed(connect)))
