"""Rules 2 of `docs/protocol.md` a second time, in plain Python: of one spend alone, and in its place. Nothing of the
project is imported: only hashlib, struct and a BIP340 library.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations
from typing import Any

from btclib_secp256k1 import ssa

MAX_MONEY = 2**53 - 1
COIN = bytes(32)
BODIES = {2: "receiver:33 asset:32 amount:8", 4: "asset:32 receiver:33 amount:8", 5: "asset:32 amount:8"}
ISSUE = "receiver:33 amount:8 max_supply:8 decimals:1 symbol:text name:text content:32"
MOST_SUBSETS = 12
"""Leaves of policies of which all subsets are tried; larger ones are judged node by node."""


class Refused(Exception):
    """A rule is broken; its code."""


def tagged(tag: str, data: bytes) -> bytes:
    head = sha256(tag.encode()).digest()
    return sha256(head + head + data).digest()


class Bytes:
    """Bytes that are taken from the front. `code`: what it is when they end too early."""

    def __init__(self, raw: bytes, code: str) -> None:
        self.raw, self.at, self.code = raw, 0, code

    def take(self, count: int) -> bytes:
        self.at += count
        if self.at > len(self.raw):
            raise Refused(self.code)
        return self.raw[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def end(self) -> None:
        if self.at != len(self.raw):
            raise Refused(self.code)


def cut(raw: bytes) -> dict[str, Any]:
    """The fields of a spend of versions 1 to 5, and `unsigned`: the bytes before signature or length of the witness."""
    reader = Bytes(raw, "malformed")
    fields = cut_next(reader)
    reader.end()
    return fields


def cut_next(reader: Bytes) -> dict[str, Any]:
    """The same of the spend that begins where the reader is."""
    start = reader.at
    fields: dict[str, Any] = {"version": reader.number(1)}
    if not 1 <= fields["version"] <= 5:
        raise Refused("malformed")
    fields["sender"] = reader.take(33)
    if fields["version"] == 1:
        fields |= {"receiver": reader.take(33), "amount": reader.number(8)}
        fields |= {"fee": reader.number(8), "sequence": reader.number(8), "memo": reader.take(reader.number(1))}
        fields |= {"unsigned": reader.raw[start : reader.at], "witness": reader.take(64), "asset": COIN}
        return fields | {"raw": reader.raw[start : reader.at]}
    fields |= {"fee": reader.number(8), "sequence": reader.number(8)}
    body = reader.at
    for part in BODIES.get(fields["version"], ISSUE).split():
        name, size = part.split(":")
        if size == "text":
            fields[name] = reader.take(reader.number(1))
        else:
            fields[name] = reader.number(int(size)) if int(size) <= 8 else reader.take(int(size))
    fields["body"] = reader.raw[body : reader.at]
    fields["memo"] = reader.take(reader.number(1))
    fields |= {"unsigned": reader.raw[start : reader.at], "witness": reader.take(reader.number(2))}
    return fields | {"raw": reader.raw[start : reader.at]}


def is_text(raw: bytes) -> bool:
    try:
        return raw.decode("utf-8", "strict") is not None
    except UnicodeDecodeError:
        return False


def check_alone(tx: dict[str, Any]) -> None:
    """Stage 4, in the table's order."""
    version, fee, amount = tx["version"], tx["fee"], tx["amount"]
    is_coin = version in (1, 2) and tx["asset"] == COIN
    if version != 5 and tx["receiver"][0] not in (0, 1):
        raise Refused("bad_receiver")
    if tx["sender"][0] not in ((0,) if version == 1 else (0, 1)):
        raise Refused("bad_sender")
    if (
        fee > MAX_MONEY
        or (version != 3 and not 1 <= amount <= MAX_MONEY)
        or (is_coin and amount + fee > MAX_MONEY)
        or (version == 3 and (not 1 <= tx["max_supply"] <= MAX_MONEY or amount > tx["max_supply"]))
    ):
        raise Refused("bad_amount")
    if version in (4, 5) and tx["asset"] == COIN:
        raise Refused("bad_asset")
    if version == 3 and (
        tx["decimals"] > 8
        or not re.fullmatch(rb"[A-Z0-9]{1,12}", tx["symbol"])
        or not 1 <= len(tx["name"]) <= 64
        or not is_text(tx["name"])
        or any(ord(each) < 0x20 or 0x7F <= ord(each) <= 0x9F for each in tx["name"].decode())
    ):
        raise Refused("bad_asset")
    if len(tx["memo"]) > 140 or not is_text(tx["memo"]):
        raise Refused("bad_memo")
    if tx["sequence"] > MAX_MONEY:
        raise Refused("bad_sequence")
    tx["signed"], tx["locks"] = named_of(tx)


def named_of(tx: dict[str, Any]) -> tuple[list[tuple[bytes, bytes, bytes]], tuple[int, int]]:
    """(key, what it signs, signature) of each named key, and the greatest height and time of the named leaves."""
    if tx["version"] == 1:
        return [(tx["sender"][1:], b"", tx["witness"])], (0, 0)
    if tx["sender"][0] == 0:
        if len(tx["witness"]) != 64:
            raise Refused("bad_witness")
        return [(tx["sender"][1:], b"", tx["witness"])], (0, 0)
    reader = Bytes(tx["witness"], "bad_witness")
    policy = reader.take(reader.number(2))
    tree, leaves = read_policy(policy)
    if tx["sender"][1:] != tagged("moneyer/policy", policy):
        raise Refused("bad_witness")
    named: dict[int, bytes] = {}
    for _ in range(reader.number(1)):
        index = reader.number(1)
        if index >= len(leaves) or index <= max(named, default=-1):
            raise Refused("bad_witness")
        kind, value = leaves[index]
        named[index] = reader.take({0: 64, 1: 32}.get(kind, 0))
        if kind == 1 and sha256(named[index]).digest() != value:
            raise Refused("bad_witness")
    reader.end()
    if not is_exact(tree, len(leaves), frozenset(named)):
        raise Refused("bad_witness")
    chosen = bytes(index for index in named if leaves[index][0] != 0)
    signed = [(leaves[index][1], chosen, item) for index, item in named.items() if leaves[index][0] == 0]
    locks = [max([leaves[index][1] for index in named if leaves[index][0] == kind], default=0) for kind in (2, 3)]
    return signed, (locks[0], locks[1])


def read_policy(raw: bytes) -> tuple[Any, list[tuple[int, Any]]]:
    """The tree, whose leaves are their numbers and whose thresholds are (k, children), and the leaves: (tag, value)."""
    reader = Bytes(raw, "bad_witness")
    leaves: list[tuple[int, Any]] = []
    nodes = 0

    def node(depth: int) -> Any:
        nonlocal nodes
        nodes += 1
        if depth > 4 or nodes > 64:
            raise Refused("bad_witness")
        tag = reader.number(1)
        if tag == 4:
            k, n = reader.number(1), reader.number(1)
            if not (1 <= k <= n and 2 <= n <= 16):
                raise Refused("bad_witness")
            return k, [node(depth + 1) for _ in range(n)]
        if tag > 4:
            raise Refused("bad_witness")
        leaves.append((tag, reader.take(32) if tag < 2 else reader.number(4)))
        return len(leaves) - 1

    tree = node(1)
    reader.end()
    keys = [value for tag, value in leaves if tag == 0]
    if len(keys) > 20 or len(set(keys)) < len(keys):
        raise Refused("bad_witness")
    return tree, leaves


def is_true(tree: Any, named: frozenset[int]) -> bool:
    if isinstance(tree, int):
        return tree in named
    return bool(sum(is_true(child, named) for child in tree[1]) >= tree[0])


def below(tree: Any) -> set[int]:
    return {tree} if isinstance(tree, int) else set().union(*map(below, tree[1]))


def is_exact(tree: Any, count: int, named: frozenset[int]) -> bool:
    """The named satisfy the tree, and no proper subset does; of large policies, by the words about each threshold."""
    if count <= MOST_SUBSETS:
        less = (frozenset(some) for size in range(len(named)) for some in combinations(named, size))
        return is_true(tree, named) and not any(is_true(tree, some) for some in less)
    if isinstance(tree, int):
        return tree in named
    met = [child for child in tree[1] if is_exact(child, count, named)]
    return len(met) == tree[0] and not any(below(child) & named for child in tree[1] if child not in met)


@dataclass
class State:
    """Accounts: payload -> [balance, sequence]. Assets: id -> [issuer, max_supply, minted, burned]. Holdings: (payload,
    id) -> units, 0 where all are gone."""

    accounts: dict[bytes, list[int]] = field(default_factory=dict)
    assets: dict[bytes, list[Any]] = field(default_factory=dict)
    holdings: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def copy(self) -> State:
        accounts = {who: [*account] for who, account in self.accounts.items()}
        return State(accounts, {asset: [*each] for asset, each in self.assets.items()}, dict(self.holdings))


def is_signed(tx: dict[str, Any], chain_id: bytes) -> bool:
    tag = "moneyer/transfer" if tx["version"] == 1 else "moneyer/transaction"
    for key, chosen, signature in tx["signed"]:
        try:
            if not ssa.verify(tagged(tag, chain_id + tx["unsigned"] + chosen), key, signature):
                return False
        except ValueError:  # no point of the curve
            return False
    return True


def apply(state: State, tx: dict[str, Any], chain_id: bytes, height: int, median: int) -> None:
    """Stage 5 of one spend that passed `check_alone`, in the table's order; then what it does."""
    version, sender, amount, fee, asset = tx["version"], tx["sender"], tx["amount"], tx["fee"], tx.get("asset", b"")
    account = state.accounts.setdefault(sender, [0, 0])
    is_coin = version in (1, 2) and asset == COIN
    if not is_signed(tx, chain_id):
        raise Refused("bad_signature")
    if tx["sequence"] != account[1]:
        raise Refused("bad_sequence")
    if tx["locks"][0] > height or tx["locks"][1] > median:
        raise Refused("locked")
    if version in (2, 4, 5) and not is_coin and asset not in state.assets:
        raise Refused("unknown_asset")
    if version == 4 and state.assets[asset][0] != sender:
        raise Refused("not_issuer")
    if version == 4 and state.assets[asset][2] + amount > state.assets[asset][1]:
        raise Refused("over_max_supply")
    if account[0] < (amount + fee if is_coin else fee):
        raise Refused("insufficient_funds")
    if version in (2, 5) and not is_coin and state.holdings.get((sender, asset), 0) < amount:
        raise Refused("insufficient_asset")
    account[0] -= fee
    account[1] += 1
    if is_coin:
        account[0] -= amount
        state.accounts.setdefault(tx["receiver"], [0, 0])[0] += amount
        return
    if version == 3:
        asset = tagged("moneyer/asset", chain_id + sender + struct.pack("<Q", tx["sequence"]) + tx["body"])
        state.assets[asset] = [sender, tx["max_supply"], 0, 0]
    if version in (2, 5):
        state.holdings[sender, asset] -= amount
    if version in (3, 4):
        state.assets[asset][2] += amount
    if version == 5:
        state.assets[asset][3] += amount
    else:
        where = tx["receiver"], asset
        state.holdings[where] = state.holdings.get(where, 0) + amount
