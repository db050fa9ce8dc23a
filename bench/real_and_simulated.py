"""A network of ten real nodes with delays on its links, beside a simulation of the same graph with the same delays.

The real one mines for some minutes with one worker process, a second a block: stale blocks are counted in the nodes'
databases, times of propagation by their events. A node takes some time itself to pass a block on, which the simulation
takes from the measurement (`validation_ms`): what the first neighbours were later than the link's delay.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.common import SHORT, Figure, folder, plain, report
from moneyer import Network
from moneyer.node.client.events import Events
from moneyer.node.devnet.graph.graph import NetworkGraph
from moneyer.node.devnet.graph.graph_reading import read_graph
from moneyer.node.devnet.sim.findings import Findings
from moneyer.node.devnet.sim.scenario import Scenario
from moneyer.node.devnet.sim.simulate import simulate

GRAPH, SEED, LATENCY_MS = "smallworld:10:4", 1, 200
SECONDS = 60 if SHORT else 420
SIMULATED = Scenario(graph=GRAPH, seed=SEED, latency=f"constant:{LATENCY_MS}ms", block_time=1, blocks=20_000)


@dataclass(frozen=True, slots=True)
class Real:
    """What the real network did."""

    blocks: int
    stale: int
    late: int
    """Stale blocks that were never a tip: their worker searched on a tip that its node had left already."""
    seconds: float
    arrivals: list[list[float]]
    """Of each block that all nodes took on their main chain: seconds after the first node, in order."""


def compare() -> None:
    graph = read_graph(GRAPH, seed=SEED)
    late = replace(graph, edges=tuple(replace(edge, latency_ms=LATENCY_MS) for edge in graph.edges))
    real = run_real(late)
    own = max(0.0, median(times[1] for times in real.arrivals) * 1_000 - LATENCY_MS)
    # The wish was a block a second; what the worker found is what is simulated.
    interval = real.seconds / real.blocks
    found = simulate(
        replace(SIMULATED, validation_ms=own / interval, latency=f"constant:{LATENCY_MS / interval:.3f}ms")
    )
    report("sim, beside a real network", figures(real, found, own, interval))


def run_real(graph: NetworkGraph) -> Real:
    """Mine for SECONDS."""
    heard: list[tuple[float, int, str]] = []
    with folder() as data:
        with Network(graph, data=data / "net", mining=True, block_time=1) as net, ExitStack() as stack:
            threads = []
            for number, node in enumerate(net):
                events = stack.enter_context(node.client.events())
                threads.append(threading.Thread(target=listen, args=(events, number, heard), daemon=True))
                threads[-1].start()
            began = time.monotonic()
            net.wait_for(lambda: time.monotonic() - began > SECONDS, SECONDS + 60, "the time to mine")
            took = time.monotonic() - began
            stack.close()
        every, stale = counted(data / "net", len(graph.nodes))
    tips = {block_hash for _, _, block_hash in heard}
    late = sum(block_hash[::-1].hex() not in tips and block_hash.hex() not in tips for block_hash in stale)
    return Real(len(every), len(stale), late, took, arrivals(heard, len(graph.nodes)))


def listen(events: Events, number: int, heard: list[tuple[float, int, str]]) -> None:
    for event in events:
        if event.kind == "block":
            heard.append((time.monotonic(), number, event.data["hash"]))


def counted(data: Path, nodes: int) -> tuple[set[bytes], set[bytes]]:
    """Blocks of all nodes' trees, and those of them that are beside the main chain that most have."""
    trees: list[set[bytes]] = []
    mains: list[set[bytes]] = []
    for file in sorted(data.glob("*/chain.db")):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as conn:
            rows = conn.execute("SELECT block_hash, main_chain FROM blocks WHERE height > 0").fetchall()
        trees.append({block_hash for block_hash, _ in rows})
        mains.append({block_hash for block_hash, is_main in rows if is_main})
    assert len(trees) == nodes
    every, main = set[bytes]().union(*trees), max(mains, key=lambda each: sum(each == other for other in mains))
    return every, every - main


def arrivals(heard: list[tuple[float, int, str]], nodes: int) -> list[list[float]]:
    first: dict[str, dict[int, float]] = {}
    for at, number, block_hash in heard:
        first.setdefault(block_hash, {}).setdefault(number, at)
    whole = [sorted(times.values()) for times in first.values() if len(times) == nodes]
    return [[at - times[0] for at in times] for times in whole]


def figures(real: Real, found: Findings, own: float, interval: float) -> list[Figure]:
    rate = real.stale / real.blocks
    error = math.sqrt(max(rate, 1 / real.blocks) * (1 - rate) / real.blocks)
    timely = (real.stale - real.late) / (real.blocks - real.late)
    half, most = found.levels[0].median or 0.0, found.levels[1].median or 0.0
    return [
        plain("real: blocks", [real.blocks], ""),
        plain("real: seconds a block", [interval], "s"),
        plain("real: a node's own time", [own], "ms"),
        plain("real: stale", [100 * rate], "%"),
        plain("real: stale without those on a tip that its node had left", [100 * timely], "%"),
        plain("real: standard error", [100 * error], "%"),
        plain("simulated: stale", [100 * found.stale_rate], "%"),
        plain("difference, without those", [(timely - found.stale_rate) / error], "standard errors"),
        plain("formula: stale", [100 * found.expected_stale_rate], "%"),
        plain("real: half of the nodes", [1_000 * median(times[4] for times in real.arrivals)], "ms"),
        plain("simulated: half of the nodes", [1_000 * half * interval], "ms"),
        plain("real: 9 of 10 nodes", [1_000 * median(times[8] for times in real.arrivals)], "ms"),
        plain("simulated: 9 of 10 nodes", [1_000 * most * interval], "ms"),
    ]
