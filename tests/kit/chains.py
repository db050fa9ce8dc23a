"""Chains in memory: coins that are quick to mine, named keys, signed transfers, solved blocks, whole branches.

All of it is deterministic: the same calls make the same bytes, and nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

from moneyer.node.core import codec, ledger, pow, signing
from moneyer.node.core.address import encode_address
from moneyer.node.core.codec import merkle_root
from moneyer.node.core.coin import Coin
from moneyer.node.core.ledger import Accounts, BlockContext, Ledger
from moneyer.node.core.policy import (
    Hash,
    Item,
    Policy,
    chosen_of,
    decode_policy,
    encode_policy,
    encode_witness,
    payload_of_policy,
)
from moneyer.node.core.policy import Key as KeyLeaf
from moneyer.node.core.rules import MEDIAN_SPAN
from moneyer.node.core.types import (
    COIN_ASSET,
    KEY_KIND,
    NO_ACCOUNT,
    Account,
    Block,
    Burn,
    Coinbase,
    Header,
    Issue,
    Mint,
    Payment,
    Spend,
    Transaction,
    Transfer,
)

EASY_BITS = 0x207FFFFF
"""Every second hash solves a block."""
GENESIS_TIME = 1_700_000_000
"""Unix seconds; some years ago, so that real nodes never find a builder's chain ahead of their clock."""
ZERO_AUX = bytes(32)


@dataclass(frozen=True)
class Key:
    """A made-up person. `secret`: 32 bytes; `payload`: the 33 bytes of their address."""

    name: str
    secret: bytes
    payload: bytes

    def address(self, coin: Coin) -> str:
        return coin.address(self.payload)


@cache
def key(name: str) -> Key:
    """The same name, the same key, in every test."""
    secret = sha256(b"moneyer tests: " + name.encode()).digest()
    return Key(name, secret, bytes([KEY_KIND]) + signing.public_key(secret))


def easy_coin(*, premine: Iterable[tuple[Key | str, int]] = (), **changes: Any) -> Coin:
    """A development coin: solved at once, never retargeted, two hours of clock. `premine`: (Key or address, units)."""
    hrp = changes.get("hrp", "easy")
    rows = tuple((who if isinstance(who, str) else encode_address(hrp, who.payload), units) for who, units in premine)
    fields: dict[str, Any] = {
        "name": "Easy Coin",
        "symbol": "EASY",
        "hrp": hrp,
        "decimals": 6,
        "timestamp": GENESIS_TIME,
        "block_time": 10,
        "pow_limit": EASY_BITS,
        "reward": 10_000_000,
        "retarget": False,
        "clock_tolerance": 7200,
        "premine": rows,
    }
    return Coin(**{**fields, **changes})


def payload_of(who: Key | bytes) -> bytes:
    """33 bytes, of a Key or as they are."""
    return who if isinstance(who, bytes) else who.payload


SpendT = TypeVar("SpendT", bound=Spend)


def sign(coin: Coin, spend: SpendT, signer: Key) -> SpendT:
    """The spend with `signer`'s signature, whoever its sender is."""
    signature = signing.sign(signer.secret, codec.sighash(coin.chain_id, spend), ZERO_AUX)
    changes: dict[str, Any] = {"signature" if isinstance(spend, Transfer) else "witness": signature}
    return replace(spend, **changes)


def transfer(
    coin: Coin,
    sender: Key,
    receiver: Key | bytes,
    amount: int,
    fee: int = 0,
    sequence: int = 0,
    memo: bytes = b"",
) -> Transfer:
    """A signed transfer; amounts in base units. No rule is checked, so that bad ones can be made too."""
    unsigned = Transfer(sender.payload, payload_of(receiver), amount, fee, sequence, memo, bytes(64))
    return sign(coin, unsigned, sender)


def pay(
    coin: Coin,
    sender: Key,
    receiver: Key | bytes,
    amount: int,
    asset: bytes = COIN_ASSET,
    fee: int = 0,
    sequence: int = 0,
    memo: bytes = b"",
) -> Payment:
    """A signed payment (rules 2), of the coin unless `asset` says otherwise. As `transfer`, no rule is checked."""
    return sign(coin, Payment(sender.payload, fee, sequence, memo, b"", payload_of(receiver), asset, amount), sender)


def issue(
    coin: Coin,
    sender: Key,
    amount: int = 0,
    max_supply: int = 1_000,
    *,
    receiver: Key | bytes | None = None,
    fee: int = 0,
    sequence: int = 0,
    memo: bytes = b"",
    decimals: int = 0,
    symbol: bytes = b"TICKET",
    name: bytes = b"Ticket",
    content: bytes = bytes(32),
) -> Issue:
    """A signed issue, its first units to the sender unless `receiver` says otherwise. Id: `codec.asset_id`."""
    paid = payload_of(receiver or sender)
    terms = (amount, max_supply, decimals, symbol, name, content)
    return sign(coin, Issue(sender.payload, fee, sequence, memo, b"", paid, *terms), sender)


def mint(
    coin: Coin,
    sender: Key,
    asset: bytes,
    amount: int,
    *,
    receiver: Key | bytes | None = None,
    fee: int = 0,
    sequence: int = 0,
) -> Mint:
    """A signed mint, to the sender unless `receiver` says otherwise."""
    return sign(
        coin, Mint(sender.payload, fee, sequence, b"", b"", asset, payload_of(receiver or sender), amount), sender
    )


def burn(coin: Coin, sender: Key, asset: bytes, amount: int, *, fee: int = 0, sequence: int = 0) -> Burn:
    """A signed burn."""
    return sign(coin, Burn(sender.payload, fee, sequence, b"", b"", asset, amount), sender)


def contract(policy: Policy) -> bytes:
    """The payload of a policy's address."""
    return payload_of_policy(encode_policy(policy))


EnvelopeT = TypeVar("EnvelopeT", bound=Payment | Issue | Mint | Burn)


def meet(
    coin: Coin,
    spend: EnvelopeT,
    policy: Policy,
    named: Iterable[int],
    signers: Iterable[Key] = (),
    preimage: bytes = b"",
) -> EnvelopeT:
    """The spend of a policy's account with a witness that names these leaves.

    `signers`: sign where their keys are named; a named key of nobody among them gets 64 zero bytes. `preimage`: of
    every hash that is named. Whether the leaves are enough is not checked.
    """
    shape = decode_policy(encode_policy(policy))
    leaves = sorted(named)
    digest = codec.sighash(coin.chain_id, spend, chosen_of(shape, leaves))
    secrets = {signer.payload[1:]: signer.secret for signer in signers}
    items = []
    for index in leaves:
        leaf, data = shape.leaves[index], b""
        if isinstance(leaf, KeyLeaf):
            secret = secrets.get(leaf.key)
            data = bytes(64) if secret is None else signing.sign(secret, digest, ZERO_AUX)
        elif isinstance(leaf, Hash):
            data = preimage
        items.append(Item(index, data))
    return replace(spend, witness=encode_witness(encode_policy(policy), items))


def are_signed(coin: Coin, block: Block) -> list[bool]:
    """Of each spend of a block, whether all its signatures are right: what `ledger.apply_block` asks for."""
    return [
        all(signing.verify_many(signing.signature_checks(coin.chain_id, spend))) for spend in ledger.spends_of(block)
    ]


def mine(block: Block) -> Block:
    """The block with the first nonce that solves its own bits (hashlib; for easy bits only)."""
    target = pow.decode_bits(block.header.bits)
    head = codec.encode_header(block.header)[:76]
    for nonce in range(2**32):
        raw = head + nonce.to_bytes(4, "little")
        if int.from_bytes(sha256(sha256(raw).digest()).digest(), "little") <= target:
            return replace(block, header=replace(block.header, nonce=nonce))
    raise AssertionError("no nonce solves this block")


def rebuild(block: Block, transactions: Sequence[Transaction]) -> Block:
    """The block with another body, its merkle root right, solved again."""
    root = merkle_root([codec.txid(transaction) for transaction in transactions])
    return mine(Block(replace(block.header, merkle_root=root), tuple(transactions)))


def block_on(
    coin: Coin,
    parent: Header,
    height: int,
    transfers: Sequence[Spend] = (),
    receiver: Key | bytes | None = None,
    timestamp: int | None = None,
    *,
    bits: int | None = None,
    extra: bytes = b"",
    amount: int | None = None,
    version: int = 1,
) -> Block:
    """A solved block at `height` on `parent`.

    Defaults: paid to key("miner"), `block_time` after the parent, the coin's `pow_limit`, a coinbase of subsidy + fees.
    """
    reward = coin.subsidy(height) + sum(each.fee for each in transfers) if amount is None else amount
    coinbase = Coinbase(height, payload_of(receiver or key("miner")), reward, extra)
    header = Header(
        version=version,
        prev_hash=codec.block_hash(parent),
        merkle_root=bytes(32),
        timestamp=parent.timestamp + coin.block_time if timestamp is None else timestamp,
        bits=coin.pow_limit if bits is None else bits,
        nonce=0,
    )
    return rebuild(Block(header, ()), (coinbase, *transfers))


class ChainBuilder:
    """A valid chain in memory from genesis on, with its ledger; `branch` grows others from it.

    `blocks[h]` is the block at height h. `name` stands in each coinbase's `extra`, so that two branches never make the
    same block.
    """

    def __init__(self, coin: Coin, name: str = "main") -> None:
        self.coin = coin
        self.name = name
        self.blocks: list[Block] = [coin.genesis]
        self.ledger = Ledger({})
        ledger.apply_genesis(self.ledger, coin.genesis)

    @property
    def accounts(self) -> Accounts:
        """Of the ledger: payload -> account."""
        return self.ledger.accounts

    @property
    def next_context(self) -> BlockContext:
        """Of the block that follows the tip."""
        median = self.median_time_past
        return BlockContext(self.coin.chain_id, self.height + 1, lambda: median)

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    @property
    def tip(self) -> Block:
        return self.blocks[-1]

    @property
    def tip_hash(self) -> bytes:
        return codec.block_hash(self.tip.header)

    @property
    def work(self) -> int:
        """Sum over the blocks, genesis left out."""
        return sum(pow.block_work(pow.decode_bits(block.header.bits)) for block in self.blocks[1:])

    @property
    def raw(self) -> list[bytes]:
        """The encoded blocks above genesis, oldest first."""
        return [codec.encode_block(block) for block in self.blocks[1:]]

    @property
    def median_time_past(self) -> int:
        """That the next block must exceed."""
        return pow.median_time_past([block.header.timestamp for block in self.blocks[-MEDIAN_SPAN:]])

    @property
    def next_bits(self) -> int:
        window = [pow.TimedBits(block.header.timestamp, block.header.bits) for block in self.blocks]
        return self.coin.next_bits(window, self.height + 1)

    def account(self, who: Key | bytes) -> Account:
        return self.accounts.get(payload_of(who), NO_ACCOUNT)

    def transfer(self, sender: Key, receiver: Key | bytes, amount: int, fee: int = 0, memo: bytes = b"") -> Transfer:
        """A signed transfer with the sender's next confirmed sequence."""
        return transfer(self.coin, sender, receiver, amount, fee, self.account(sender).sequence, memo)

    def next_block(
        self,
        transfers: Sequence[Spend] = (),
        receiver: Key | bytes | None = None,
        timestamp: int | None = None,
        **changes: Any,
    ) -> Block:
        """A solved block on the tip, not added; right unless `changes` (keywords of `block_on`) say otherwise."""
        if timestamp is None:
            timestamp = max(self.tip.header.timestamp + self.coin.block_time, self.median_time_past + 1)
        extra = sha256(f"{self.name} {self.height + 1}".encode()).digest()[:8]
        settings = {"bits": self.next_bits, "extra": extra, **changes}
        return block_on(self.coin, self.tip.header, self.height + 1, transfers, receiver, timestamp, **settings)

    def append(self, block: Block) -> Block:
        """Add a block that `next_block` made. Raises the ledger's errors, and is then unusable."""
        subsidy, signatures = self.coin.subsidy(self.height + 1), are_signed(self.coin, block)
        ledger.apply_block(self.ledger, block, self.next_context, subsidy=subsidy, signatures=signatures)
        self.blocks.append(block)
        return block

    def add(
        self,
        transfers: Sequence[Spend] = (),
        receiver: Key | bytes | None = None,
        timestamp: int | None = None,
        **changes: Any,
    ) -> Block:
        """`next_block`, added."""
        return self.append(self.next_block(transfers, receiver, timestamp, **changes))

    def grow(self, count: int, receiver: Key | bytes | None = None) -> list[Block]:
        """Add `count` blocks without transfers."""
        return [self.add(receiver=receiver) for _ in range(count)]

    def branch(self, height: int, name: str) -> ChainBuilder:
        """Another chain that shares this one's blocks up to and including `height`."""
        other = ChainBuilder(self.coin, name)
        for block in self.blocks[1 : height + 1]:
            other.append(block)
        return other
