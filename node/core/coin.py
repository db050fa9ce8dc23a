"""The coin: its parameters, its genesis block, its supply; and amounts as people write them.

Two nodes with different coins can never share a block: the genesis block commits to every field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from . import codec, pow
from .address import decode_address, encode_address, payloads_beginning
from .codec import merkle_root
from .errors import BadAmount
from .types import KEY_KIND, MAX_MONEY, PAYLOAD_SIZE, Block, Coinbase, Header

NOBODY = bytes([KEY_KIND]) + bytes(PAYLOAD_SIZE - 1)
"""Receiver of the genesis block's first coinbase."""


@dataclass(frozen=True)
class Coin:
    """The fields of `coin.toml`, checked by `node.core.coinfile`. Amounts in base units, times in seconds."""

    name: str
    symbol: str
    hrp: str
    decimals: int
    timestamp: int
    block_time: int
    pow_limit: int
    """Compact bits."""
    reward: int
    message: str = ""
    retarget: bool = True
    difficulty_window: int = 45
    max_block_bytes: int = 1_000_000
    clock_tolerance: int = 60
    halving_interval: int = 0
    max_supply: int = MAX_MONEY
    premine: tuple[tuple[str, int], ...] = field(default=())
    """(address, base units) in order."""
    rules: int = 1
    """1, or 2: assets and contracts. A coin keeps its rules for ever (docs/changing-rules.md)."""

    def as_json(self) -> dict[str, Any]:
        """Exactly the object that `coin_digest` hashes; also the shape of `GET /v1/coin`.

        It has a key `rules` only where they are not 1: a coin made before there were others keeps its digest.
        """
        return ({} if self.rules == 1 else {"rules": self.rules}) | {
            "name": self.name,
            "symbol": self.symbol,
            "hrp": self.hrp,
            "decimals": self.decimals,
            "message": self.message,
            "timestamp": self.timestamp,
            "block_time": self.block_time,
            "retarget": self.retarget,
            "difficulty_window": self.difficulty_window,
            "pow_limit": f"{self.pow_limit:08x}",
            "max_block_bytes": self.max_block_bytes,
            "clock_tolerance": self.clock_tolerance,
            "reward": self.reward,
            "halving_interval": self.halving_interval,
            "max_supply": self.max_supply,
            "premine": [[address, amount] for address, amount in self.premine],
        }

    def in_coins(self, units: int) -> str:
        """An amount of base units as people read it: `2.5 DEV`."""
        return f"{format_amount(units, self.decimals)} {self.symbol}"

    @cached_property
    def coin_digest(self) -> bytes:
        """32 bytes that pin every field."""
        return sha256(json.dumps(self.as_json(), sort_keys=True, separators=(",", ":")).encode("ascii")).digest()

    @cached_property
    def genesis(self) -> Block:
        """Block 0. Same fields, same block: no proof of work is asked of it."""
        transactions = (
            Coinbase(0, NOBODY, 0, self.coin_digest),
            *(Coinbase(0, self.payload(address), amount, b"") for address, amount in self.premine),
        )
        root = merkle_root([codec.txid(transaction) for transaction in transactions])
        return Block(Header(1, bytes(32), root, self.timestamp, self.pow_limit, 0), transactions)

    @cached_property
    def chain_id(self) -> bytes:
        """Hash of the genesis block, raw bytes."""
        return codec.block_hash(self.genesis.header)

    @cached_property
    def premine_sum(self) -> int:
        return sum(amount for _, amount in self.premine)

    @cached_property
    def target_limit(self) -> int:
        """The easiest target, as a number."""
        return pow.decode_bits(self.pow_limit)

    def issued(self, height: int) -> int:
        """Base units in existence once the block at `height` stands: the sum of all balances then."""
        return min(self.max_supply, self.premine_sum + self._scheduled(height))

    def subsidy(self, height: int) -> int:
        """Base units that the block at `height` mints; 0 for genesis, whose premine is counted apart."""
        return self.issued(height) - self.issued(height - 1) if height > 0 else 0

    def _scheduled(self, height: int) -> int:
        if not self.halving_interval:
            return self.reward * height
        total, era = 0, 0
        while height > 0 and self.reward >> era:
            blocks = min(height, self.halving_interval)
            total += blocks * (self.reward >> era)
            height -= blocks
            era += 1
        return total

    def address(self, payload: bytes) -> str:
        """The address of a 33-byte payload on this coin."""
        return encode_address(self.hrp, payload)

    def payloads_beginning(self, text: str) -> tuple[bytes, bytes] | None:
        """The range of payloads whose addresses begin with `text` (`core.address`); None where none do."""
        return payloads_beginning(self.hrp, text)

    def payload(self, address: str) -> bytes:
        """The 33-byte payload of an address. Raises BadAddress."""
        return decode_address(self.hrp, address, self.rules)

    def next_bits(self, window: Sequence[pow.TimedBits], height: int) -> int:
        """The bits that the block at `height` must carry; `window` as in `pow.next_bits`."""
        return pow.next_bits(
            window,
            height=height,
            block_time=self.block_time,
            difficulty_window=self.difficulty_window,
            retarget=self.retarget,
            pow_limit=self.pow_limit,
        )

    def difficulty(self, bits: int) -> float:
        """How many times harder than the easiest allowed; shown to people, never used by a rule."""
        return self.target_limit / pow.decode_bits(bits)


# amounts as people write them: decimal text, and no float anywhere

_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", re.ASCII)
_LONGEST = 40


def parse_amount(text: str, decimals: int) -> int:
    """Base units of a decimal string in coins. Raises BadAmount when it is no number, too fine or too large."""
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        raise BadAmount(
            'an amount is digits with at most one point, such as "12.5"',
            expected=f"digits, at most {decimals} after the point",
            found=text[:_LONGEST],
        )
    whole, _, fraction = text.partition(".")
    if len(fraction.rstrip("0")) > decimals:
        raise BadAmount(
            f"this coin has {decimals} decimals: the amount is finer than that",
            expected=f"at most {decimals} digits after the point",
            found=text,
        )
    units = int((whole or "0") + fraction[:decimals].ljust(decimals, "0"))
    if units > MAX_MONEY:
        raise BadAmount(
            "the amount is more than any coin can hold", expected=f"at most {MAX_MONEY} base units", found=text
        )
    return units


def format_amount(units: int, decimals: int) -> str:
    """Coins as a decimal string without needless zeros: 1250000 at 6 decimals is `1.25`."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, 10**decimals)
    text = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"
