"""From one node to the next, and to the end of a line of four: how long a transfer and a block take.

A transfer's time begins when it is posted at A and ends when the other node shows it in its pool; a block's when it is
handed to A and ends when it is the other node's tip. Nodes are real processes on loopback, connected in a line.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from bench.common import SHORT, Figure, below, folder, report
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import transfer
from tests.kit.net.gossip import COIN, line
from tests.kit.running import ALICE, BOB, RunningNode

ROUNDS = 10 if SHORT else 50
PAUSE = 0.03
"""Seconds between two, so that each is a wake-up of idle nodes."""
_LOOK = 0.0005


class Watcher:
    """Asks one node for its status over a kept-alive connection."""

    def __init__(self, node: RunningNode) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)

    def until(self, arrived: Callable[[dict[str, Any]], bool]) -> float:
        """The time at which it had arrived, by `perf_counter`."""
        while True:
            self._connection.request("GET", "/v1/status")
            if arrived(json.loads(self._connection.getresponse().read())):
                return time.perf_counter()
            time.sleep(_LOOK)


def blocks_to(first: RunningNode, other: RunningNode) -> list[float]:
    """Milliseconds for each block."""
    watcher, taken = Watcher(other), []
    for _ in range(ROUNDS):
        raw = codec.encode_block(first.chain.add())
        tip = show(first.chain.tip_hash)
        begin = time.perf_counter()
        assert first.push(raw).status == 200
        taken.append((watcher.until(lambda status, tip=tip: status["tip"] == tip) - begin) * 1000)  # type: ignore[misc]
        time.sleep(PAUSE)
    return taken


def transfers_to(first: RunningNode, other: RunningNode, sequence: int) -> list[float]:
    """Milliseconds for each transfer. `sequence`: of the first, and how many are in the pool already."""
    watcher, taken = Watcher(other), []
    for number in range(sequence, sequence + ROUNDS):
        raw = codec.encode_transaction(transfer(COIN, ALICE, BOB, 1, 0, number))
        begin = time.perf_counter()
        assert first.post("/v1/transactions", {"raw": raw.hex()}).status == 201
        arrived = watcher.until(lambda status, count=number + 1: status["mempool"]["count"] == count)  # type: ignore[misc]
        taken.append((arrived - begin) * 1000)
        time.sleep(PAUSE)
    return taken


def main() -> None:
    with folder() as data, line(data, 4) as (first, second, _, last):
        figures: list[Figure] = [
            below("a block handed to A is B's tip", blocks_to(first, second), "ms", 30),
            below("a block handed to A is D's tip", blocks_to(first, last), "ms", 90),
            below("a transfer posted at A is in B's pool", transfers_to(first, second, 0), "ms", 30),
            below("a transfer posted at A is in D's pool", transfers_to(first, last, ROUNDS), "ms", 90),
        ]
    report("relay", figures)


if __name__ == "__main__":
    main()
