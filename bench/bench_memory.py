"""Memory of a node's processes (PSS: what they share counted once), and whether it grows with the chain.

The chain grows by `POST /p2p/block`, as a peer would send it, while somebody asks.
"""

from __future__ import annotations

import http.client

from bench import load
from bench.chains import Line, Payments, bench_coin
from bench.common import SHORT, below, folder, plain, report
from bench.process import Served, node

BLOCKS = 200 if SHORT else 5_000
STEPS = 5
TRANSFERS = 4
"""A block."""


def push(served: Served, raws: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    for raw in raws:
        connection.request("POST", "/p2p/block", raw, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
    connection.close()


def measure(served: Served) -> float:
    """MB, behind some requests of each kind."""
    for path in ("/v1/status", "/v1/blocks?limit=50", "/v1/mempool", "/metrics", "/"):
        load.run(served.port, 8, 0.05 if SHORT else 0.3, path)
    return served.pss() / 1e6


def main() -> None:
    coin = bench_coin()
    line, payments = Line(coin), Payments(coin)
    with folder() as data, node(data / "node", coin) as served:
        at_start = served.pss() / 1e6
        push(served, line.raws(100, payments.take(100 * TRANSFERS)))
        sizes = [measure(served)]
        for _ in range(STEPS):
            step = BLOCKS // STEPS
            push(served, line.raws(step, payments.take(step * TRANSFERS)))
            sizes.append(measure(served))
    figures = [
        plain("a node without its worker, just started", [at_start], "MB"),
        plain("at 100 blocks, having answered requests", [sizes[0]], "MB"),
        below(f"at {BLOCKS + 100:,} blocks", [sizes[-1]], "MB", 130),
        below("growth over the second half", [sizes[-1] - sizes[STEPS // 2 + 1]], "MB", 5),
    ]
    report("memory", figures)
    print("MB by step:", ", ".join(f"{size:.1f}" for size in sizes))


if __name__ == "__main__":
    main()
