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
HEADER_SIZE = 80
PAYLOAD_SIZE = 33
KEY_KIND = 0
"""The one kind of address there is: a BIP340 x-only public key."""


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
    def public_key(self) -> bytes:
        """The sender's 32-byte x-only key."""
        return self.sender[1:]


Transaction = Coinbase | Transfer


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the body that it commits to."""

    header: Header
    transactions: tuple[Transaction, ...]
    """The coinbase, then transfers, in the order in which they apply."""


class Account(NamedTuple):
    """Confirmed state of a payload; `sequence` counts its confirmed transfers and is the next one's number."""

    balance: int
    sequence: int


NO_ACCOUNT = Account(0, 0)
