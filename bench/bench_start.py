"""A start on a chain of 10,000 blocks: until the node answers; and how long the check of the file is of that."""

from __future__ import annotations

from bench.chains import FAR, Line, Payments, bench_coin, open_store
from bench.common import SHORT, below, folder, plain, report, seconds
from bench.process import node
from moneyer.node.chain.accept import Chain

BLOCKS = 2_000 if SHORT else 10_000
TRANSFERS = 2_000 if SHORT else 20_000
ROUNDS = 2 if SHORT else 7


def main() -> None:
    coin = bench_coin()
    with folder() as data:
        store = open_store(data, coin)
        Chain(store).accept_blocks(Line(coin).raws(BLOCKS, Payments(coin).take(TRANSFERS)), FAR)
        store.close()
        answered, opened, unchecked = [], [], []
        for _ in range(ROUNDS):
            with node(data, coin) as served:
                answered.append(served.start_seconds)
            opened.append(seconds(lambda: open_store(data, coin).close()))
            unchecked.append(seconds(lambda: open_store(data, coin, check_file=False).close()))
        megabytes = (data / "chain.db").stat().st_size / 1e6
    figures = [
        below(f"a node on {BLOCKS:,} blocks, from its start until it answers", answered, "s", 2),
        plain("of that, Store.open", opened, "s"),
        plain("Store.open without looking at the file", unchecked, "s"),
        plain("the file", [megabytes], "MB"),
    ]
    report("start", figures)


if __name__ == "__main__":
    main()
