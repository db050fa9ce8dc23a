"""A reorg: the last block of a branch that wins, from bytes to committed.

The worst kind: nothing on the branch was checked before, and every transfer of the old chain goes back to the mempool.
Of 200 blocks and an empty mempool; and of 5 to 1,000 with one that is full, where it counts how long the write lock is
held in one go, and how long a reader waits meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import event

from bench.chains import FAR, SENDERS, Line, Payments, bench_coin, connect, connect_many, open_store
from bench.common import SHORT, Figure, below, folder, plain, report, seconds
from node.chain import Chain
from node.core import codec
from node.core.coin import Coin
from node.core.types import Transfer
from node.outcomes import Reorganized
from node.signatures import check_signatures
from node.store import blocks, mempool
from node.store.engine import Store

DEPTH = 200
TRANSFERS = 5 if SHORT else 20
ROUNDS = 1 if SHORT else 5
WAITING = 20_000 if SHORT else 190_000
"""Transfers in the full mempool."""
FULL = ((5, 1_000), (10, 1_000)) if SHORT else ((5, 1_000), (10, 1_000), (76, 1_000), (300, 250), (1_000, 50))
"""Blocks that a reorg takes off the chain, and transfers in each."""
EMPTY = (30, 100 if SHORT else 2_500)
"""The same where nothing waits."""


def reorganizing(coin: Coin, old: list[bytes], new: list[bytes], returned: int) -> float:
    """Seconds that the last block of `new` takes."""
    with folder() as data:
        store = open_store(data, coin)
        chain = Chain(store)
        connect(chain, old)
        for raw in new[:-1]:
            assert chain.accept_block(raw, FAR).status == "side_branch"
        outcomes = []
        took = seconds(lambda: outcomes.append(chain.accept_block(new[-1], FAR)))
        assert isinstance(outcomes[0], Reorganized), outcomes
        assert outcomes[0].disconnected == DEPTH
        with store.read() as conn:
            assert mempool.totals(conn)[0] == returned
        store.close()
    return took


@contextmanager
def watching(store: Store) -> Iterator[tuple[list[tuple[float, float]], list[float]]]:
    """Of each write transaction the seconds that it holds the lock, by the clock and of the processor; and the seconds
    that a reader's look at the tip takes meanwhile."""
    held: list[tuple[float, float]] = []
    waited: list[float] = []
    began = [0.0, 0.0]
    engine = store._writer._engine

    def begin(_conn: object) -> None:
        began[:] = time.perf_counter(), time.thread_time()

    def end(*_rest: object) -> None:
        held.append((time.perf_counter() - began[0], time.thread_time() - began[1]))

    def look() -> None:
        with store.read() as conn:
            blocks.tip(conn)
            mempool.totals(conn)

    def read() -> None:
        while not done.wait(0.01):
            waited.append(seconds(look))

    done = threading.Event()
    reader = threading.Thread(target=read)
    event.listen(engine, "begin", begin)
    event.listen(engine, "checkin", end)
    reader.start()
    yield held, waited
    done.set()
    reader.join()
    event.remove(engine, "begin", begin)
    event.remove(engine, "checkin", end)


def behind(payments: Payments, count: int) -> list[Transfer]:
    """What the senders send next; not signed, as only a mempool's door looks at that."""
    first = payments.take(SENDERS)
    return [
        replace(each, sequence=each.sequence + number, memo=b"") for number in range(count // SENDERS) for each in first
    ]


def fill(store: Store, waiting: list[Transfer]) -> None:
    """Put transfers into the mempool without asking its policy."""
    for start in range(0, len(waiting), 10_000):
        news = [(codec.outline(each, codec.txid(each)), True) for each in waiting[start : start + 10_000]]
        store.submit(lambda conn, news=news: mempool.add_many(conn, news), alone=True).result()  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Reorg:
    """Seconds. `took`: all of it; `held`, `used`: the longest hold of the write lock, by the clock and of the
    processor; `waited`: a reader's longest look. `waiting`: transfers in the mempool at the end."""

    took: float
    held: float
    used: float
    waited: float
    transactions: int
    waiting: int


def reorg(coin: Coin, depth: int, transfers: int, waiting: int) -> Reorg:
    payments = Payments(coin)
    old = Line(coin, "old").raws(depth, payments.take(depth * transfers))
    new = Line(coin, "new").raws(depth + 1)
    pool = behind(payments, waiting)
    size = sum(map(codec.transaction_size, pool))
    with folder() as data:
        store = open_store(data, coin, mempool_bytes=size if waiting else 32_000_000)
        chain = Chain(store)
        connect_many(chain, old)
        fill(store, pool)
        pool.clear()
        for raw in new[:-1]:
            chain.accept_block(raw, FAR, asked=True)
        with watching(store) as (held, waited):
            took = seconds(lambda: chain.accept_block(new[-1], FAR, asked=True))
        with store.read() as conn:
            back = mempool.totals(conn)[0]
        store.close()
    by_clock, by_processor = zip(*held, strict=True)
    return Reorg(took, max(by_clock), max(by_processor), max(waited, default=0.0), len(held), back)


def full_pool(coin: Coin) -> Iterator[Figure]:
    for depth, transfers in FULL:
        one = reorg(coin, depth, transfers, WAITING)
        name = f"{depth} blocks of {transfers:,}, {WAITING:,} waiting"
        yield below(f"{name}: the longest hold of the write lock", [one.held], "s", 2)
        yield plain("of the processor", [one.used], "s")
        yield plain(f"all of it, in {one.transactions} transactions", [one.took], "s")
        yield plain("a reader waits at most", [one.waited * 1000], "ms")
    depth, transfers = EMPTY
    one = reorg(coin, depth, transfers, 0)
    assert one.waiting == depth * transfers
    yield below(f"{depth} blocks of {transfers:,} that all return to an empty mempool", [one.took], "s", 4)
    yield plain("the longest hold of the write lock", [one.held], "s")
    yield plain("of the processor", [one.used], "s")


def main() -> None:
    coin = bench_coin(retarget=False)
    old: list[Transfer] = Payments(coin).take(DEPTH * TRANSFERS)
    new = Payments(coin, group=1).take((DEPTH + 1) * TRANSFERS)
    old_raws = Line(coin, "old").raws(DEPTH, old)
    new_raws = Line(coin, "new").raws(DEPTH + 1, new)
    both_raws = Line(coin, "both").raws(DEPTH + 1, [*old, *new[:TRANSFERS]])
    name = f"{DEPTH} blocks of {TRANSFERS} transfers"
    figures: list[Figure] = [
        below(
            f"{name} that all return to the mempool",
            [reorganizing(coin, old_raws, new_raws, len(old)) for _ in range(ROUNDS)],
            "s",
            1,
        ),
        below(
            f"{name} that the branch has too",
            [reorganizing(coin, old_raws, both_raws, 0) for _ in range(ROUNDS)],
            "s",
            1,
        ),
        below(
            f"{DEPTH} empty blocks",
            [reorganizing(coin, Line(coin, "a").raws(DEPTH), Line(coin, "b").raws(DEPTH + 1), 0)],
            "s",
            1,
        ),
        plain("of that, the branch's signatures", [seconds(lambda: check_signatures(coin.chain_id, new))], "s"),
    ]
    report("reorg", [*figures, *full_pool(coin)])


if __name__ == "__main__":
    main()
