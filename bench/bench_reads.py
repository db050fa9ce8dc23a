"""What answers cost: milliseconds of processor per 100 rows, in this process and without HTTP.

make bench, or .venv/bin/python -m bench.bench_reads
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from bench.chains import FAR, Line, Payments, bench_coin, senders
from bench.common import SHORT, Figure, below, folder, report
from node.api.accounts import HistoryQuery, history
from node.api.blocks import BlockQuery, list_blocks, show_block, tips
from node.api.endpoint import Call
from node.api.fields import encode
from node.api.node import open_node
from node.api.transactions import PoolQuery, pool, proof
from node.config import Config
from node.core import codec
from node.core.coinfile import coin_to_toml
from node.core.hashing import show
from tests.support import key

FULL = 4_900
BLOCKS = 2 if SHORT else 6
EMPTY = 1_000 if SHORT else 20_000
WAITING = 2_000 if SHORT else 20_000
ROUNDS = 3 if SHORT else 9


def cost(call: Callable[[], object], rows: int) -> list[float]:
    """Milliseconds of processor per 100 rows, each time it is called."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        encode(call())
        taken.append((time.process_time() - began) * 1e5 / rows)
    return taken


def main() -> None:
    coin = bench_coin()
    line, payments = Line(coin), Payments(coin)
    raws = line.raws(EMPTY) + line.raws(BLOCKS, payments.take(BLOCKS * FULL))
    with folder() as data:
        (data / "coin.toml").write_text(coin_to_toml(coin))
        node = open_node(Config(data, development=True, min_fee=0, manual=True))
        node.chain.accept_blocks(raws, FAR)
        for start in range(0, WAITING, 500):
            node.mempool.accept_transfers(payments.take(500) if start < WAITING else [])
        last = codec.decode_block(raws[-1])
        txid = show(codec.txid(last.transactions[FULL // 2]))

        def of(address: str) -> Callable[[], object]:
            return lambda: history(node, Call({"address": address}, HistoryQuery(limit=1000), None, "127.0.0.1"))

        def call(query: object = None, **path: str) -> Call:
            return Call(path, query, None, "127.0.0.1")

        sender, miner = senders()[0].address(coin), key("miner").address(coin)
        rows = min(1000, BLOCKS * FULL // len(senders()))
        cold = cost(lambda: proof(node, call(txid=txid)), 100)
        figures: list[Figure] = [
            below("a sender's history in full blocks", cost(of(sender), rows), "ms/100 rows", 10),
            below("a miner's history, 1,000 rows", cost(of(miner), 1000), "ms/100 rows", 10),
            below(
                "1,000 blocks of the list",
                cost(lambda: list_blocks(node, call(BlockQuery(limit=1000))), 1000),
                "ms/100 rows",
                10,
            ),
            below(
                f"a block of {FULL:,} transfers",
                cost(lambda: show_block(node, call(block=str(len(raws)))), FULL),
                "ms/100 rows",
                10,
            ),
            below("a proof, the first of its block", cold[:1], "ms", 15),
            below("a proof, the next ones", [median(cold[1:])], "ms", 1),
            below(
                "a page of the mempool, 1,000 rows",
                cost(lambda: pool(node, call(PoolQuery(limit=1000))), 1000),
                "ms/100 rows",
                10,
            ),
            below(
                f"the tips of {len(raws):,} blocks, seen before", cost(lambda: tips(node, call()), 100)[1:], "ms", 10
            ),
        ]
        node.store.close()
    report("reads", figures)


if __name__ == "__main__":
    main()
