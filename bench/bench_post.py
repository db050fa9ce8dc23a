"""POST /v1/transactions, signed, durable when answered, against the raw driver that commits one by one, in turns.

Also without HTTP: `Mempool.accept_transfer` from eight threads.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import load
from bench.chains import Payments, bench_coin, open_store
from bench.common import SHORT, at_least, folder, in_turns, plain, ratios, report, seconds
from bench.process import Served, node
from moneyer.node.chain.mempool import Mempool
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Transfer
from moneyer.node.store.backends.driver import driver, journal_mode

CONNECTIONS = 8
ROUNDS = 2 if SHORT else 5
COUNT = 500 if SHORT else 3_000
"""Transfers a round."""


def posting(served: Served, payments: Payments, bodies: Path, p99: list[float]) -> float:
    """Transfers a second that were answered with 201."""
    lines = [json.dumps({"raw": codec.encode_transaction(each).hex()}) for each in payments.take(COUNT)]
    bodies.write_text("\n".join(lines))
    result = load.run(served.port, CONNECTIONS, 600, "/v1/transactions", bodies)
    assert result["statuses"] == {"201": COUNT}, result
    p99.append(result["p99"])
    return float(result["rate"])


def accepting(coin: Coin, transfers: list[Transfer]) -> float:
    """Transfers a second from as many threads, each durable when it is taken."""
    with folder() as data:
        store = open_store(data, coin)
        mempool = Mempool(store)
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            took = seconds(lambda: list(threads.map(mempool.accept_transfer, transfers)))
        store.close()
    return len(transfers) / took


def inserting(transfers: list[Transfer]) -> float:
    """Rows a second: BEGIN, one INSERT, a durable COMMIT, and nothing else."""
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

        took = seconds(work)
        database.close()
    return len(rows) / took


def main() -> None:
    coin = bench_coin()
    transfers = Payments(coin).take(COUNT)
    payments = Payments(coin)
    p99: list[float] = []
    with folder() as data, node(data / "node", coin) as served:
        posted, raw, accepted = in_turns(
            ROUNDS,
            lambda: posting(served, payments, data / "bodies", p99),
            lambda: inserting(transfers),
            lambda: accepting(coin, transfers),
        )
    figures = [
        plain(f"POST /v1/transactions, {CONNECTIONS} connections", posted, "/s"),
        plain("raw driver, commit by commit", raw, "/s"),
        at_least("POST / raw driver", ratios(posted, raw), "×", 0.3),
        plain("POST, 99th percentile", p99, "ms"),
        plain(f"accept_transfer, {CONNECTIONS} threads", accepted, "/s"),
        plain("accept_transfer / raw driver", ratios(accepted, raw), "×"),
    ]
    report("post", figures)


if __name__ == "__main__":
    main()
