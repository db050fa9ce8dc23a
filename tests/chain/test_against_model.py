"""Random blocks, most of them bad in some way, to a real node and to a model made from the protocol's page alone.

Whatever a stranger may choose is drawn from the edges. After each step the verdict, the tip and all balances must be
the model's. `make test` runs a few seeds; `make fuzz` (MONEYER_FUZZ_SECONDS, 60 unless told) goes on to new ones, from
MONEYER_FUZZ_SEED on. A failure names its seed and step, and the same seed makes the same blocks.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from btclib_secp256k1 import ssa

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core.address import encode_address
from moneyer.node.core.coinfile import coin_from_json
from moneyer.node.core.errors import RuleError
from moneyer.node.store.assets import asset_pages
from tests.chain.protocol_model import Model, Place, decode_bits, merkle_root, sha256d
from tests.chain.spends_at_random import EDGES, SECRETS, Spender, contracts_of
from tests.core.rules2_model import MAX_MONEY, Refused, State, cut, tagged
from tests.kit.nodes import Node

pytestmark = pytest.mark.both_databases

SHORT_EDGES = (0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
GENESIS_TIME = 1_789_000_000
NOW = GENESIS_TIME + 10**6
STEPS = 100
"""Of a run by `make fuzz`; one by `make test` is shorter."""
PEOPLE = sorted(SECRETS)
OFF_CURVE = bytes(33)  # 0 is the x of no point
COIN: dict[str, Any] = {
    **{"name": "Fuzz", "symbol": "FUZZ", "hrp": "fuzz", "decimals": 0, "message": "", "timestamp": GENESIS_TIME},
    **{"block_time": 10, "retarget": False, "difficulty_window": 45, "pow_limit": "207fffff", "reward": 1000},
    **{"max_block_bytes": 200_000, "clock_tolerance": 60, "halving_interval": 0, "max_supply": MAX_MONEY},
}
COINS: list[dict[str, Any]] = [
    {**COIN, "premine": [(PEOPLE[0], MAX_MONEY - 10_000), (PEOPLE[1], 5000)]},
    {**COIN, "premine": [(PEOPLE[0], 1000)], "max_supply": 9000, "halving_interval": 4, "clock_tolerance": 7200},
    {**COIN, "premine": [], "retarget": True, "difficulty_window": 3, "reward": 2**52, "max_block_bytes": 10_000},
]
CONTRACTS = contracts_of(PEOPLE, opens=12, time=GENESIS_TIME + 60)
COINS += [
    {**COINS[0], "rules": 2, "premine": [*COINS[0]["premine"], *((who, 500) for who in CONTRACTS)]},
    {**COINS[1], "rules": 2, "premine": [(who, 700) for who in (*PEOPLE[1:], *CONTRACTS)]},
]


def coinbase(height: int, receiver: bytes, amount: int, extra: bytes) -> bytes:
    return struct.pack("<BI33sQB", 0, height, receiver, amount, len(extra)) + extra


class Fuzzer:
    """One node, its model, and `builder`: a model that has every block, also those that the node was not offered."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        fields = dict(COINS[seed % len(COINS)])
        fields["premine"] = [[encode_address("fuzz", who), amount] for who, amount in fields["premine"]]
        self.folder = folder
        self.coin = coin_from_json(fields)
        self.node = Node(folder, self.coin)
        self.model, self.builder = Model(fields), Model(fields)
        self.spender = Spender(self.random, self.model.genesis, CONTRACTS, self.number)
        self.sound = [self.model.genesis]
        """Blocks that are right, and stand on such."""
        self.history: list[bytes] = []
        self.later: list[bytes] = []
        """Right blocks that are still to be offered."""

    # the two answers

    def offer(self, raw: bytes, now: int = NOW) -> None:
        self.history.append(raw)
        expected = self.model.offer(raw, now)
        assert self.answer(lambda: self.node.chain.accept_block(raw, now, asked=self.random.random() < 0.5)) == expected
        self.compare()

    def offer_batch(self, raws: list[bytes]) -> None:
        self.history += raws
        expected = self.model.batch(raws, NOW)
        assert self.answer(lambda: self.node.chain.accept_blocks(raws, NOW)) == expected
        self.compare()

    @staticmethod
    def answer(call: Callable[[], Any]) -> str | None:
        """The status, or the code; anything else that is raised is a bug."""
        try:
            return getattr(call(), "status", None)
        except RuleError as error:
            return error.code

    def compare(self) -> None:
        assert self.node.tip_hash == self.model.tip
        state = self.model.tree[self.model.tip].state
        assert state is not None
        found = {who: tuple(account) for who, account in self.node.accounts().items() if any(account)}
        assert found == {who: tuple(account) for who, account in state.accounts.items() if any(account)}
        with self.node.store.read() as conn:
            assets, holdings = asset_pages.everything(conn), asset_pages.all_holdings(conn)
        assert holdings == {where: units for where, units in state.holdings.items() if units}
        assert state.assets == {
            asset: [each.issuer, each.max_supply, each.minted, each.burned] for asset, each in assets.items()
        }

    # making blocks

    def parent(self) -> bytes:
        """Mostly near the tip, and now and then one that the node has not."""
        here = [each for each in self.sound[-8:] if each in self.model.tree]
        return self.random.choice([self.model.tip, self.model.tip, *here, *here, self.sound[-1]])

    def state(self, block_hash: bytes) -> State:
        is_valid = self.builder.connect(block_hash) is None
        state = self.builder.tree[block_hash].state if is_valid else None
        return State() if state is None else state.copy()

    def transfer(self, sender: bytes, receiver: bytes, *numbers: int, memo: bytes = b"", signed: bool = True) -> bytes:
        """`numbers`: amount, fee, sequence."""
        unsigned = struct.pack("<B33s33sQQQB", 1, sender, receiver, *numbers, len(memo)) + memo
        if not signed:
            return unsigned + bytes(64)
        digest = tagged("moneyer/transfer", self.builder.genesis + unsigned)
        return unsigned + ssa.sign(digest, SECRETS.get(sender, bytes([1] * 32)), bytes(32))

    def spends(self, parent: bytes, count: int) -> tuple[list[bytes], int, State]:
        """Right ones for a block on `parent`, the sum of their fees, and the state behind them."""
        state = self.state(parent)
        if self.builder.rules == 1:
            return *self.transfers(state, count), state
        height, median = self.builder.tree[parent].height + 1, self.builder.median_time(parent)
        made = [tx for _ in range(3 * count) if (tx := self.spender.right(state, height, median)) is not None]
        return [tx["raw"] for tx in made], sum(tx["fee"] for tx in made), state

    def transfers(self, state: State, count: int) -> tuple[list[bytes], int]:
        """Right ones of version 1, and the sum of their fees; `state` follows."""
        made, fees = [], 0
        for _ in range(count):
            sender, receiver = self.random.choice(PEOPLE), self.random.choice([*PEOPLE, OFF_CURVE])
            balance, sequence = state.accounts.get(sender, (0, 0))
            if not balance:
                continue
            amount = self.number(1, balance)
            fee = self.number(0, balance - amount)
            memo = self.random.choice([b"", "é".encode()])
            made.append(self.transfer(sender, receiver, amount, fee, sequence, memo=memo))
            state.accounts[sender] = [balance - amount - fee, sequence + 1]
            state.accounts.setdefault(receiver, [0, 0])[0] += amount
            fees += fee
        return made, fees

    def number(self, low: int, high: int) -> int:
        """Within bounds, often at an edge."""
        edges = [edge for edge in (*EDGES, high - 1, high) if low <= edge <= high]
        ends = [high, min(high, low + 50)]
        return self.random.choice([*edges, *(self.random.randint(low, end) for end in ends)])

    def block(self, parent: bytes, txs: list[bytes] | None = None, **changes: Any) -> bytes:
        """A solved block, right but for `changes`. `txs`: all of its transactions, where they are not to be right."""
        place = self.builder.tree[parent]
        if txs is None:
            transfers, fees, _ = self.spends(parent, self.random.randint(0, 4))
            txs = [self.coinbase(place, fees), *transfers]
        first = self.builder.median_time(parent) + 1
        head = {
            "version": 1 | self.random.choice([0, 0x1FFFE000]),
            "prev": parent,
            "root": merkle_root([sha256d(tx) for tx in txs]),
            "time": max(first, min(NOW, place.time + self.random.randint(1, 2 * self.builder.coin["block_time"]))),
            "bits": self.builder.next_bits(parent),
            **changes,
        }
        return self.solve(head) + count_of(txs) + b"".join(txs)

    def coinbase(self, place: Place, fees: int, **changes: int) -> bytes:
        """Of a block on `place`."""
        height = place.height + 1
        amount = self.builder.issued(height) - self.builder.issued(height - 1) + fees
        extra = self.random.randbytes(8)
        return coinbase(changes.get("height", height), self.random.choice(PEOPLE), changes.get("amount", amount), extra)

    @staticmethod
    def solve(head: dict[str, Any]) -> bytes:
        try:
            target = decode_bits(head["bits"])
        except Refused:
            target = 2**256
        for nonce in range(2**20):
            raw = struct.pack("<I32s32sIII", *head.values(), nonce)
            if int.from_bytes(sha256d(raw), "little") <= target:
                break
        return raw

    def right(self, parent: bytes, **changes: Any) -> bytes:
        """A right block; the builder has it now."""
        raw = self.block(parent, **changes)
        self.builder.offer(raw, NOW)
        self.sound.append(sha256d(raw[:80]))
        return raw

    def line(self, parent: bytes, count: int) -> list[bytes]:
        """Right blocks, each on the one before."""
        raws: list[bytes] = []
        for _ in range(count):
            raws.append(self.right(parent))
            parent = self.sound[-1]
        return raws

    def bad(self, parent: bytes) -> bytes:
        """A block with something odd in it; perhaps it is right all the same."""
        kinds = [self.odd_header, self.odd_transfer, self.odd_transfer, self.odd_coinbase, self.odd_list]
        if self.builder.rules == 2:
            kinds += [self.odd_spend] * 10
        raw = self.random.choice(kinds)(parent)
        self.builder.offer(raw, NOW)
        return raw

    def odd_header(self, parent: bytes) -> bytes:
        first, tolerance = self.builder.median_time(parent) + 1, self.builder.coin["clock_tolerance"]
        times = [first - 1, first, NOW + tolerance, NOW + tolerance + 1, *SHORT_EDGES]
        bits = [0x207FFFFF, 0x207FFFFE, 0x1F7FFFFF, 0x217FFFFF, 0x20800001, 0x00000000, 0x04923456, 0xFF123456]
        changes: dict[str, Any] = {
            "time": self.random.choice(times),
            "bits": self.random.choice(bits),
            "version": self.random.choice([*SHORT_EDGES, 2, 0x20000001, 0x3FFFE001, 0x1FFFE000]),
            "prev": self.random.choice([bytes(32), self.random.randbytes(32), self.builder.genesis]),
            "root": self.random.choice([bytes(32), self.random.randbytes(32)]),
        }
        name = self.random.choice(list(changes))
        return self.block(parent, **{name: changes[name]})

    def odd_spend(self, parent: bytes) -> bytes:
        right, fees, state = self.spends(parent, self.random.randint(0, 2))
        odd = self.spender.odd(state)
        try:
            fee = fees + cut(odd)["fee"]
        except Refused:
            fee = fees
        return self.block(parent, [self.coinbase(self.builder.tree[parent], fee if fee < 2**63 else 0), *right, odd])

    def odd_transfer(self, parent: bytes) -> bytes:
        transfers, fees, state = self.spends(parent, self.random.randint(0, 3))
        sender, receiver = self.random.choice(PEOPLE), self.random.choice(PEOPLE)
        balance, sequence = state.accounts.get(sender, (0, 0))
        numbers = [max(1, min(balance, MAX_MONEY)), 0, sequence]
        memo, signed = b"", True
        match self.random.randint(0, 8):
            case 0:
                numbers[0] = self.random.choice([*EDGES, balance + 1])
            case 1:
                numbers[:2] = 1, self.random.choice([*EDGES, balance])
            case 2:
                numbers[2] = self.random.choice([*EDGES, sequence + 1])
            case 3:
                numbers = [self.random.choice(EDGES) for _ in range(3)]
            case 4:
                memo = self.random.choice([b"m" * 140, b"m" * 141, b"m" * 255, b"\xff", b"\xed\xa0\x80"])
            case 5:
                sender = self.random.choice([OFF_CURVE, bytes([0]) + b"\xff" * 32, bytes([1]) + sender[1:]])
            case 6:
                receiver = bytes([self.random.choice([1, 255])]) + receiver[1:]
            case 7:
                signed = False
            case _:  # many, whose fees together are beyond what any column holds
                count = 1024 + self.random.randint(0, 2) if self.builder.coin["max_block_bytes"] > 170_000 else 3
                many = [self.transfer(sender, receiver, 1, MAX_MONEY - 1, n, signed=False) for n in range(1, count)]
                first = self.transfer(sender, receiver, 1, MAX_MONEY - 1, sequence, signed=self.random.random() < 0.5)
                return self.block(parent, [self.coinbase(self.builder.tree[parent], fees), first, *many])
        transfers.append(self.transfer(sender, receiver, *numbers, memo=memo, signed=signed))
        fee = fees + numbers[1] if fees + numbers[1] < 2**63 else 0
        return self.block(parent, [self.coinbase(self.builder.tree[parent], fee), *transfers])

    def odd_coinbase(self, parent: bytes) -> bytes:
        place = self.builder.tree[parent]
        transfers, fees, _ = self.spends(parent, self.random.randint(0, 2))
        extra = b"e" * self.random.choice([0, 16, 17, 18, 100, 101, 255])
        first = self.random.choice(
            [
                self.coinbase(place, fees, amount=self.random.choice(EDGES)),
                self.coinbase(place, fees + 1),
                self.coinbase(place, fees, height=self.random.choice([*SHORT_EDGES, place.height])),
                coinbase(place.height + 1, bytes([1]) + bytes(32), 1000, b""),
                coinbase(place.height + 1, PEOPLE[0], 1000, extra),
            ]
        )
        return self.block(parent, [first, *transfers])

    def odd_list(self, parent: bytes) -> bytes:
        transfers, fees, _ = self.spends(parent, 3)
        first = self.coinbase(self.builder.tree[parent], fees)
        second = self.coinbase(self.builder.tree[parent], 0)
        lists = [
            [],
            transfers,
            [first, second],
            [*transfers, first],
            [first, *transfers[::-1]],
            [first, *transfers[1:]],
        ]
        lists.append([first, *transfers, *transfers[-1:]])
        return self.block(parent, self.random.choice(lists))

    # the steps

    def extend(self) -> None:
        self.offer(self.right(self.model.tip))

    def fork(self) -> None:
        for raw in self.line(self.parent(), self.random.randint(1, 4)):
            self.offer(raw)

    def odd(self) -> None:
        """Beside the tip it may be stored; then a child makes it show what it is."""
        raw = self.bad(self.parent())
        self.offer(raw, self.random.choice([NOW, NOW, NOW - 10**6]))
        self.offspring(raw)

    def offspring(self, raw: bytes) -> None:
        """Some generations on any block whose place the builder knows."""
        for _ in range(self.random.randint(0, 3)):
            parent = sha256d(raw[:80])
            if parent not in self.builder.tree:
                return
            raw = self.block(parent)
            self.builder.offer(raw, NOW)
            if self.random.random() < 0.8:
                self.offer(raw)

    def out_of_order(self) -> None:
        raws = self.line(self.parent(), self.random.randint(2, 4))
        self.random.shuffle(raws)
        if self.random.random() < 0.3:
            self.later.append(raws.pop())
        for raw in raws:
            self.offer(raw)

    def come_later(self) -> None:
        """What orphans wait for."""
        while self.later:
            self.offer(self.later.pop())

    def other_body(self) -> None:
        """Repeated, dropped and swapped transactions under an unchanged header (CVE-2012-2459), then the true ones."""
        before = self.line(self.parent(), self.random.randint(0, 1))
        parent = self.sound[-1] if before else self.parent()
        transfers, fees, _ = self.spends(parent, self.random.randint(1, 6))
        txs = [self.coinbase(self.builder.tree[parent], fees), *transfers]
        true = self.right(parent, txs=txs)
        size = self.random.randint(1, len(txs))
        others = [[*txs, *txs[-size:]], txs[:-size], txs[::-1], [*txs[1:], txs[0]], [*txs, txs[0]], [txs[0], *txs], []]
        for other in self.random.sample(others, 3):
            self.offer(true[:80] + count_of(other) + b"".join(other))
        cut = self.random.randint(0, len(true))
        long_count = true[:80] + b"\xfd" + true[80:81] + b"\0" + true[81:]
        self.offer(self.random.choice([true[:cut], true + b"\0", long_count]))
        for raw in [true, *before]:
            self.offer(raw)

    def batch(self) -> None:
        parent = self.parent()
        raws = self.line(parent, self.random.randint(1, 6))
        tip = self.sound[-1]
        if self.random.random() < 0.3:
            self.offer(self.right(self.sound[-self.random.randint(1, len(raws))]))  # an orphan, or it will be one
        if self.random.random() < 0.5:
            raws.append(self.bad(tip))
        self.offer_batch(raws)

    def again(self) -> None:
        if self.history:
            self.offer(self.random.choice(self.history))

    def restart(self) -> None:
        self.node.store.close()
        self.node = Node(self.folder, self.coin)
        self.model.orphans.clear()  # they were in memory
        self.compare()

    def run(self, count: int) -> None:
        steps = {
            **{self.extend: 10, self.fork: 20, self.odd: 40, self.out_of_order: 12, self.come_later: 6},
            **{self.other_body: 15, self.batch: 15, self.again: 12, self.restart: 1},
        }
        for number in range(count):
            (step,) = self.random.choices(list(steps), list(steps.values()))
            try:
                step()
            except Exception as error:
                error.add_note(f"step {number}, {step.__name__}; the last block: {self.history[-1].hex()[:4000]}")
                raise
        assert verify_chain(self.node.store).height == self.model.tree[self.model.tip].height


def count_of(txs: Sequence[bytes]) -> bytes:
    return bytes([len(txs)]) if len(txs) < 0xFD else b"\xfd" + len(txs).to_bytes(2, "little")


def fuzz(folder: Path, seed: int, steps: int = STEPS) -> None:
    fuzzer = Fuzzer(folder / str(seed), seed)
    try:
        fuzzer.run(steps)
    except Exception as error:
        error.add_note(f"the same again: MONEYER_FUZZ_SEED={seed} MONEYER_FUZZ_SECONDS=1 make fuzz")
        raise
    finally:
        fuzzer.node.store.close()
        shutil.rmtree(folder / str(seed), ignore_errors=True)


@pytest.mark.parametrize("seed", range(len(COINS)))
def test_a_node_and_the_protocols_page_agree(memory_folder: Path, seed: int) -> None:
    fuzz(memory_folder, seed, STEPS // 5)


@pytest.mark.sqlite_only("a minute of it is of the chain's rules, not of its database")
@pytest.mark.fuzz
def test_a_node_and_the_protocols_page_agree_on_new_seeds(memory_folder: Path) -> None:
    until = time.monotonic() + float(os.environ.get("MONEYER_FUZZ_SECONDS", "60"))
    seed = int(os.environ.get("MONEYER_FUZZ_SEED", "1000"))
    while True:
        fuzz(memory_folder, seed)
        seed += 1
        if time.monotonic() > until:
            break
