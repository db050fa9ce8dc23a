"""A reorg: the last block of a branch that wins, from bytes to committed.

The worst kind: nothing on the branch was checked before, and every transfer of the old chain goes back to the mempool.
Of 200 blocks and an empty mempool; of 5 to 300 blocks with one that is full, where it counts how long the write lock is
held in one go, and how long a reader and another writer wait meanwhile; and of what large and long reorgs take in all.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.pool import PoolProxiedConnection

from bench.chains import FAR, SENDERS, Line, Payments, bench_coin, connect, connect_many, open_store
from bench.common import SHORT, Figure, below, folder, plain, report, seconds
from moneyer.node.chain.accept import Chain
from moneyer.node.chain.outcomes import Reorganized
from moneyer.node.chain.signatures import verify_signatures
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Transfer
from moneyer.node.store import blocks
from moneyer.node.store.backends.sqlite.engines import open_engine
from moneyer.node.store.engine import Store
from moneyer.node.store.unconfirmed import entries

DEPTH = 20 if SHORT else 200
TRANSFERS = 5 if SHORT else 20
ROUNDS = 1 if SHORT else 5


@dataclass(frozen=True, slots=True)
class Case:
    """A reorg that takes `depth` blocks of `transfers` off the chain while `waiting` transfers fill the mempool.

    `wanted`: seconds that all of it may take, if anything is asked of that.
    """

    depth: int
    transfers: int
    waiting: int = 0
    wanted: float | None = None


FULL = (
    [Case(5, 100, 2_000), Case(20, 50, 2_000), Case(5, 500, wanted=4), Case(50, 10, wanted=4)]
    if SHORT
    else [
        *(Case(depth, 1_000, 190_000) for depth in (5, 10, 76)),
        Case(300, 250, 190_000),
        Case(30, 2_500, wanted=4),
        Case(1_000, 50, wanted=4),
    ]
)
FULL_ROUNDS = 1 if SHORT else 3


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
            assert entries.totals(conn)[0] == returned
        store.close()
    return took


@dataclass(slots=True)
class Watched:
    """Seconds. `held`, `used`: how long each write transaction held the lock, by the clock and of the processor;
    `read`, `wrote`: how long each of a reader's and another writer's looks took."""

    held: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    wrote: list[float] = field(default_factory=list)


@contextmanager
def watching(store: Store) -> Iterator[Watched]:
    """What a node's writes, a reader and another writer, which has a connection of its own, meet meanwhile."""
    watched = Watched()
    began = [0.0, 0.0]
    _, engine = store.engines
    other = open_engine(store.config.database, write=True, busy_seconds=600)

    def begin(_conn: object) -> None:
        began[:] = time.perf_counter(), time.thread_time()

    def end(connection: PoolProxiedConnection) -> None:
        commit(connection)
        watched.held.append(time.perf_counter() - began[0])
        watched.used.append(time.thread_time() - began[1])

    def look() -> None:
        with store.read() as conn:
            blocks.tip(conn)
            entries.totals(conn)

    def write() -> None:
        with other.begin():
            pass

    def repeat(work: Callable[[], None], times: list[float]) -> None:
        while not done.wait(0.01):
            times.append(seconds(work))

    done = threading.Event()
    threads = [
        threading.Thread(target=repeat, args=(look, watched.read)),
        threading.Thread(target=repeat, args=(write, watched.wrote)),
    ]
    event.listen(engine, "begin", begin)
    commit, engine.dialect.do_commit = engine.dialect.do_commit, end  # type: ignore[method-assign, assignment]
    for thread in threads:
        thread.start()
    try:
        yield watched
    finally:
        done.set()
        for thread in threads:
            thread.join()
        event.remove(engine, "begin", begin)
        engine.dialect.do_commit = commit  # type: ignore[method-assign]
        other.dispose()


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
        store.submit(lambda conn, news=news: entries.add_many(conn, news), alone=True).result()  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder whose node lacks but the last block of the branch. `size`: bytes of its full mempool."""

    data: Path
    last: bytes
    size: int


def prepared(coin: Coin, case: Case, data: Path) -> Prepared:
    payments = Payments(coin)
    old = Line(coin, "old").raws(case.depth, payments.take(case.depth * case.transfers))
    new = Line(coin, "new").raws(case.depth + 1)
    pool = behind(payments, case.waiting)
    size = sum(map(codec.transaction_size, pool)) or 32_000_000
    store = open_store(data, coin, mempool_bytes=size)
    chain = Chain(store)
    connect_many(chain, old)
    fill(store, pool)
    for raw in new[:-1]:
        chain.accept_block(raw, FAR, asked=True)
    store.close()
    return Prepared(data, new[-1], size)


def reorg(coin: Coin, case: Case, ready: Prepared) -> tuple[float, Watched]:
    """Seconds that all of it takes, on a copy of the folder; and what was seen meanwhile."""
    with folder() as where:
        data = shutil.copytree(ready.data, where / "data")
        store = open_store(data, coin, mempool_bytes=ready.size)
        chain = Chain(store)
        with watching(store) as watched:
            took = seconds(lambda: chain.accept_block(ready.last, FAR, asked=True))
        with store.read() as conn:
            assert blocks.tip(conn).height == case.depth + 1
            assert entries.totals(conn)[0] == (case.waiting or case.depth * case.transfers)
        store.close()
    return took, watched


def in_full(coin: Coin, case: Case) -> Iterator[Figure]:
    with folder() as where:
        ready = prepared(coin, case, where / "data")
        runs = [reorg(coin, case, ready) for _ in range(FULL_ROUNDS)]
    seen = [watched for _, watched in runs]
    took = [each for each, _ in runs]
    name = f"{case.depth:,} blocks of {case.transfers:,}, {case.waiting:,} waiting: all of it"
    yield plain(name, took, "s") if case.wanted is None else below(name, took, "s", case.wanted)
    yield below("the longest hold of the write lock", [max(each.held) for each in seen], "s", 2)
    yield plain("of the processor", [max(each.used) for each in seen], "s")
    yield plain("transactions", [len(each.held) for each in seen], "")
    yield plain("another writer waits at most", [max(each.wrote, default=0) for each in seen], "s")
    yield plain("a reader waits at most", [1000 * max(each.read, default=0) for each in seen], "ms")


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
        plain("of that, the branch's signatures", [seconds(lambda: verify_signatures(coin.chain_id, new))], "s"),
    ]
    report("reorg", [*figures, *(figure for case in FULL for figure in in_full(coin, case))])


if __name__ == "__main__":
    main()
