"""Chains to measure on: made in memory, always the same bytes, quick to make even when long."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core import codec, pow, signing
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.rules import MEDIAN_SPAN
from moneyer.node.core.types import Block, Spend, Transfer
from moneyer.node.service import Node
from moneyer.node.store import meta
from moneyer.node.store.engine import Store
from moneyer.node.store.unconfirmed import entries
from tests.kit.chains import GENESIS_TIME, Key, block_on, easy_coin, key

FAR = GENESIS_TIME + 10**9
"""A clock that finds no bench's block too new."""

SENDERS = 200
PREMINE = 10**12
_EACH = 0.005
"""Seconds between two commits of `committing`."""


def senders(group: int = 0) -> list[Key]:
    return [key(f"sender {group} {i}") for i in range(SENDERS)]


def bench_coin(*, retarget: bool = True) -> Coin:
    """Solved at every second hash, retargeted as a real coin is, with money for two groups of senders."""
    rich = [(who, PREMINE) for who in (*senders(0), *senders(1))]
    return easy_coin(premine=rich, retarget=retarget, block_time=10, clock_tolerance=60)


class Payments:
    """Signed transfers: each sender of a group in turn, to one of `receivers` strangers, a fee of 1 to 100 units."""

    def __init__(self, coin: Coin, receivers: int = 5_000, *, group: int = 0) -> None:
        self._coin = coin
        self._random = random.Random(group)
        self._senders = senders(group)
        self._receivers = [bytes([0]) + signing.public_key(key(f"receiver {i}").secret) for i in range(receivers)]
        self._made = 0

    def take(self, count: int) -> list[Transfer]:
        return [self._next() for _ in range(count)]

    def _next(self) -> Transfer:
        sender = self._senders[self._made % SENDERS]
        sequence = self._made // SENDERS
        self._made += 1
        unsigned = Transfer(
            sender.payload,
            self._random.choice(self._receivers),
            amount=self._random.randint(1, 1_000),
            fee=self._random.randint(1, 100),
            sequence=sequence,
            memo=b"",
            signature=bytes(64),
        )
        digest = codec.sighash(self._coin.chain_id, unsigned)
        signature = signing.sign(sender.secret, digest, bytes(32))
        return Transfer(sender.payload, unsigned.receiver, unsigned.amount, unsigned.fee, sequence, b"", signature)


class Line:
    """Blocks on top of each other. Looks back only as far as the rules do, so that a long one costs no more a block."""

    def __init__(self, coin: Coin, name: str = "main") -> None:
        self.coin = coin
        self._name = name
        self._tip = coin.genesis.header
        self._height = 0
        self._recent = deque([pow.TimedBits(self._tip.timestamp, self._tip.bits)], coin.difficulty_window + MEDIAN_SPAN)

    @property
    def height(self) -> int:
        """Of the last block made."""
        return self._height

    def add(self, transfers: Sequence[Spend] | None = None) -> Block:
        """The next block, valid as long as the transfers are."""
        self._height += 1
        bits = self.coin.next_bits(list(self._recent), self._height)
        extra = f"{self._name} {self._height}".encode()[:16]
        block = block_on(self.coin, self._tip, self._height, transfers or (), key("miner"), bits=bits, extra=extra)
        self._tip = block.header
        self._recent.append(pow.TimedBits(block.header.timestamp, block.header.bits))
        return block

    def raws(self, count: int, transfers: Sequence[Spend] | None = None) -> list[bytes]:
        """`count` encoded blocks that share `transfers` evenly, in order."""
        waiting = transfers or []
        share = len(waiting) // count
        return [codec.encode_block(self.add(waiting[i * share : (i + 1) * share])) for i in range(count)]


@contextmanager
def committing(config: Config, coin: Coin) -> Iterator[None]:
    """Another user of a node's database commits 200 times a second, here: its processor time is not the node's."""
    store, done = Store.open(config, coin, check_file=False), threading.Event()

    def commit() -> None:
        while not done.wait(_EACH):
            store.write(lambda conn: meta.replace(conn, "bench", b""))

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        store.close()


def open_store(data: Path, coin: Coin, *, check_file: bool = True, mempool_bytes: int = 32_000_000) -> Store:
    return Store.open(Config(data=data, mempool_bytes=mempool_bytes), coin, check_file=check_file)


def connect(chain: Chain, raws: list[bytes]) -> None:
    """One after the other, each durable before the next."""
    for raw in raws:
        outcome = chain.accept_block(raw, FAR)
        assert outcome.status == "extended", outcome


def connect_many(chain: Chain, raws: list[bytes]) -> None:
    """As sync does: several to a transaction."""
    assert all(outcome.status == "extended" for outcome in chain.accept_blocks(raws, FAR))


def open_node(data: Path, coin: Coin) -> Node:
    """A node in this process, with room for 100 MB of transfers."""
    data.mkdir(exist_ok=True)
    (data / "coin.toml").write_text(coin_to_toml(coin))
    return Node.open(Config(data, development=True, min_fee=0, manual=True, mempool_bytes=100_000_000))


def fill_pool(node: Node, missing: int, numbers: count[int], rng: random.Random, popular: bytes | None = None) -> None:
    """Put as many transfers into the pool, each sender's in order; as rows, their signatures are not looked at.

    `numbers`: of transfers, the next first: `SENDERS` for each sequence. `popular`: who gets every second one.
    """
    people = senders(0)
    while missing > 0:
        news = []
        for number in (next(numbers) for _ in range(min(5_000, missing))):
            sender, sequence = people[number % SENDERS].payload, number // SENDERS
            receiver = popular if popular and number % 2 else bytes([0]) + rng.randbytes(32)
            made = Transfer(sender, receiver, 1, rng.randint(1, 100), sequence, b"", rng.randbytes(64))
            news.append((codec.outline(made, codec.txid(made)), True))
        node.store.write(partial(entries.add_many, new=news), clean=True)
        missing -= len(news)


def make_chain(data: Path, coin: Coin, raws: list[bytes]) -> None:
    """A data folder with these blocks."""
    data.mkdir()
    store = open_store(data, coin)
    Chain(store).accept_blocks(raws, FAR)
    store.close()
