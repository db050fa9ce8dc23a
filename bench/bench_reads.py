"""What answers cost: milliseconds of processor per 100 rows, in this process and without HTTP.

make bench, or .venv/bin/python -m bench.bench_reads
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import TypeVar

from bench.chains import FAR, SENDERS, Line, Payments, bench_coin, fill_pool, senders
from bench.common import SHORT, Cost, Figure, below, costs, folder, held, in_turns, plain, report
from moneyer.node.api.calls.v1_accounts import HistoryQuery, history, show_account
from moneyer.node.api.calls.v1_blocks import BlockQuery, list_blocks, show_block, tips
from moneyer.node.api.calls.v1_transactions import PoolQuery, pool, proof, show_transaction
from moneyer.node.api.endpoint import Answer, Call, OfChain
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.api.shapes.fields import encode
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.service import Node
from moneyer.node.store.backends.sqlite.driver import driver
from tests.kit.callers.handlers import call_of
from tests.kit.chains import key

Q = TypeVar("Q")

FULL = 4_900
BLOCKS = 2 if SHORT else 6
EMPTY = 1_000 if SHORT else 20_000
WAITING = 2_000 if SHORT else 190_000
ROUNDS = 3 if SHORT else 9


def cost(call: Callable[[], object], rows: int) -> list[float]:
    """Milliseconds of processor per 100 rows, each time it is called."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        taken.append((time.process_time() - began) * 1e5 / rows)
    return taken


Ask = Callable[..., Callable[[], object]]


_PIECES = {"an account": 200, "a transaction": 200, "a history page of 50": 12, "a full block": 1}
"""That each take about as long as the yardstick's, some 15 ms: of long ones none would fall into a moment in which the
machine is quick, and of short ones some."""
_ROUNDS = 30


def held_answers(data: Path, raws: list[bytes], txid: str, ask: Ask, sender: str) -> list[Figure]:
    """What the commonest answers take, by rows that the bare driver reads and that are written as JSON."""
    database = driver.connect(str(data / "chain.db"))
    answers = {
        "an account": ask(show_account, None, address=sender),
        "a transaction": ask(show_transaction, None, txid=txid),
        "a history page of 50": ask(history, HistoryQuery(limit=50), address=sender),
        "a full block": ask(show_block, None, block=str(len(raws))),
    }

    def row() -> None:
        hashes = database.execute("SELECT block_hash, prev_hash FROM blocks WHERE height = 500").fetchone()
        json.dumps({"block_hash": hashes[0].hex(), "prev_hash": hashes[1].hex()})

    def many(work: Callable[[], object], count: int) -> Cost:
        return costs(count, lambda: [work() for _ in range(count)])

    works = [
        partial(many, row, 2_000),
        *(partial(many, each, _PIECES[what]) for what, each in answers.items()),
    ]
    yardstick, *taken = in_turns(_ROUNDS, *works)
    database.close()
    return [
        plain("a row by the bare driver, as JSON", yardstick, "/s"),
        *(held(f"{what}, by a row as JSON", each, yardstick) for what, each in zip(answers, taken, strict=True)),
    ]


def main() -> None:
    coin = bench_coin()
    line, payments = Line(coin), Payments(coin)
    raws = line.raws(EMPTY) + line.raws(BLOCKS, payments.take(BLOCKS * FULL))
    with folder() as data:
        (data / "coin.toml").write_text(coin_to_toml(coin))
        node = Node.open(Config(data, development=True, min_fee=0, manual=True))
        parts = ApiParts.of(node)
        node.chain.accept_blocks(raws, FAR)
        popular = key("popular")
        first = BLOCKS * FULL // SENDERS * SENDERS
        fill_pool(node, WAITING, count(first), Random(1), popular.payload)
        last = codec.decode_block(raws[-1])
        txid = show(codec.txid(last.transactions[FULL // 2]))

        def ask(handler: Callable[[Node, Call[Q, None]], Answer], query: Q, **path: str) -> Callable[[], object]:
            def answer() -> bytes:
                found = handler(node, call_of(parts, path, query=query))
                return encode(found.content if isinstance(found, OfChain) else found)

            return answer

        sender, miner = senders()[0].address(coin), key("miner").address(coin)
        rows = min(1000, BLOCKS * FULL // SENDERS)
        per_rows, thousand = "ms/100 rows", HistoryQuery(limit=1000)
        cold = cost(ask(proof, None, txid=txid), 100)
        block = ask(show_block, None, block=str(len(raws)))
        template = cost(lambda: node.chain.template(popular.payload, FAR, b""), 100)
        figures: list[Figure] = [
            below("a sender's history, full blocks", cost(ask(history, thousand, address=sender), rows), per_rows, 10),
            below("a miner's history, 1,000 rows", cost(ask(history, thousand, address=miner), 1000), per_rows, 10),
            below("1,000 blocks of the list", cost(ask(list_blocks, BlockQuery(limit=1000)), 1000), per_rows, 10),
            plain("one transaction of a full block", cost(ask(show_transaction, None, txid=txid), 100), "ms"),
            plain("an account", cost(ask(show_account, None, address=sender), 100), "ms"),
            *held_answers(data, raws, txid, ask, sender),
            below(f"a block of {FULL:,} transfers", cost(block, FULL), per_rows, 10),
            below("a proof, the first of its block", cold[:1], "ms", 15),
            below("a proof, the next ones", [median(cold[1:])], "ms", 1),
            below("a page of the mempool, 1,000 rows", cost(ask(pool, PoolQuery(limit=1000)), 1000), per_rows, 10),
            below(
                f"an account that gets {WAITING // 2:,} waiting transfers",
                cost(ask(show_account, None, address=popular.address(coin)), 100),
                "ms",
                10,
            ),
            plain(f"a template, {WAITING:,} waiting, the first", template[:1], "ms"),
            below(f"a template, {WAITING:,} waiting, the next ones", template[1:], "ms", 50),
            below(f"the tips of {len(raws):,} blocks, seen before", cost(ask(tips, None), 100)[1:], "ms", 10),
        ]
        node.store.close()
    report("reads", figures)


if __name__ == "__main__":
    main()
