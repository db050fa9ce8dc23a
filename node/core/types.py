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
    """80 bytes on the wire, Bitcoin's own layout."""

    version: int
    prev_hash: bytes
    merkle_root: bytes
    timestamp: int
    bits: int
    nonce: int


@dataclass(frozen=True, slots=True)
class Coinbase:
    """Mints `amount` base units (subsidy + fees) for `receiver` (33-byte payload)."""

    height: int
    receiver: bytes
    amount: int
    extra: bytes


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves `amount` base units from `sender` to `receiver` (33-byte payloads) and pays `fee` to the miner."""

    sender: bytes
    receiver: bytes
    amount: int
    fee: int
    sequence: int
    memo: bytes
    signature: bytes

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
    header: Header
    transactions: tuple[Transaction, ...]


class Account(NamedTuple):
    """Confirmed state of a payload; `sequence` counts its confirmed transfers and is the next one's number."""

    balance: int
    sequence: int


NO_ACCOUNT = Account(0, 0)
