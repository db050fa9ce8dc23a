"""Accepting signed transfers, durable when answered: by POST from one connection and from eight, and in peers' batches.

POST runs in turns with the raw driver that commits one by one, batches with their signature checks alone. Also without
HTTP: `Mempool.accept_transfer` from eight threads.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from bench.chains import Payments, bench_coin, fill_pool, open_node, open_store
from bench.common import (
    SHORT,
    Cost,
    Figure,
    at_least,
    by_processor,
    costs,
    folder,
    held,
    in_turns,
    plain,
    ratios,
    report,
)
from bench.process import Served, node, under_load
from moneyer.node.api.calls.p2p_calls import take_transactions
from moneyer.node.api.endpoint import Call
from moneyer.node.api.http.inflight import Flight
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.chain.mempool import AT_ONCE, Mempool
from moneyer.node.chain.signatures import verify_signatures
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Transfer
from moneyer.node.service import Node
from moneyer.node.store.backends.sqlite.driver import driver, journal_mode
from tests.kit.callers.handlers import HERE

CONNECTIONS = 8
ROUNDS = 3 if SHORT else 5
HELD_ROUNDS = 10
"""The least of three swings by a third."""
COUNT = 500 if SHORT else 3_000
"""Transfers a round."""
POOLS = (0, 2_000) if SHORT else (0, 40_000, 200_000)
"""Transfers that wait already, of other senders."""


def posting(served: Served, connections: int, payments: Payments, bodies: Path, p99: list[float]) -> Cost:
    """Transfers that were answered with 201. The processor is the node's."""
    lines = [json.dumps({"raw": codec.encode_transaction(each).hex()}) for each in payments.take(COUNT)]
    bodies.write_text("\n".join(lines))
    cost, result = under_load(served, connections, 600, "/v1/transactions", bodies)
    assert result["statuses"] == {"201": COUNT}, result
    p99.append(result["p99"])
    return cost


def accepting(coin: Coin, transfers: list[Transfer]) -> Cost:
    """Transfers from as many threads as there were connections, each durable when it is taken."""
    with folder() as data:
        store = open_store(data, coin)
        mempool = Mempool(store)
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            cost = costs(len(transfers), lambda: list(threads.map(mempool.accept_transfer, transfers)))
        store.close()
    return cost


def inserting(transfers: list[Transfer]) -> Cost:
    """Rows: BEGIN, one INSERT, a durable COMMIT, and nothing else."""
    rows = [(codec.txid(each), codec.encode_transaction(each)) for each in transfers]
    with folder() as data:
        database = driver.connect(str(data / "raw.db"), isolation_level=None)
        database.execute(f"PRAGMA journal_mode={journal_mode}")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE mempool (txid BLOB PRIMARY KEY, raw BLOB NOT NULL)")

        def work() -> None:
            for row in rows:
                database.execute("BEGIN IMMEDIATE")
                database.execute("INSERT INTO mempool VALUES (?, ?)", row)
                database.execute("COMMIT")

        cost = costs(len(rows), work)
        database.close()
    return cost


def posts(coin: Coin) -> list[Figure]:
    transfers = Payments(coin).take(COUNT)
    payments = Payments(coin)
    p99: list[float] = []
    with folder() as data, node(data / "node", coin) as served:
        posted, alone, raw, accepted = in_turns(
            ROUNDS,
            lambda: posting(served, CONNECTIONS, payments, data / "bodies", p99),
            lambda: posting(served, 1, payments, data / "bodies", []),
            lambda: inserting(transfers),
            lambda: accepting(coin, transfers),
        )
    many, one = f"POST /v1/transactions, {CONNECTIONS} connections", "POST /v1/transactions, 1 connection"
    return [
        plain(many, posted, "/s"),
        plain(one, alone, "/s"),
        plain("raw driver, commit by commit", raw, "/s"),
        at_least("POST / raw driver", ratios(posted, raw), "×", 0.3),
        at_least("POST, 1 connection / raw driver", ratios(alone, raw), "×", 0.9),
        by_processor(f"{many}, by raw driver", posted, raw),
        by_processor(f"{one}, by raw driver", alone, raw),
        plain("POST, 99th percentile", p99, "ms"),
        plain(f"accept_transfer, {CONNECTIONS} threads", accepted, "/s"),
        plain("accept_transfer / raw driver", ratios(accepted, raw), "×"),
    ]


def delivering(node: Node, parts: ApiParts, payments: Payments) -> Cost:
    """Transfers in batches of 500, as `/p2p/transactions` hands them to its handler in a thread of the server."""
    batches = [payments.take(AT_ONCE) for _ in range(max(1, COUNT // AT_ONCE))]
    bodies = [b"".join(map(codec.encode_transaction, each)) for each in batches]
    calls = [Call({}, None, body, Flight(HERE), parts, HERE) for body in bodies]

    def work() -> None:
        for call in calls:
            assert take_transactions(node, call).accepted == AT_ONCE

    with ThreadPoolExecutor(1) as thread:
        return costs(len(batches) * AT_ONCE, lambda: thread.submit(work).result())


def checking(coin: Coin, transfers: list[Transfer]) -> Cost:
    """Their signature checks alone."""
    return costs(len(transfers), lambda: verify_signatures(coin.chain_id, transfers))


def deliveries(coin: Coin) -> list[Figure]:
    """The same at every size of the pool."""
    figures: list[Figure] = []
    transfers = Payments(coin).take(COUNT)
    for size in POOLS:
        with folder() as data:
            ours = open_node(data / "node", coin)
            fill_pool(ours, size, count(), Random(1))
            work = partial(delivering, ours, ApiParts.of(ours), Payments(coin, group=1))
            delivered, checked = in_turns(HELD_ROUNDS, work, lambda: checking(coin, transfers))
            ours.close()
        what = f"batches of {AT_ONCE} on {size:,}"
        figures += [
            at_least(what, delivered, "/s", 8_000),
            plain("their signature checks alone", checked, "/s"),
            held(f"{what}, by signature checks", delivered, checked),
        ]
    return figures


def main() -> None:
    coin = bench_coin()
    report("post", [*posts(coin), *deliveries(coin)])


if __name__ == "__main__":
    main()
