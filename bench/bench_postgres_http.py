"""What a node on PostgreSQL answers over HTTP, in turns with one on SQLite; then two nodes on one database.

200 accounts in turn: from what is kept, and beside 200 commits a second, when each has to be looked up anew. The
server, the nodes, whoever commits and whoever asks share this machine's processors, so the database's part is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter

import psutil

from bench.chains import Line, Payments, bench_coin, committing, connect_many, senders
from bench.common import SHORT, Cost, Figure, at_least, folder, in_turns, plain, ratios, report
from bench.databases import database, on_disk
from bench.process import Served, node, under_load
from moneyer.node.chain.accept import Chain
from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.store.engine import Store
from tests.kit.postgres.cluster import PostgresServer

CONNECTIONS = 4
SECONDS = 1.0 if SHORT else 3.0
ROUNDS = 3 if SHORT else 5


@contextmanager
def serving(
    server: PostgresServer | None, coin: Coin, raws: list[bytes], count: int = 1
) -> Iterator[tuple[list[Served], Config]]:
    """So many nodes on one database with a chain, and the configuration by which to reach it."""
    with folder() as data, database(server) as url, ExitStack() as nodes:
        config = Config(data / "node0", database_url=url)
        store = Store.open(config, coin)
        connect_many(Chain(store), raws)
        store.close()
        options = () if url is None else ("--database", url)
        yield [nodes.enter_context(node(data / f"node{i}", coin, *options)) for i in range(count)], config


def asking(nodes: list[Served], paths: list[str]) -> Cost:
    """Answers a second of all nodes together, each asked over connections of its own; the nodes' processor for one."""
    with ThreadPoolExecutor(len(nodes)) as threads:
        asked = partial(under_load, connections=CONNECTIONS, seconds=SECONDS, path=" ".join(paths))
        found = list(threads.map(asked, nodes))
    assert all(set(result["statuses"]) == {"200"} for _, result in found), found
    return Cost(sum(cost.rate for cost, _ in found), max(cost.micros for cost, _ in found))


def share(server: PostgresServer, work: partial[Cost]) -> tuple[Cost, float]:
    """What `work` gives, and processors that the server's processes kept busy meanwhile."""
    assert server.process is not None
    before, clock = _spent(server.process.pid), perf_counter()
    cost = work()
    return cost, (_spent(server.process.pid) - before) / (perf_counter() - clock)


def _spent(pid: int) -> float:
    main = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in (main, *main.children(recursive=True)))


def compared(what: str, file: list[Cost], ours: list[Cost]) -> list[Figure]:
    return [
        plain(f"{what}, SQLite", file, "/s"),
        plain(f"{what}, PostgreSQL", ours, "/s"),
        at_least(f"{what}: PostgreSQL / SQLite", ratios(ours, file), "×", 0.5),
    ]


def main() -> None:
    coin = bench_coin()
    raws = Line(coin).raws(200, Payments(coin, receivers=4).take(4_000))
    paths = [f"/v1/accounts/{each.address(coin)}" for each in senders()]
    figures: list[Figure] = []
    with on_disk() as server:
        with serving(None, coin, raws) as (of_file, here), serving(server, coin, raws) as (of_server, there):
            both = (partial(asking, of_file, paths), partial(asking, of_server, paths))
            figures += compared("kept answers", *in_turns(ROUNDS, *both))
            with committing(here, coin), committing(there, coin):
                figures += compared("looked up beside commits", *in_turns(ROUNDS, *both))
        with serving(server, coin, raws, count=2) as (nodes, where), committing(where, coin):
            busy: list[float] = []

            def measured(some: list[Served]) -> Cost:
                cost, part = share(server, partial(asking, some, paths))
                busy.append(part)
                return cost

            one, two = in_turns(ROUNDS, partial(measured, nodes[:1]), partial(measured, nodes))
            figures += [
                plain("one node", one, "/s"),
                plain("two nodes", two, "/s"),
                at_least("two nodes / one", ratios(two, one), "×", 1.7),
                plain("processors that the server keeps busy beside one", busy[0::2], ""),
                plain("… beside two", busy[1::2], ""),
            ]
    report("postgres_http", figures)


if __name__ == "__main__":
    main()
