"""How long a simulation takes, and its memory: processor time of one process each, and how it grows.

`python -m bench.bench_sim FILE.svg` draws the growth too. `python -m bench.bench_sim --real` runs a network of ten real
nodes for some minutes, and holds its stale rate beside that of a simulation with the same delays.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pygal
from pygal.style import CleanStyle

from bench.common import SHORT, Figure, below, plain, report
from moneyer.node.devnet.sim.scenario import Scenario
from moneyer.node.devnet.sim.simulate import simulate

LARGE = Scenario(nodes=1000, graph="random:8", blocks=100 if SHORT else 1000, seed=7)
LARGEST = replace(LARGE, nodes=10_000, blocks=10 if SHORT else 200)
BASE = replace(LARGE, nodes=250, blocks=100) if SHORT else replace(LARGE, nodes=500, blocks=200)
TIMES = (1, 2, 4) if SHORT else (1, 2, 4, 8)
"""Each of nodes, degree and blocks is made so many times larger, the others as in BASE."""


class Spent(NamedTuple):
    """What a simulation took, in a process of its own."""

    seconds: float
    """Of processor."""
    megabytes: float
    """The most memory that it had."""
    links: float
    """nodes × degree × blocks."""


def measure(scenario: Scenario) -> Spent:
    reader, writer = get_context("spawn").Pipe(duplex=False)
    process = get_context("spawn").Process(target=_work, args=(scenario, writer))
    process.start()
    writer.close()
    spent: Spent = reader.recv()
    process.join()
    return spent


def _work(scenario: Scenario, writer: Connection) -> None:
    began = time.process_time()
    found = simulate(scenario)
    took = time.process_time() - began
    unit = 1e6 if sys.platform == "darwin" else 1e3
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    writer.send(Spent(took, memory, found.nodes * found.degree * found.blocks))


def sizes() -> Iterator[Figure]:
    """The figures that are wanted."""
    for scenario in (LARGE, LARGEST):
        spent = measure(scenario)
        what = f"{scenario.nodes:,} nodes, {scenario.blocks:,} blocks"
        yield below(what, [spent.seconds], "s of one core", 60)
        yield below(f"{what}: memory", [spent.megabytes], "MB", 1_000)


def growth() -> dict[str, list[Spent]]:
    """Larger and larger simulations, by what is made larger."""
    return {
        "nodes": [measure(replace(BASE, nodes=BASE.nodes * times)) for times in TIMES],
        "links of a node": [measure(replace(BASE, graph=f"random:{4 * times}")) for times in TIMES],
        "blocks": [measure(replace(BASE, blocks=BASE.blocks * times)) for times in TIMES],
    }


def draw(lines: dict[str, list[Spent]], file: Path) -> None:
    """Seconds by nodes × links × blocks, both axes by powers of ten."""
    chart = pygal.XY(
        logarithmic=True,
        style=CleanStyle,
        title="Processor time of a simulation, seconds",
        x_title="nodes × links of a node × blocks",
        height=600,
        legend_at_bottom=True,
    )
    chart.x_labels = [{"value": power, "label": f"{10**power:,}"} for power in range(5, 8)]
    for what, points in lines.items():
        chart.add(f"more {what}", [(log10(spent.links), spent.seconds) for spent in points])
    chart.render_to_file(str(file))


def main(arguments: Sequence[str]) -> None:
    if "--real" in arguments:
        from bench.real_and_simulated import compare

        compare()
        return
    lines = growth()
    each = [
        plain(f"more {what}, at {spent.links:,.0f}", [spent.seconds / spent.links * 1e6], "µs a node, link and block")
        for what, points in lines.items()
        for spent in points
    ]
    report("sim", [*sizes(), *each])
    for name in arguments:
        draw(lines, Path(name))


if __name__ == "__main__":
    main(sys.argv[1:])
