"""One worker process for twenty nodes: its memory, and how much of a core it takes, at rest and at a network's rate.

The nodes are folders whose locks this process holds, with no server: what is measured is the worker alone. Each mines
a chain of its own, so that in half a minute a node gets a block or none; a network's blocks come as often to it as a
block comes to one of these, and its commits wake it as this does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil

from bench.common import SHORT, below, folder, plain, report
from moneyer.node.devnet.devcoin import POW_LIMIT
from tests.conftest import REPOSITORY
from tests.kit.chains import easy_coin
from tests.kit.mining.workers import NodeFolder
from tests.kit.waiting import wait_until

NODES = 20
HASHES = 65_536 / 5
"""A second, in all: what gives a development coin a block every five seconds."""
SECONDS = 5 if SHORT else 30

PROGRAM = """
import json, sys
from pathlib import Path
from moneyer.worker.shared.node_place import SharedNode
from moneyer.worker.shared.shared_worker import run_shared

sys.exit(run_shared([SharedNode(Path(folder), rate) for folder, rate in json.loads(sys.argv[1])], log_level="error"))
"""


def is_mining(node: NodeFolder) -> bool:
    """Whether the worker has said something of itself for this node."""
    try:
        return bool(node.config.worker_lock.read_bytes().strip())
    except OSError:
        return False


def measure(nodes: list[NodeFolder], hashes: float) -> tuple[float, float]:
    """(share of a core in percent, MB) of a worker that mines for `nodes` at `hashes` a second in all."""
    told = [(str(node.config.data), hashes / len(nodes)) for node in nodes]
    for node in nodes:
        node.config.worker_lock.unlink(missing_ok=True)
    worker = subprocess.Popen([sys.executable, "-c", PROGRAM, json.dumps(told)], cwd=REPOSITORY)
    try:
        wait_until(lambda: all(map(is_mining, nodes)), 60, "the worker")
        process = psutil.Process(worker.pid)
        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(SECONDS)
        spent, passed = sum(process.cpu_times()[:2]) - before, time.monotonic() - began
        return 100 * spent / passed, process.memory_info().rss / 1e6
    finally:
        worker.terminate()
        worker.wait(10)


def main() -> None:
    coin = easy_coin(pow_limit=POW_LIMIT)
    with folder() as data, ExitStack() as opened:
        nodes = [opened.enter_context(NodeFolder(data / str(number), coin)) for number in range(NODES)]
        resting, _ = measure(nodes, 0.0)
        mining, memory = measure(nodes, HASHES)
    figures = [
        below(f"a worker of {NODES} nodes, at rest", [resting], "% of a core", 1),
        below(f"the same at {HASHES:,.0f} hashes a second", [mining], "% of a core", 4),
        below("its memory", [memory], "MB", 150),
        plain("a hash", [mining / 100 / HASHES * 1e6], "µs of a core, with all that is around it"),
    ]
    report("shared worker", figures)


if __name__ == "__main__":
    main()
