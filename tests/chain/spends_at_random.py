"""Spends of all versions at random, right ones and odd ones, as bytes made from the protocol's page alone.

Nothing of the project is imported, as in the models that they are for (`protocol_model`, `tests.core.rules2_model`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from btclib_secp256k1 import ssa, xonly

from tests.core.rules2_model import COIN, MAX_MONEY, Refused, State, apply, check_alone, cut, tagged

Fields = dict[str, Any]
EDGES = (0, 1, 2, MAX_MONEY - 1, MAX_MONEY, MAX_MONEY + 1, 2**63 - 1, 2**63, 2**64 - 1)
"""Of a u64: what a JSON number, a signed column and the field itself hold at most, and their neighbours."""
SECRETS = {
    bytes([0]) + xonly.from_prvkey(secret)[0]: secret
    for secret in (sha256(sha256(name).digest()).digest() for name in (b"a", b"b", b"c", b"d"))
}
TEXTS = (
    *(b"", b"A", b"a", b"A" * 12, b"A" * 13, b"n" * 64, b"n" * 65, b"m" * 140, b"m" * 141, b"m" * 255),
    *(b"\0", b"\x85", b"\xff", b"\xed\xa0\x80", "\x85".encode(), "\u202ename".encode()),
)
"""Of a symbol, a name and a memo: their edges, and bytes that are no text, or none that may be shown."""


class Contract(NamedTuple):
    """A policy's bytes, its leaves as the page has them, and the leaves that are exactly enough, each way."""

    policy: bytes
    leaves: Sequence[tuple[int, bytes]]
    ways: Sequence[tuple[int, ...]]


PREIMAGE = bytes(range(32))


def contracts_of(people: Sequence[bytes], opens: int, time: int) -> dict[bytes, Contract]:
    """By payload. `opens`, `time`: a height and a median_time_past that come while blocks are made."""
    key = [b"\0" + each[1:] for each in people]
    off_curve, lock = bytes(33), b"\1" + sha256(PREIMAGE).digest()
    later, soon = (struct.pack("<BI", 2, height) for height in (opens + 8, opens))
    clock = struct.pack("<BI", 3, time)

    def some(k: int, *children: bytes) -> bytes:
        return bytes([4, k, len(children)]) + b"".join(children)

    many = [b"\0" + bytes([number]) * 32 for number in range(1, 14)]
    policies: list[tuple[bytes, list[tuple[int, ...]]]] = [
        (some(2, *key[:3]), [(0, 1), (1, 2), (0, 2)]),
        (some(1, some(2, lock, key[1]), some(2, soon, key[0])), [(0, 1), (2, 3)]),
        (some(2, key[2], some(1, clock, later)), [(0, 1), (0, 2)]),
        (clock, [(0,)]),
        (some(1, off_curve, key[0]), [(0,), (1,)]),
        (some(2, *key[:2], *many), [(0, 1)]),
        (some(1, b"\2" + bytes(4), b"\2" + b"\xff" * 4), [(0,), (1,)]),
    ]
    return {b"\1" + tagged("moneyer/policy", raw): Contract(raw, leaves_of(raw), ways) for raw, ways in policies}


def leaves_of(policy: bytes) -> list[tuple[int, bytes]]:
    """(tag, data) in pre-order."""
    found, at = [], 0
    while at < len(policy):
        tag = policy[at]
        size = {0: 32, 1: 32, 2: 4, 3: 4, 4: 2}[tag]
        if tag != 4:
            found.append((tag, policy[at + 1 : at + 1 + size]))
        at += 1 + size
    return found


class Spender:
    """Makes spends for one chain. `number(low, high)`: one within bounds, often at an edge."""

    def __init__(
        self, random: Random, chain_id: bytes, contracts: dict[bytes, Contract], number: Callable[[int, int], int]
    ) -> None:
        self.random, self.chain_id, self.contracts, self.number = random, chain_id, contracts, number
        self.people = sorted(SECRETS)
        self.accounts = [*self.people, *self.people, *contracts]

    def right(self, state: State, height: int, median: int) -> Fields | None:
        """The fields of one that a block of this height takes; `state` follows. None where there was not enough."""
        fields = self.wish(state)
        try:
            tx = cut(self.signed(fields))
            check_alone(tx)
            apply(state, tx, self.chain_id, height, median)
        except Refused:
            return None
        return tx

    def odd(self, state: State) -> bytes:
        """Something is at an edge, or changed after it was signed; perhaps it is right all the same."""
        random, fields = self.random, self.wish(state)
        match random.randint(0, 8):
            case 0 | 1:
                self.change(fields)
            case 2:
                named = random.sample(range(20), random.randint(0, 4))
                return self.signed(fields, named=sorted(named))
            case 3:
                return self.signed(fields, signer=random.choice(self.people))
            case 4:
                fields["sequence"] = random.choice([*EDGES, fields["sequence"] + 1])
            case 5:
                return self.tampered(self.signed(fields))
            case 6:  # a leaf that is named may be locked, and there may be too little
                return self.signed(self.wish(state, random.choice(list(self.contracts))))
            case 7 if state.assets:
                fields |= {"version": random.choice([2, 4, 5]), "asset": random.choice(list(state.assets))}
            case _:
                fields["sender"] = random.choice([*self.accounts, bytes(33), b"\1" + bytes(32), b"\2" + bytes(32)])
        return self.signed(fields)

    def wish(self, state: State, sender: bytes | None = None) -> Fields:
        """Somebody's, of any version; mostly there is enough for it."""
        random = self.random
        sender, receiver = (
            sender or random.choice(self.accounts),
            random.choice([*self.accounts, bytes(33), b"\1" * 33]),
        )
        version = random.choice([1, 2, 2, 2, 3, 4, 4, 5])
        held = [asset for (who, asset), units in state.holdings.items() if who == sender and units]
        asset = random.choice([*held, *held, *held, *list(state.assets)[-3:], COIN, random.randbytes(32)])
        if version == 4 and state.assets:
            asset = random.choice(list(state.assets))
            sender = state.assets[asset][0]
        if version == 1 and sender[0]:
            version = 2
        balance, sequence = state.accounts.get(sender, [0, 0])
        fee = self.number(0, min(balance, random.choice([3, 3, 3, balance])))
        most = state.holdings.get((sender, asset), 0)
        if version == 1 or (version == 2 and asset == COIN):
            most = balance - fee
        elif version == 4 and asset in state.assets:
            most = state.assets[asset][1] - state.assets[asset][2]
        fields = {"version": version, "sender": sender, "receiver": receiver, "asset": asset, "fee": fee}
        fields |= {
            "sequence": sequence,
            "memo": random.choice([b"", "é".encode()]),
            "amount": self.number(1, max(1, most)),
        }
        if version == 3:
            supply = self.number(1, MAX_MONEY)
            fields |= {"max_supply": supply, "amount": self.number(0, supply), "decimals": random.randint(0, 8)}
            fields |= {"symbol": random.choice([b"A", b"FUZZ", b"A" * 12]), "content": random.randbytes(32)}
            fields["name"] = random.choice([b"n", b"Fuzz", b"n" * 64, "\u202ename".encode(), "\U0001f600".encode()])
        return fields

    def change(self, fields: Fields) -> None:
        """One field, to an edge."""
        name = self.random.choice([each for each in fields if each not in ("version", "sender")])
        if name in ("amount", "max_supply", "fee", "sequence"):
            fields[name] = self.random.choice(EDGES)
        elif name == "decimals":
            fields[name] = self.random.choice([8, 9, 255])
        elif name in ("symbol", "name", "memo"):
            fields[name] = self.random.choice(TEXTS)
        elif name == "receiver":
            fields[name] = bytes([self.random.choice([0, 1, 2, 255])]) + fields[name][1:]
        else:
            fields[name] = self.random.choice([COIN, b"\xff" * 32])

    def tampered(self, raw: bytes) -> bytes:
        """A byte changed, left out, put in, or the end cut off: most often in the witness."""
        random = self.random
        at = random.choice([random.randrange(len(raw)), len(raw) - 1 - random.randrange(min(len(raw), 160))])
        byte = bytes([random.choice([0, 1, raw[at] ^ 1, raw[at] ^ 128, 255])])
        return random.choice(
            [raw[:at] + byte + raw[at + 1 :], raw[:at] + raw[at + 1 :], raw[:at] + byte + raw[at:], raw[:at]]
        )

    def signed(self, fields: Fields, named: Sequence[int] | None = None, signer: bytes | None = None) -> bytes:
        """Its bytes. `named`: leaves, where not just enough are wanted; `signer`: who signs in place of all others."""
        unsigned = encode(fields)
        if fields["version"] == 1:
            return unsigned + self.signature(unsigned, signer or fields["sender"], "moneyer/transfer")
        contract = self.contracts.get(fields["sender"])
        if contract is None:
            witness = self.signature(unsigned, signer or fields["sender"])
        else:
            witness = self.witness(contract, unsigned, named, signer)
        return unsigned + struct.pack("<H", len(witness)) + witness

    def witness(self, contract: Contract, unsigned: bytes, named: Sequence[int] | None, signer: bytes | None) -> bytes:
        named = self.random.choice(contract.ways) if named is None else named
        leaves = [contract.leaves[index] if index < len(contract.leaves) else (9, b"") for index in named]
        signs = unsigned + bytes(index for index, leaf in zip(named, leaves, strict=True) if leaf[0] != 0)
        items = b""
        for index, (tag, data) in zip(named, leaves, strict=True):
            items += bytes([index])
            if tag == 0:
                items += self.signature(signs, signer or b"\0" + data)
            elif tag == 1:
                items += PREIMAGE
        return struct.pack("<H", len(contract.policy)) + contract.policy + bytes([len(named)]) + items

    def signature(self, unsigned: bytes, who: bytes, tag: str = "moneyer/transaction") -> bytes:
        if who not in SECRETS:
            return bytes(64)
        signature: bytes = ssa.sign(tagged(tag, self.chain_id + unsigned), SECRETS[who], bytes(32))
        return signature


def encode(fields: Fields) -> bytes:
    """All bytes before the signature, or before the length of the witness."""
    texts: dict[str, bytes] = {
        name: bytes([len(fields[name])]) + fields[name] for name in ("symbol", "name", "memo") if name in fields
    }
    version: int = fields["version"]
    sender, receiver, asset = (bytes(fields[name]) for name in ("sender", "receiver", "asset"))
    amount, counts = struct.pack("<Q", fields["amount"]), struct.pack("<QQ", fields["fee"], fields["sequence"])
    if version == 1:
        return bytes([1]) + sender + receiver + amount + counts + texts["memo"]
    if version == 3:
        terms = struct.pack("<QB", fields["max_supply"], fields["decimals"])
        body = receiver + amount + terms + texts["symbol"] + texts["name"] + bytes(fields["content"])
    else:
        body = {2: receiver + asset, 4: asset + receiver, 5: asset}[version] + amount
    return bytes([version]) + sender + counts + body + texts["memo"]
