"""GET /v1/status against a handler that does nothing, on the same server, in turns; eight kept-alive connections."""

from __future__ import annotations

from bench.chains import Line, bench_coin, connect, open_store
from bench.common import SHORT, Cost, at_least, by_processor, folder, in_turns, plain, ratios, report
from bench.process import Served, node, trivial, under_load
from moneyer.node.chain.accept import Chain

CONNECTIONS = 8
SECONDS = 1.0 if SHORT else 4.0
ROUNDS = 2 if SHORT else 5


def asking(served: Served, path: str, p99: list[float]) -> Cost:
    """Answers a second, and what one takes."""
    cost, result = under_load(served, CONNECTIONS, SECONDS, path)
    assert set(result["statuses"]) == {"200"}, result
    p99.append(result["p99"])
    return cost


def main() -> None:
    coin = bench_coin()
    p99: list[float] = []
    with folder() as data:
        store = open_store(data, coin)
        connect(Chain(store), Line(coin).raws(20))
        store.close()
        with node(data, coin) as ours, trivial() as other:
            status, least = in_turns(ROUNDS, lambda: asking(ours, "/v1/status", p99), lambda: asking(other, "/", []))
    figures = [
        plain("GET /v1/status", status, "/s"),
        plain("a trivial handler", least, "/s"),
        at_least("GET /v1/status / trivial", ratios(status, least), "×", 0.25),
        by_processor("GET /v1/status by trivial handler", status, least),
        plain("GET /v1/status, 99th percentile", p99, "ms"),
    ]
    report("status", figures)


if __name__ == "__main__":
    main()
