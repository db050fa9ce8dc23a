"""How long a node lets somebody wait while two addresses want everything at once of it, in turns with nobody else.

What the two want is `tests/kit/callers/mob.py`: as many slow bodies, event streams, pages of blocks, wrong and unfunded
transfers, batches and the like as fit an address's connections, again as soon as they are answered. Mob, caller and
node share this machine's cores. The caller is at a third address; a fresh node syncs meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import count
from pathlib import Path

from bench.common import SHORT, below, folder, plain, report, seconds
from moneyer.node.core import codec
from tests.kit.callers.crowds import wait_until_in_step
from tests.kit.callers.mob import HOSTILE, mobs
from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, RunningNode, running

CALLER = "127.0.0.9"
READS = ("/v1/status", "/healthz", "/p2p/hello", "/v1/blocks", "/v1/peers", "/v1/mempool")
BLOCKS, TRANSFERS = 60, 40
ROUNDS = 1 if SHORT else 5
CALLS = 30 if SHORT else 100
"""A round, of each kind."""
WANTED = 1.0
"""Seconds for the longest call of a round."""


def reading(node: RunningNode) -> Callable[[int], None]:
    def read(number: int) -> None:
        answer = node.call("GET", READS[number % len(READS)], source=CALLER)
        assert answer.status == 200, answer.body

    return read


def posting(node: RunningNode, sequences: Iterator[int]) -> Callable[[int], None]:
    def post(number: int) -> None:
        raw = codec.encode_transaction(transfer(node.coin, ALICE, BOB, 1, sequence=next(sequences)))
        answer = node.call("POST", "/v1/transactions", {"raw": raw.hex()}, source=CALLER)
        assert answer.status == 201, answer.body

    return post


def longest(call: Callable[[int], None]) -> float:
    """Seconds of the longest of `CALLS` calls."""
    return max(seconds(partial(call, number)) for number in range(CALLS))


def syncing(node: RunningNode, data: Path) -> float:
    """Seconds from a fresh node's first answer until it is in step."""
    with running(data, node.coin) as fresh:
        return seconds(lambda: wait_until_in_step(fresh, node))


def main() -> None:
    figures: dict[tuple[bool, str], list[float]] = {}
    with folder() as data, running(data / "node") as node:
        for first in range(0, BLOCKS * TRANSFERS, TRANSFERS):
            sequences = range(first, first + TRANSFERS)
            node.extend(transfers=[transfer(node.coin, ALICE, BOB, 1, 0, each) for each in sequences])
        waiting = count(BLOCKS * TRANSFERS)
        for number in range(2 * ROUNDS):
            is_crowded = number % 2 == 1
            with mobs(node, HOSTILE) if is_crowded else nullcontext():
                for what, figure in (
                    ("read", longest(reading(node))),
                    ("POST", longest(posting(node, waiting))),
                    ("sync", syncing(node, data / f"fresh-{number}")),
                ):
                    figures.setdefault((is_crowded, what), []).append(figure)
    report(
        "crowd",
        [
            below(f"longest of {CALLS} reads, beside the crowd", figures[True, "read"], "s", WANTED),
            plain("the same, alone", figures[False, "read"], "s"),
            below(f"longest of {CALLS} POSTs of a transfer, beside the crowd", figures[True, "POST"], "s", WANTED),
            plain("the same, alone", figures[False, "POST"], "s"),
            plain(f"a fresh node in step ({BLOCKS} blocks), beside the crowd", figures[True, "sync"], "s"),
            plain("the same, alone", figures[False, "sync"], "s"),
        ],
    )


if __name__ == "__main__":
    main()
