"""The rules of `docs/protocol.md` a second time, in plain Python. Nothing of the project is imported: only hashlib,
struct and a BIP340 library. It keeps the state after each block, and is as slow as it is simple.

Here are blocks, the tree and the best chain; what a spend of any version may do is in `tests.core.rules2_model`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.core import rules2_model as spends
from tests.core.rules2_model import MAX_MONEY, Refused, State

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP173
STATUSES = {"extended", "reorganized", "side_branch", "orphan", "already_known"}
Tx = dict[str, Any]
"""The fields of a transaction, and `raw`, its bytes. A coinbase has version 0 and a `height`."""


def sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def payload_of_address(address: str) -> bytes:
    """Of an address that is known to be right: its last six characters are the checksum."""
    kind, *groups = (CHARSET.index(each) for each in address[address.rindex("1") + 1 : -6])
    number = 0
    for group in groups:
        number = number << 5 | group
    return bytes([kind]) + (number >> 4).to_bytes(32, "big")


def merkle_root(txids: list[bytes]) -> bytes:
    level = txids or [bytes(32)]
    while len(level) > 1:
        level = [*level, level[-1]] if len(level) % 2 else level
        level = [sha256d(level[at] + level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def decode_bits(bits: int) -> int:
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)
    if not 0 < target < 2**256 or (bits & 0x800000 and mantissa):
        raise Refused("bad_bits")
    return target


def encode_bits(target: int) -> int:
    exponent = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (exponent - 3) if exponent > 3 else target << 8 * (3 - exponent)
    if mantissa & 0x800000:
        exponent, mantissa = exponent + 1, mantissa >> 8
    return exponent << 24 | mantissa


def take(raw: bytes, at: int, count: int) -> bytes:
    if at + count > len(raw):
        raise Refused("malformed")
    return raw[at : at + count]


def decode_count(raw: bytes) -> tuple[int, int]:
    first = take(raw, 0, 1)[0]
    if first < 0xFD:
        return first, 1
    size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
    count = int.from_bytes(take(raw, 1, size), "little")
    if count < {2: 0xFD, 4: 2**16, 8: 2**32}[size]:
        raise Refused("malformed")
    return count, 1 + size


def decode_body(raw: bytes, rules: int) -> list[Tx]:
    count, at = decode_count(raw)
    found: list[Tx] = []
    while len(found) < count:
        start, version = at, take(raw, at, 1)[0]
        if version == 0:
            height, receiver, amount, length = struct.unpack("<I33sQB", take(raw, at + 1, 46))
            at += 47 + length
            whole = take(raw, start, at - start)
            if length > 100 or len(whole) == 64:
                raise Refused("malformed")
            found.append({"version": 0, "height": height, "receiver": receiver, "amount": amount, "raw": whole})
        elif version == 1 or rules == 2:
            reader = spends.Bytes(raw, "malformed")
            reader.at = at
            found.append(spends.cut_next(reader))
            at = reader.at
        else:
            raise Refused("malformed")
    if at != len(raw):
        raise Refused("malformed")
    return found


def check_alone(tx: Tx, rules: int) -> None:
    if tx["version"] in (0, 1) and tx["receiver"][0] not in ((0, 1) if rules == 2 else (0,)):
        raise Refused("bad_receiver")
    if tx["version"]:
        spends.check_alone(tx)
    elif tx["amount"] > MAX_MONEY:
        raise Refused("bad_amount")


@dataclass
class Place:
    """A block of the tree. `code`: it is invalid; `state`: after it, once it was connected."""

    prev: bytes
    height: int
    work: int
    joined: int
    time: int
    bits: int
    txs: list[Tx] = field(default_factory=list)
    code: str | None = None
    state: State | None = None


class Model:
    """What a node must answer. `coin`: the 16 fields as JSON has them, and `rules` where they are 2."""

    def __init__(self, coin: dict[str, Any]) -> None:
        self.coin = coin
        self.rules = coin.get("rules", 1)
        digest = sha256(json.dumps(coin, sort_keys=True, separators=(",", ":")).encode()).digest()
        premine = [(payload_of_address(address), amount) for address, amount in coin["premine"]]
        rows = [(bytes(33), 0, digest), *((payload, amount, b"") for payload, amount in premine)]
        raws = [struct.pack("<BI33sQB", 0, 0, who, amount, len(extra)) + extra for who, amount, extra in rows]
        self.limit_bits = int(coin["pow_limit"], 16)
        root = merkle_root([sha256d(raw) for raw in raws])
        head = struct.pack("<I32s32sIII", 1, bytes(32), root, coin["timestamp"], self.limit_bits, 0)
        self.genesis = self.tip = sha256d(head)
        self.premine = sum(amount for _, amount in premine)
        first = Place(bytes(32), 0, 0, 0, coin["timestamp"], self.limit_bits)
        first.state = State({payload: [amount, 0] for payload, amount in premine})
        self.tree = {self.genesis: first}
        self.orphans: dict[bytes, tuple[bytes, bytes]] = {}

    def issued(self, height: int) -> int:
        reward, every = self.coin["reward"], self.coin["halving_interval"]
        scheduled = (reward >> (at - 1) // every if every else reward for at in range(1, height + 1))
        return int(min(self.coin["max_supply"], self.premine + sum(scheduled)))

    def line(self, tip: bytes, count: int) -> list[Place]:
        """At most so many blocks up to `tip`, oldest first."""
        found: list[Place] = []
        while tip in self.tree and len(found) < count:
            found.append(self.tree[tip])
            tip = found[-1].prev
        return found[::-1]

    def next_bits(self, parent: bytes) -> int:
        height = self.tree[parent].height + 1
        count = min(height - 2, self.coin["difficulty_window"])
        if not self.coin["retarget"] or count < 3:
            return self.limit_bits
        blocks, wanted = self.line(parent, count + 1), self.coin["block_time"]
        weighted, targets, before = 0, 0, blocks[0].time
        for weight, block in enumerate(blocks[1:], 1):
            now = max(block.time, before + 1)
            weighted += weight * min(6 * wanted, now - before)
            targets += decode_bits(block.bits)
            before = now
        new = targets // count * weighted // (wanted * count * (count + 1) // 2)
        return encode_bits(max(1, min(decode_bits(self.limit_bits), new)))

    def median_time(self, parent: bytes) -> int:
        times = sorted(block.time for block in self.line(parent, 11))
        return times[len(times) // 2]

    def offer(self, raw: bytes, now: int) -> str:
        """The status, or the code of the rule that the block breaks."""
        answer = self.offer_alone(raw, now)
        self.connect_orphans(now)
        return answer

    def batch(self, raws: list[bytes], now: int) -> str | None:
        """Blocks one on the other, all but the last valid: the code at which they end, if one does."""
        answers = [self.offer_alone(raw, now) for raw in raws]
        self.connect_orphans(now)
        return None if answers[-1] in STATUSES else answers[-1]

    def connect_orphans(self, now: int) -> None:
        while come := [prev for prev in dict.fromkeys(prev for prev, _ in self.orphans.values()) if prev in self.tree]:
            for parent in come:
                for child in [each for each, (prev, _) in self.orphans.items() if prev == parent]:
                    self.offer_alone(self.orphans.pop(child)[1], now)

    def offer_alone(self, raw: bytes, now: int) -> str:
        try:
            return self._offer(raw, now)
        except Refused as refused:
            return str(refused)

    def _offer(self, raw: bytes, now: int) -> str:
        if len(raw) > self.coin["max_block_bytes"]:
            raise Refused("block_too_large")
        if len(raw) < 81:
            raise Refused("malformed")
        block_hash = sha256d(raw[:80])
        version, prev, root, time, bits, _ = struct.unpack("<I32s32sIII", raw[:80])
        if block_hash in self.tree:
            return self.tree[block_hash].code or "already_known"
        if version & ~0x1FFFE000 != 1:
            raise Refused("bad_version")
        target = decode_bits(bits)
        if target > decode_bits(self.limit_bits):
            raise Refused("bad_bits")
        if int.from_bytes(block_hash, "little") > target:
            raise Refused("high_hash")
        if prev == bytes(32):
            raise Refused("wrong_genesis")
        parent = self.tree.get(prev)
        if parent is None:
            return self.hold(block_hash, prev, raw, root)
        work = parent.work + 2**256 // (target + 1)
        place = Place(prev, parent.height + 1, work, len(self.tree), time, bits)
        refusal = self.check_in_place(prev, time, bits, now)
        if parent.code is not None:
            if refusal is None:  # the header is one of its place: a descendant, remembered
                self.tree[block_hash] = place
                place.code = "invalid_parent"
            raise Refused("invalid_parent")
        if refusal is not None:
            raise Refused(refusal)
        place.txs = self.check_body(raw[80:], root)
        self.tree[block_hash] = place
        try:
            self.check_transactions(place.txs)
        except Refused as refused:
            place.code = str(refused)
            raise
        return self.choose()

    def check_in_place(self, prev: bytes, time: int, bits: int, now: int) -> str | None:
        if bits != self.next_bits(prev):
            return "bad_bits"
        if time <= self.median_time(prev):
            return "time_too_old"
        return "time_too_new" if time > now + self.coin["clock_tolerance"] else None

    def hold(self, block_hash: bytes, prev: bytes, raw: bytes, root: bytes) -> str:
        try:
            self.check_body(raw[80:], root)
        except Refused:
            return "orphan"  # which is another's body: not held
        self.orphans.setdefault(block_hash, (prev, raw))
        return "orphan"

    def check_body(self, raw: bytes, root: bytes) -> list[Tx]:
        """What never condemns a hash: another body may be the true one."""
        txs = decode_body(raw, self.rules)
        txids = [sha256d(tx["raw"]) for tx in txs]
        if len(set(txids)) < len(txids):
            raise Refused("mutated")
        if merkle_root(txids) != root:
            raise Refused("bad_merkle_root")
        return txs

    def check_transactions(self, txs: list[Tx]) -> None:
        if not txs or txs[0]["version"] != 0:
            raise Refused("no_coinbase")
        if any(tx["version"] == 0 for tx in txs[1:]):
            raise Refused("extra_coinbase")
        for tx in txs:
            check_alone(tx, self.rules)

    def choose(self) -> str:
        """Connect the best chain there is; the answer to the block that was just added."""
        before, error = self.tip, ""
        while True:
            sound = [
                (place.work, -place.joined, block_hash) for block_hash, place in self.tree.items() if not place.code
            ]
            best = max(sound)[2]
            failed = self.connect(best)
            if failed is None:
                self.tip = best
                break
            error = error or failed
        if error or self.tip == before:
            return error or "side_branch"
        return "extended" if before in self.ancestors(self.tip) else "reorganized"

    def ancestors(self, block_hash: bytes) -> list[bytes]:
        """From a block's parent to genesis."""
        found = []
        while block_hash != self.genesis:
            block_hash = self.tree[block_hash].prev
            found.append(block_hash)
        return found

    def connect(self, tip: bytes) -> str | None:
        """Compute the states up to `tip`; the code of the first block that fails, marked with all behind it."""
        for block_hash in [*reversed(self.ancestors(tip)), tip]:
            place = self.tree[block_hash]
            if place.code is not None:
                return place.code
            if place.state is None:
                try:
                    place.state = self.apply(place)
                except Refused as refused:
                    self.condemn(block_hash, str(refused))
                    return str(refused)
        return None

    def condemn(self, block_hash: bytes, code: str) -> None:
        self.tree[block_hash].code = code
        for child, place in self.tree.items():
            if place.prev == block_hash and place.code is None:
                self.condemn(child, "invalid_parent")

    def apply(self, place: Place) -> State:
        before = self.tree[place.prev].state
        assert before is not None
        state, median = before.copy(), self.median_time(place.prev)
        for tx in place.txs[1:]:
            spends.apply(state, tx, self.genesis, place.height, median)
        coinbase = place.txs[0]
        if coinbase["height"] != place.height:
            raise Refused("bad_coinbase_height")
        subsidy = self.issued(place.height) - self.issued(place.height - 1)
        if coinbase["amount"] != subsidy + sum(tx["fee"] for tx in place.txs[1:]):
            raise Refused("bad_coinbase_amount")
        state.accounts.setdefault(coinbase["receiver"], [0, 0])[0] += coinbase["amount"]
        return state
