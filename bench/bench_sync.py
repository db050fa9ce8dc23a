"""A fresh node takes another's chain over loopback, both as users start them, while someone asks for its status."""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles

from bench.chains import FAR, Line, Payments, bench_coin, make_chain, open_store
from bench.common import SHORT, Figure, at_least, below, folder, in_turns, plain, ratios, report, seconds
from bench.load import Connection, get_request
from bench.process import Served, node
from moneyer.node.chain.accept import Chain
from moneyer.node.core.coin import Coin

EMPTY = 2_000 if SHORT else 10_000
BLOCKS = 3 if SHORT else 10
TRANSFERS = 2_000
ROUNDS = 2 if SHORT else 5
PAUSE = 0.01
"""Between two questions for the status."""
_GIVE_UP = 300


@dataclass(frozen=True, slots=True)
class Run:
    """`took`: seconds from "go" until the last block is the tip; `latencies`: of GET /v1/status, seconds."""

    took: float
    latencies: list[float]

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return quantiles(self.latencies, n=100)[98] * 1000


@contextmanager
def serving(data: Path, coin: Coin, raws: list[bytes]) -> Iterator[Served]:
    """A node that has these blocks."""
    make_chain(data, coin, raws)
    with node(data, coin, "--manual") as served:
        yield served


def post(port: int, path: str, body: object = None) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=_GIVE_UP)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {answer.read()!r}")
    answer.read()
    connection.close()


def status(connection: Connection, request: bytes) -> int:
    """The height that one answer tells."""
    connection.send(request)
    while (code := connection.receive()) is None:
        select.select([connection.socket], [], [], 10)
    if code != 200:
        raise RuntimeError(f"/v1/status: {code}")
    height: int = json.loads(connection.body)["height"]
    return height


def sync(sources: list[Served], coin: Coin, height: int, data: Path | None = None) -> Run:
    """One fresh node, or one on the folder `data`, one sync from all of `sources`."""
    with folder() as empty, node(data or empty / "fresh", coin, "--manual") as fresh:
        for source in sources:
            post(fresh.port, "/v1/peers", {"url": f"http://127.0.0.1:{source.port}"})
        connection, request = Connection(fresh.port), get_request(fresh.port, "/v1/status")
        status(connection, request)
        latencies = []
        start = time.perf_counter()
        threading.Thread(target=post, args=(fresh.port, "/replace_chain"), daemon=True).start()
        while time.perf_counter() - start < _GIVE_UP:
            asked = time.perf_counter()
            reached = status(connection, request)
            latencies.append(time.perf_counter() - asked)
            if reached == height:
                return Run(time.perf_counter() - start, latencies)
            time.sleep(PAUSE)
    raise RuntimeError(f"no more than {reached} blocks of {height} came in {_GIVE_UP} s")


def from_memory(coin: Coin, raws: list[bytes]) -> float:
    """Transfers a second, connected without a network."""
    with folder() as data:
        store = open_store(data, coin)
        chain = Chain(store)
        took = seconds(lambda: chain.accept_blocks(raws, FAR))
        store.close()
    return BLOCKS * TRANSFERS / took


def empty_blocks(coin: Coin) -> list[Figure]:
    raws = Line(coin).raws(EMPTY)
    with folder() as data, serving(data / "one", coin, raws) as one, serving(data / "two", coin, raws) as two:
        alone = [sync([one], coin, EMPTY) for _ in range(ROUNDS)]
        both = [sync([one, two], coin, EMPTY) for _ in range(ROUNDS)]
    return [
        below(f"{EMPTY} empty blocks to a fresh node", [run.took for run in alone], "s", 6 * EMPTY / 10_000),
        plain("the same from two peers", [run.took for run in both], "s"),
        below("GET /v1/status meanwhile, p99", [run.p99 for run in alone], "ms", 50),
    ]


def full_blocks(coin: Coin) -> list[Figure]:
    raws = Line(coin).raws(BLOCKS, Payments(coin).take(BLOCKS * TRANSFERS))
    runs: list[Run] = []
    with folder() as data, serving(data / "one", coin, raws) as one:

        def over_loopback() -> float:
            runs.append(sync([one], coin, BLOCKS))
            return BLOCKS * TRANSFERS / runs[-1].took

        ours, memory = in_turns(ROUNDS, over_loopback, lambda: from_memory(coin, raws))
    return [
        plain(f"{BLOCKS * TRANSFERS} transfers in {BLOCKS} blocks to a fresh node", ours, "transfers/s"),
        plain("the same from memory", memory, "transfers/s"),
        at_least("over loopback / from memory", ratios(ours, memory), "×", 0.8),
        below("GET /v1/status meanwhile, p99", [run.p99 for run in runs], "ms", 50),
    ]


def main() -> None:
    coin = bench_coin()
    wanted = sys.argv[1:] or ["empty", "full"]
    figures = (empty_blocks(coin) if "empty" in wanted else []) + (full_blocks(coin) if "full" in wanted else [])
    report("sync", figures)


if __name__ == "__main__":
    main()
