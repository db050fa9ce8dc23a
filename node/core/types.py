"""The values of the protocol. All frozen; all integers whole; hashes are 32 raw bytes, never reversed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MAX_MONEY = 2**53 - 1
"""Base units: every amount stays exact in a JSON number."""

MAX_EXTRA = 100
"""Bytes of `extra` in a coinbase."""

MAX_MEMO = 140
"""Bytes of UTF-8 in a transfer's memo."""

HASH_SIZE = 32
SIGNATURE_SIZE = 64
HEADER_SIZE = 80
PAYLOAD_SIZE = 33
KEY_KIND = 0
"""An address of this kind holds a BIP340 x-only public key."""

POLICY_KIND = 1
"""Under rules 2: an address that holds the hash of a policy (`node.core.policy`). All other kinds are reserved."""

COIN_ASSET = bytes(HASH_SIZE)
"""What a payment names as its asset where it moves the coin itself."""

LATEST_RULES = 2
"""The newest rules that this program knows; a coin keeps its own for ever (docs/changing-rules.md)."""


@dataclass(frozen=True, slots=True)
class Header:
    """80 bytes on the wire, in Bitcoin's layout, so that its miners can search for the nonce."""

    version: int
    """1, with bits 13-28 free for miners to roll (BIP320)."""
    prev_hash: bytes
    """The parent's block hash; 32 zero bytes in a genesis block."""
    merkle_root: bytes
    """Commits to the block's transactions, in order."""
    timestamp: int
    """Whole Unix seconds, by the miner's clock."""
    bits: int
    """The target in Bitcoin's compact form: the block hash, as a number, must not exceed it."""
    nonce: int
    """u32: what a miner varies until the hash is low enough."""


@dataclass(frozen=True, slots=True)
class Coinbase:
    """The first transaction of a block: mints its reward."""

    height: int
    """The block's own, so that no two coinbases have one txid (BIP34)."""
    receiver: bytes
    """33-byte payload of the account that is paid."""
    amount: int
    """Base units: exactly the subsidy of this height and the block's fees."""
    extra: bytes
    """Up to `MAX_EXTRA` bytes of the miner's own; Stratum's extranonces stand here."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves money from one account to another."""

    sender: bytes
    """33-byte payload: the kind and the x-only public key that `signature` is by."""
    receiver: bytes
    """33-byte payload."""
    amount: int
    """Base units that the receiver gets."""
    fee: int
    """Base units that the miner of the block gets."""
    sequence: int
    """How many transfers of this sender come before: each applies once, and in order, so none can be replayed."""
    memo: bytes
    """Up to `MAX_MEMO` bytes of UTF-8, public for ever."""
    signature: bytes
    """64 bytes, BIP340 Schnorr over the chain id and all fields before it: valid on one chain only."""

    @property
    def cost(self) -> int:
        """What leaves the sender's balance, base units."""
        return self.amount + self.fee

    @property
    def coin_amount(self) -> int:
        """What the receiver gets of the coin, base units."""
        return self.amount


@dataclass(frozen=True, slots=True)
class Envelope:
    """What transactions of versions 2 to 5 have in common (rules 2)."""

    sender: bytes
    """33-byte payload: a key, or a policy."""
    fee: int
    """Base units of the coin that the miner of the block gets."""
    sequence: int
    """Of its sender: one count over all versions, transfers too."""
    memo: bytes
    """Up to `MAX_MEMO` bytes of UTF-8, public for ever."""
    witness: bytes
    """Of a key: its signature, 64 bytes. Of a policy: the policy, and the leaves of it that are met."""

    @property
    def coin_amount(self) -> int:
        """What the receiver gets of the coin, base units."""
        return 0

    @property
    def cost(self) -> int:
        """What leaves the sender's balance of the coin, base units."""
        return self.fee


@dataclass(frozen=True, slots=True)
class Payment(Envelope):
    """Version 2: moves units of an asset, or of the coin, from one account to another."""

    receiver: bytes
    """33-byte payload."""
    asset: bytes
    """32-byte id; `COIN_ASSET` for the coin."""
    amount: int
    """Units that the receiver gets."""

    @property
    def coin_amount(self) -> int:
        """What the receiver gets of the coin, base units."""
        return self.amount if self.asset == COIN_ASSET else 0

    @property
    def cost(self) -> int:
        """What leaves the sender's balance of the coin, base units."""
        return self.coin_amount + self.fee


@dataclass(frozen=True, slots=True)
class Issue(Envelope):
    """Version 3: makes an asset, and gives `amount` of it to the receiver. The sender is its issuer for ever."""

    receiver: bytes
    amount: int
    """Units, 0 or more, that count as minted."""
    max_supply: int
    """Minting stops there, for ever; burning makes no room."""
    decimals: int
    """Units of the asset in one of it = 10**decimals. For people; no rule uses it."""
    symbol: bytes
    """1 to 12 of `A-Z0-9`; not unique."""
    name: bytes
    """1 to 64 bytes of UTF-8; not unique."""
    content: bytes
    """SHA-256 of a document or picture, or 32 zero bytes."""


@dataclass(frozen=True, slots=True)
class Mint(Envelope):
    """Version 4: the issuer makes more of an asset, up to its `max_supply`."""

    asset: bytes
    receiver: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Burn(Envelope):
    """Version 5: units of an asset that the sender holds cease to be."""

    asset: bytes
    amount: int

    @property
    def receiver(self) -> bytes:
        """Nobody else is touched: the sender."""
        return self.sender


Spend = Transfer | Payment | Issue | Mint | Burn
"""What an account signs: every transaction but a coinbase. Where rules 1 are meant it is a transfer."""

Transaction = Coinbase | Spend


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the body that it commits to."""

    header: Header
    transactions: tuple[Transaction, ...]
    """The coinbase, then what accounts signed, in the order in which it applies."""


class Account(NamedTuple):
    """Confirmed state of a payload; `sequence` counts its confirmed transactions and is the next one's number."""

    balance: int
    sequence: int


NO_ACCOUNT = Account(0, 0)
