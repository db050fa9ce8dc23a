"""What the reads that pages draw from take on a long chain: milliseconds an answer, in this process and without HTTP.

100,000 blocks and a million transfers (in the short form 2,000 and 20,000); each answer is made anew every time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from random import Random
from typing import TypeVar

from bench.chains import FAR, Line, Payments, bench_coin, fill_pool, senders
from bench.common import SHORT, Figure, below, folder, report
from moneyer.node.api.calls.explore.v1_chain import StatsQuery, TreeQuery, stats, tree
from moneyer.node.api.calls.explore.v1_search import SearchQuery, search
from moneyer.node.api.calls.v1_accounts import RichQuery, rich
from moneyer.node.api.calls.v1_peers import network
from moneyer.node.api.endpoint import Answer, Call, OfChain
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.api.shapes.fields import encode
from moneyer.node.config import Config
from moneyer.node.core.codec import sha256d, show
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.service import Node
from moneyer.node.store import blocks, transactions
from tests.kit.callers.handlers import call_of

Q = TypeVar("Q")

FULL = 2_000
"""Transfers of a full block."""
FULL_BLOCKS = 10 if SHORT else 500
EMPTY = 2_000 if SHORT else 100_000
WAITING = 2_000 if SHORT else 100_000
ROUNDS = 20 if SHORT else 50


def fill(node: Node) -> None:
    """Full blocks, and empty ones on top of them."""
    line, payments = Line(node.coin), Payments(node.coin)
    for _ in range(FULL_BLOCKS // 10):
        node.chain.accept_blocks(line.raws(10, payments.take(10 * FULL)), FAR)
    for _ in range(EMPTY // 1_000):
        node.chain.accept_blocks(line.raws(1_000), FAR)


def taken(answer: Callable[[], object]) -> list[float]:
    """Milliseconds of processor for each of the answers."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        answer()
        found.append((time.process_time() - began) * 1e3)
    return found


def searches(node: Node) -> dict[str, str]:
    """Texts to look for, by what they are."""
    with node.store.read() as conn:
        row = blocks.by_height(conn, FULL_BLOCKS)
        assert row is not None
        raw = transactions.of_block(conn, row.joined)[FULL // 2]
    sender = senders()[0].address(node.coin)
    return {
        "a height": f"{FULL_BLOCKS:,}",
        "6 digits of a block's hash": show(row.block_hash)[:6],
        "6 digits of a txid": show(sha256d(raw))[:6],
        "a whole txid": show(sha256d(raw)),
        "the beginning of an address": sender[:12],
        "no digits at all": "'; DROP TABLE blocks; --",
    }


def main() -> None:
    coin = bench_coin()
    with folder() as data:
        (data / "coin.toml").write_text(coin_to_toml(coin))
        node = Node.open(Config(data, development=True, min_fee=0, manual=True))
        parts = ApiParts.of(node)
        fill(node)
        fill_pool(node, WAITING, count(FULL_BLOCKS * FULL), Random(1))

        def cost(handler: Callable[[Node, Call[Q, None]], Answer], query: Q) -> list[float]:
            def answer() -> bytes:
                found = handler(node, call_of(parts, query=query))
                return encode(found.content if isinstance(found, OfChain) else found)

            return taken(answer)

        what = f"of {EMPTY + FULL_BLOCKS:,} blocks, {FULL_BLOCKS * FULL:,} transfers"
        figures: list[Figure] = [
            below(f"the tree, 20 heights {what}", cost(tree, TreeQuery()), "ms", 2),
            below(f"the tree, 200 heights {what}", cost(tree, TreeQuery(depth=200)), "ms", 10),
            below(f"every series, 100 points {what}", cost(stats, StatsQuery()), "ms", 5),
            below(f"every series, 500 points {what}", cost(stats, StatsQuery(points=500)), "ms", 15),
            below(f"the 20 largest accounts {what}", cost(rich, RichQuery()), "ms", 2),
            below("the network of a node alone", taken(lambda: encode(network(node, call_of(parts)))), "ms", 2),
            *(
                below(f"a search, {WAITING:,} waiting: {each}", cost(search, SearchQuery(text)), "ms", 10)
                for each, text in searches(node).items()
            ),
        ]
        node.store.close()
    report("explore", figures)


if __name__ == "__main__":
    main()
