"""What a node answers a second by HTTP on eight kept-alive connections, beside a handler that does nothing, in turns.

Each call twice: while nothing is committed, when the node has kept its answer; and while another process commits 200
times a second (no block), when an account's answer, of 200 in turn, has to be found and rendered anew each time.
"""

from __future__ import annotations

from bench.chains import Line, Payments, bench_coin, committing, connect_many, open_store, senders
from bench.common import SHORT, Cost, Figure, at_least, by_processor, folder, in_turns, plain, report
from bench.process import Served, node, trivial, under_load
from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import key

CONNECTIONS = 8
SECONDS = 1.0 if SHORT else 3.0
ROUNDS = 2 if SHORT else 5
FULL = 4_000


def asking(served: Served, *paths: str) -> Cost:
    """Answers a second, and the node's processor for one. `paths`: asked for in turn."""
    cost, result = under_load(served, CONNECTIONS, SECONDS, " ".join(paths))
    assert set(result["statuses"]) == {"200"}, result
    return cost


def main() -> None:
    coin = bench_coin()
    line, payments = Line(coin), Payments(coin, receivers=4)
    paid = payments.take(2 * FULL + 500)
    raws = line.raws(500, paid[:500]) + line.raws(2, paid[500:])
    txid = show(codec.txid(paid[100]))
    everybody = [f"/v1/accounts/{each.address(coin)}" for each in senders()]
    history = f"/v1/accounts/{key('receiver 0').address(coin)}/transactions"
    asked: list[tuple[str, float, tuple[str, ...]]] = [
        ("GET /v1/accounts/A", 5_000, (everybody[0],)),
        ("GET /v1/accounts/A, 200 in turn", 5_000, tuple(everybody)),
        ("GET /v1/transactions/T", 5_000, (f"/v1/transactions/{txid}",)),
        ("GET /v1/blocks/H, one transfer", 5_000, ("/v1/blocks/101",)),
        ("history page of 50", 2_000, (f"{history}?limit=50",)),
        ("history page of 1,000", 150, (f"{history}?limit=1000",)),
        (f"block of {FULL:,} as JSON", 40, ("/v1/blocks/501",)),
    ]
    figures: list[Figure] = []
    with folder() as data:
        store = open_store(data, coin)
        connect_many(Chain(store), raws)
        store.close()
        with node(data, coin) as ours, trivial() as other:
            for what, wanted, paths in asked:
                mine, least = in_turns(ROUNDS, lambda: asking(ours, *paths), lambda: asking(other, "/"))  # noqa: B023
                with committing(Config(data), coin):
                    beside = [asking(ours, *paths) for _ in range(ROUNDS)]
                figures += [
                    at_least(what, mine, "/s", wanted),
                    by_processor(f"{what}, by a trivial handler", mine, least),
                    plain("… beside commits", beside, "/s"),
                ]
                if len(paths) > 1:
                    figures.append(by_processor(f"{what}, beside commits, by a trivial handler", beside, least))
    report("answers", figures)


if __name__ == "__main__":
    main()
