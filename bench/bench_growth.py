"""What grows with a chain and with a pool: processor time a piece of work, at sizes far apart.

`python -m bench.bench_growth FILE.svg` draws it too; nothing is said about other benches' yardsticks here, as what
counts is whether a line is flat.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import log10
from pathlib import Path
from random import Random
from statistics import median

import pygal
from pygal.style import CleanStyle

from bench.chains import FAR, Line, Payments, bench_coin, fill_pool, open_node, open_store
from bench.common import SHORT, Figure, folder, plain, report
from moneyer.node.api.calls.v1_accounts import HistoryQuery, history, show_account
from moneyer.node.api.calls.v1_blocks import show_block
from moneyer.node.api.calls.v1_transactions import show_transaction
from moneyer.node.api.endpoint import Answer
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.chain.accept import Chain
from moneyer.node.chain.mempool import AT_ONCE
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Transfer
from moneyer.node.service import Node
from moneyer.node.store.unconfirmed import entries
from tests.kit.callers.handlers import call_of
from tests.kit.chains import key

TRANSFERS = (2_000, 10_000) if SHORT else (10_000, 100_000, 1_000_000)
FULL = 2_000
"""Transfers of a block."""
BLOCKS = (500, 2_000) if SHORT else (1_000, 10_000, 25_000, 50_000, 100_000)
POOLS = (0, 2_000) if SHORT else (0, 10_000, 50_000, 200_000)
ASKED = 50 if SHORT else 200
"""Answers of a kind, each about another account, block or transfer."""


@dataclass(slots=True)
class Lines:
    """What was measured, by the name of the work: (size, microseconds of processor) a point."""

    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, what: str, size: int, micros: float) -> None:
        self.points.setdefault(what, []).append((size, micros))


def micros(work: Callable[[], object], pieces: int = 1) -> float:
    """Of processor, for each of `pieces`."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6 / pieces


def each(work: Callable[[], object]) -> float:
    """The median of `ASKED` calls."""
    return median([micros(work) for _ in range(ASKED)])


def of_transfers(coin: Coin, lines: Lines) -> Iterable[Figure]:
    """A chain of full blocks: connecting, and answers about it."""
    line, payments, rng = Line(coin), Payments(coin), Random(1)
    with folder() as data:
        node = open_node(data / "node", coin)
        parts, made, some = ApiParts.of(node), 0, list[Transfer]()
        for size in TRANSFERS:
            spent = 0.0
            while made < size:
                transfers = payments.take(FULL)
                some += rng.sample(transfers, 20)
                raw = codec.encode_block(line.add(transfers))
                spent = micros(partial(node.chain.accept_blocks, [raw], FAR), FULL)
                made += FULL
            lines.add("connect a transfer", size, spent)
            for what, work in questions(node, parts, rng, rng.choices(some, k=4 * ASKED), made // FULL):
                lines.add(what, size, each(work))
        node.store.close()
        yield plain("bytes a transfer on disk", [(data / "node" / "chain.db").stat().st_size / TRANSFERS[-1]], "bytes")


def questions(
    node: Node, parts: ApiParts, rng: Random, some: list[Transfer], height: int
) -> Iterable[tuple[str, Callable[[], Answer]]]:
    """What is asked of a node on a chain of full blocks; each call asks for another account, transfer or block."""
    asked = iter(some)

    def ask(handler: Callable[..., Answer], query: object = None, **path: str) -> Answer:
        return handler(node, call_of(parts, path, query=query))

    return (
        ("GET account", lambda: ask(show_account, address=node.coin.address(next(asked).receiver))),
        ("GET transaction", lambda: ask(show_transaction, txid=show(codec.txid(next(asked))))),
        (
            "GET 50 of a history",
            lambda: ask(history, HistoryQuery(limit=50), address=node.coin.address(next(asked).sender)),
        ),
        (f"GET a block of {FULL:,}", lambda: ask(show_block, block=str(rng.randint(1, height)))),
    )


def of_blocks(coin: Coin, lines: Lines) -> Iterable[Figure]:
    """A chain of empty blocks: connecting, and opening the file."""
    line, made = Line(coin), 0
    for_each: list[float] = []
    with folder() as data:
        for size in BLOCKS:
            store = open_store(data, coin)
            chain = Chain(store)
            while made < size:
                step = min(1_000, size - made)
                raws = line.raws(step)
                for_each.append(micros(partial(chain.accept_blocks, raws, FAR), step))
                made += step
            store.close()
            lines.add("connect an empty block", size, median(for_each[-10:]))
            lines.add("open the file", size, micros(lambda: open_store(data, coin).close()))
    tenth = max(1, len(for_each) // 10)
    yield plain("an empty block, last tenth / first tenth", [median(for_each[-tenth:]) / median(for_each[:tenth])], "×")


def of_pools(coin: Coin, lines: Lines) -> Iterable[Figure]:
    """A mempool that fills: accepting, one by one and in batches, and templates."""
    payments, numbers, rng = Payments(coin, group=1), count(), Random(1)
    with folder() as data:
        node = open_node(data / "node", coin)
        for size in POOLS:
            with node.store.read() as conn:
                missing = size - entries.totals(conn)[0]
            fill_pool(node, missing, numbers, rng)
            lines.add("accept a transfer", size, accepted(node, payments.take(ASKED)))
            lines.add("accept one of a batch", size, accepted(node, payments.take(AT_ONCE), as_batch=True))
            lines.add("a template", size, min(templated(node) for _ in range(3)))
        node.store.close()
    return ()


def accepted(node: Node, transfers: list[Transfer], *, as_batch: bool = False) -> float:
    """Microseconds for each, signature included, durable."""
    if as_batch:
        return micros(lambda: node.mempool.accept_transfers(transfers), len(transfers))
    # Not in the main thread, which leads no commit: `store.writer`.
    with ThreadPoolExecutor(1) as caller:
        return micros(lambda: list(caller.map(node.mempool.accept_transfer, transfers)), len(transfers))


def templated(node: Node) -> float:
    return micros(lambda: node.chain.template(key("miner").payload, FAR, b""))


def figures(lines: Lines) -> list[Figure]:
    """One a point, and how much the last is above the first."""
    made: list[Figure] = []
    for what, points in lines.points.items():
        made += [plain(f"{what}, at {size:,}", [spent], "µs") for size, spent in points]
        made.append(plain(f"{what}, last / first", [points[-1][1] / points[0][1]], "×"))
    return made


def draw(lines: Lines, file: Path) -> None:
    """All lines, both axes by powers of ten; an empty pool has no place there."""
    chart = pygal.XY(
        logarithmic=True,
        style=CleanStyle,
        title="Processor time of a piece of work, µs",
        x_title="transfers or blocks on the chain, transfers in the pool",
        height=800,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
    )
    chart.x_labels = [{"value": power, "label": f"{10**power:,}"} for power in range(3, 7)]
    for what, points in lines.points.items():
        chart.add(what, [(log10(size), spent) for size, spent in points if size])
    chart.render_to_file(str(file))


def main(arguments: Sequence[str]) -> None:
    coin, lines = bench_coin(), Lines()
    more: list[Figure] = []
    for part in (of_transfers, of_blocks, of_pools):
        more += part(coin, lines)
    report("growth", [*figures(lines), *more])
    for name in arguments:
        draw(lines, Path(name))


if __name__ == "__main__":
    main(sys.argv[1:])
