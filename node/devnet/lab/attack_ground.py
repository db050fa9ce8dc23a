"""What an attack stands on: a development node's coin, tip and accounts, and the keys that everybody knows.

Blocks are made here from scratch, by the functions of `node.core` that a node uses, with any rule left out.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from ....worker.engines.hashlib_engine import HashlibEngine
from ...client.client import Client
from ...client.errors import NoAnswer
from ...core import codec, pow, signing
from ...core.coin import Coin
from ...core.errors import MoneyerError
from ...core.rules import MEDIAN_SPAN
from ...core.types import Account, Block, Coinbase, Header, Transaction, Transfer
from ...wallet.derive import DEVELOPMENT_NAMES, Key, development_key
from ..devcoin import is_development

MOST_WORK = 1 << 22
"""Hashes of a block that an attack may take: some seconds of one core in Python."""
_SLICE = 1 << 14
_SECONDS = 20.0
"""For an answer."""
_MOST_ANSWER = 100_000
"""Bytes of an answer that are read."""


class NoGround(MoneyerError):
    """The node is none that attacks can be shown on."""

    code = "no_ground"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node said of a block."""

    status: int
    """Of HTTP."""
    code: str
    """The rule's, or what became of the block: `extended`, `already_known`, …"""
    message: str
    details: dict[str, Any]

    @property
    def is_refused(self) -> bool:
        """Whether it is an error."""
        return self.status >= 400


@dataclass(frozen=True, slots=True)
class State:
    """What must not change."""

    height: int
    tip: str
    balances: dict[str, int]
    """Base units of each of the five people."""

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {"height": self.height, "tip": self.tip, "balances": self.balances}


class Ground:
    """One node, as its HTTP API shows it. Raises NoGround, NoAnswer and Refused."""

    def __init__(self, url: str) -> None:
        self.client = Client(url)
        self.url = url.rstrip("/")
        self.coin: Coin = self.client.coin
        if not is_development(self.coin):
            raise NoGround(
                f"{url} is no development node, and only there are the keys known that the attacks sign with: leave "
                "--node out, and a node is started for them"
            )
        if pow.block_work(pow.decode_bits(self.coin.pow_limit)) > MOST_WORK:
            raise NoGround(f"a block of {url} takes more than {MOST_WORK:,} hashes: take a development coin")
        self.read()

    def read(self) -> None:
        """Take note of the tip, on which blocks are built from now on."""
        status = self.client.status()
        rows = self.client.get(f"/v1/blocks?limit={MEDIAN_SPAN}")["blocks"]
        self.height = int(status["height"])
        self.tip = codec.unshow(rows[0]["hash"])
        self.tip_time = int(rows[0]["timestamp"])
        self.median_time_past = pow.median_time_past([int(row["timestamp"]) for row in reversed(rows)])
        self.bits = int(self.client.get("/v1/blocks/next")["bits"], 16)
        self.__dict__.pop("accounts", None)
        self.__dict__.pop("honest", None)

    def state(self) -> State:
        """Height, tip and balances as they are now."""
        status = self.client.status()
        balances = {name: self._account(name).balance for name in DEVELOPMENT_NAMES}
        return State(int(status["height"]), str(status["tip"]), balances)

    @cached_property
    def accounts(self) -> dict[str, Account]:
        """The people's accounts at the tip."""
        return {name: self._account(name) for name in DEVELOPMENT_NAMES}

    def _account(self, name: str) -> Account:
        held = self.client.account(self.coin.address(self.key(name).payload))
        return Account(int(held["balance"]), int(held["sequence"]))

    @staticmethod
    def key(name: str) -> Key:
        """The key that everybody knows."""
        return development_key(name)

    @staticmethod
    def now() -> int:
        """Whole Unix seconds, by this machine's clock."""
        return int(time.time())

    def units(self, coins: int) -> int:
        """Base units of whole coins."""
        return coins * int(10**self.coin.decimals)

    # transfers and blocks

    def transfer(
        self,
        sender: str,
        receiver: str,
        amount: int,
        *,
        sequence: int | None = None,
        signer: str | None = None,
        chain_id: bytes | None = None,
    ) -> Transfer:
        """A signed transfer of base units. `sequence`: the sender's next; `signer`: the sender; `chain_id`: ours."""
        number = self.accounts[sender].sequence if sequence is None else sequence
        payloads = self.key(sender).payload, self.key(receiver).payload
        bare = Transfer(*payloads, amount, 0, number, b"", bytes(64))
        digest = codec.sighash(self.coin.chain_id if chain_id is None else chain_id, bare)
        secret = self.key(signer or sender).secret
        return replace(bare, signature=signing.sign(secret, digest, os.urandom(32)))

    @cached_property
    def honest(self) -> Block:
        """A block that breaks no rule: alice pays bob 5 coins, carol pays dave 7. It is not sent."""
        return self.block([self.transfer("alice", "bob", self.units(5)), self.transfer("carol", "dave", self.units(7))])

    def block(self, transfers: Sequence[Transfer] = (), **header: Any) -> Block:
        """A solved block on the tip whose coinbase pays erin. `header`: fields that differ."""
        height = self.height + 1
        reward = self.coin.subsidy(height) + sum(each.fee for each in transfers)
        coinbase = Coinbase(height, self.key("erin").payload, reward, os.urandom(8))
        timestamp = max(self.now(), self.median_time_past + 1)
        bare = Header(1, self.tip, bytes(32), timestamp, self.bits, 0)
        return self.solved(Block(replace(bare, **header), ()), (coinbase, *transfers))

    def solved(self, block: Block, transactions: Sequence[Transaction] | None = None, **header: Any) -> Block:
        """The block with that body, its Merkle root right, and other fields of the header; its nonce searched."""
        body = block.transactions if transactions is None else tuple(transactions)
        fields = {"merkle_root": codec.merkle_root([codec.txid(each) for each in body]), **header}
        bare = replace(block.header, **fields)
        return Block(replace(bare, nonce=self.nonce(bare)), body)

    def nonce(self, header: Header) -> int:
        """The first that solves the header by its own bits, or by the coin's easiest where those are easier still."""
        target = min(pow.decode_bits(header.bits), self.coin.target_limit)
        raw, search = codec.encode_header(header), HashlibEngine().search
        for start in range(0, 1 << 32, _SLICE):
            if (found := search(raw, target, start, _SLICE)) is not None:
                return found
        raise NoGround("no nonce solves this block: run the attack again")

    def unsolved(self, header: Header) -> int:
        """A nonce whose hash is over the target."""
        target = pow.decode_bits(header.bits)
        return next(
            nonce
            for nonce in range(header.nonce, header.nonce + (1 << 20))
            if pow.hash_number(codec.block_hash(replace(header, nonce=nonce % (1 << 32)))) > target
        )

    # sending

    def send(self, raw: bytes) -> Answer:
        """Hand the node a block."""
        return hand_in(self.url, raw)


def hand_in(url: str, raw: bytes) -> Answer:
    """Hand a node a block, as any peer does. Raises NoAnswer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("POST", "/p2p/block", raw, {"Content-Type": "application/octet-stream"})
        with connection.getresponse() as response:
            said = json.loads(response.read(_MOST_ANSWER))
            status = response.status
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NoAnswer(f"{url} did not answer: {error}") from None
    finally:
        connection.close()
    held = said.get("error") if isinstance(said, dict) else None
    if isinstance(held, dict):
        details = held.get("details")
        return Answer(status, str(held.get("code")), str(held.get("message")), dict(details or {}))
    return Answer(status, str(said.get("status")), "the node took it", {})
