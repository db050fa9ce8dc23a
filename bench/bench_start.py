"""Starts: of a node on chains of several lengths, of a network of ten, and of one whose first block is waited for.

Beside each by the clock the processor that it takes, of all its processes. Modules are compiled, as an installation has
them, and so are the hash engines from the second round on.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.chains import FAR, Line, Payments, bench_coin, open_store
from bench.common import SHORT, Cost, Figure, below, costs, folder, held, in_turns, of_children, plain, report, seconds
from bench.process import Served, node
from moneyer.node.chain.accept import Chain
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from tests.kit.system.ports import free_ports

LENGTHS = (2_000,) if SHORT else (10_000, 100_000)
TRANSFERS = 2_000 if SHORT else 20_000
"""In the first blocks of each chain, one in a block."""
NODES = 3 if SHORT else 10
ROUNDS = 2 if SHORT else 7
HELD_ROUNDS = 9
"""The least of three swings too much to be held."""
_AT_ONCE = 1_000
"""Blocks to a transaction while a chain is made."""
_LIMIT = 120.0


def main() -> None:
    coin = bench_coin()
    figures = _empty(coin)
    for length in LENGTHS:
        figures += _on_blocks(coin, length)
    report("start", [*figures, *_network(), *_first_block()])


def _empty(coin: Coin) -> list[Figure]:
    def start() -> Cost:
        with folder() as data, node(data, coin) as served:
            return Cost(served.start_seconds, served.processor() * 1e6)

    # SQLAlchemy and the server are most of what a start has to load.
    bare = [sys.executable, "-c", "import sqlalchemy, granian.server"]
    started, loaded = in_turns(
        HELD_ROUNDS,
        start,
        lambda: costs(1, lambda: subprocess.run(bare, check=True), of_children),
    )
    return [
        below("a node on an empty folder, from its start until it answers", started, "s", 0.7),
        held("a node's start by the import of SQLAlchemy and granian", started, loaded),
    ]


def _on_blocks(coin: Coin, length: int) -> list[Figure]:
    with folder() as data:
        _make_chain(data, coin, length)
        answered, spent, opened, unchecked = [], [], [], []
        for _ in range(ROUNDS):
            with node(data, coin) as served:
                answered.append(served.start_seconds)
                spent.append(served.processor())
            opened.append(seconds(lambda: open_store(data, coin).close()))
            unchecked.append(seconds(lambda: open_store(data, coin, check_file=False).close()))
        megabytes = (data / "chain.db").stat().st_size / 1e6
    return [
        below(f"the same on {length:,} blocks", answered, "s", 1.0 if length > 10_000 else 0.8),
        plain("the processor of that", spent, "s"),
        plain("the whole check of the file, which a node makes behind its first answers", opened, "s"),
        plain("Store.open without looking at the file", unchecked, "s"),
        plain("the file", [megabytes], "MB"),
    ]


def _make_chain(data: Path, coin: Coin, length: int) -> None:
    store = open_store(data, coin)
    chain, line, payments = Chain(store), Line(coin), iter(Payments(coin).take(TRANSFERS))
    for begin in range(0, length, _AT_ONCE):
        blocks = [
            line.add([each for _, each in zip(range(TRANSFERS // LENGTHS[0]), payments, strict=False)])
            for _ in range(min(_AT_ONCE, length - begin))
        ]
        chain.accept_blocks([codec.encode_block(each) for each in blocks], FAR)
    store.close()


def _network() -> list[Figure]:
    answered, mining, spent, memory, processes = [], [], [], [], []
    for _ in range(2 if SHORT else 3):
        with _up(NODES) as (network, ports, began):
            _wait(lambda: all(_get(port, "/v1/status") for port in ports))
            answered.append(time.perf_counter() - began)
            _wait(lambda: all(_get(port, "/v1/status")["worker"]["alive"] for port in ports))
            mining.append(time.perf_counter() - began)
            spent.append(network.processor())
            memory.append(network.pss() / 1e6)
            processes.append(float(network.count()))
    return [
        below(f"`up` with {NODES} nodes, until all answer", answered, "s", 6),
        below("until all mine", mining, "s", 8),
        plain("the processor until then", spent, "s"),
        below("their memory then (PSS)", memory, "MB", 800),
        plain("their processes", processes, ""),
    ]


def _first_block() -> list[Figure]:
    took, spent = [], []
    for _ in range(ROUNDS):
        with _up(1, "--mode", "instant") as (network, (port,), began):
            _post(port, "/add_transaction", {"sender": "alice", "receiver": "bob", "amount": 1})
            _wait(lambda: _get(port, "/v1/status")["height"])
            took.append(time.perf_counter() - began)
            spent.append(network.processor())
    return [
        below(
            "`up --nodes 1 --mode instant`, a transfer at its first answer, until that is in a block", took, "s", 1.5
        ),
        plain("the processor of that", spent, "s"),
    ]


@contextmanager
def _up(nodes: int, *options: str) -> Iterator[tuple[Served, list[int], float]]:
    """`moneyer up` in a new folder, its first node answering; its ports, and when it was started."""
    with folder() as data:
        first = free_ports(nodes)
        moneyer = str(Path(sys.executable).with_name("moneyer"))
        began = time.perf_counter()
        command = [moneyer, "up", "--nodes", str(nodes), "--port", str(first), "--data", str(data / "net"), *options]
        network = Served(command, first, "/v1/status")
        try:
            yield network, [first + number for number in range(nodes)], began
        finally:
            network.end()


def _wait(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + _LIMIT
    while not condition():
        if time.monotonic() > ends_at:
            raise RuntimeError(f"not within {_LIMIT:.0f} s")
        time.sleep(0.01)


def _get(port: int, path: str) -> Any:
    """The JSON of an answer; None while none comes."""
    try:
        return _call(port, "GET", path, None)
    except OSError:
        return None


def _post(port: int, path: str, body: object) -> Any:
    return _call(port, "POST", path, json.dumps(body))


def _call(port: int, method: str, path: str, body: str | None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content!r}")
        return json.loads(content)
    finally:
        connection.close()


if __name__ == "__main__":
    main()
