"""What every bench shares: how long, this machine's name, medians, turns with a yardstick, and how figures are shown.

Speeds swing by a factor of two from hour to hour on a shared machine. So a figure is a median, and where a ratio is
wanted, ours and its yardstick run in turns within one run.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from moneyer.node.store.backends.driver import journal_mode
from moneyer.node.store.backends.driver import version as sqlite_version

SHORT = os.environ.get("MONEYER_BENCH") == "short"
"""`MONEYER_BENCH=short`: smaller, some ten seconds a bench; figures are rougher."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a bench. `value`: the median; `runs`: each run's own; `met` is None where nothing is asked of it."""

    what: str
    value: float
    unit: str
    wanted: str = ""
    met: bool | None = None
    runs: tuple[float, ...] = ()


def at_least(what: str, runs: list[float], unit: str, bound: float) -> Figure:
    """A figure that is good when high."""
    return Figure(what, median(runs), unit, f"≥ {bound:,}", median(runs) >= bound, tuple(runs))


def below(what: str, runs: list[float], unit: str, bound: float) -> Figure:
    """A figure that is good when low."""
    return Figure(what, median(runs), unit, f"< {bound:,}", median(runs) < bound, tuple(runs))


def plain(what: str, runs: list[float], unit: str) -> Figure:
    """A figure of which nothing is asked: a yardstick."""
    return Figure(what, median(runs), unit, runs=tuple(runs))


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(rounds: int, *works: Callable[[], float]) -> list[list[float]]:
    """Each work's own measurements, one after the other in every round, so that all see the same machine."""
    results: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        order = range(len(works)) if number % 2 == 0 else reversed(range(len(works)))
        for i in order:
            results[i].append(works[i]())
    return results


def ratios(ours: list[float], yardstick: list[float]) -> list[float]:
    """Ours over the yardstick, round by round."""
    return [mine / other for mine, other in zip(ours, yardstick, strict=True)]


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on a real disk (`MONEYER_BENCH_DIR`, else beside the checkout's other rubbish), removed after."""
    where = Path(os.environ.get("MONEYER_BENCH_DIR", tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="moneyer-bench-", dir=where) as made:
        yield Path(made)


def cpu_model() -> str:
    """As the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> dict[str, object]:
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": f"{sqlite_version} {journal_mode}",
        "load": round(os.getloadavg()[0], 2),
    }


def report(bench: str, figures: list[Figure]) -> None:
    """A table for people and one line of JSON for whoever compares runs. A missed figure is shown, not raised."""
    here = machine()
    console = Console(width=None if sys.stdout.isatty() else 120)
    title = f"{bench}{' (short)' if SHORT else ''}: {', '.join(f'{name} {value}' for name, value in here.items())}"
    table = Table(title=title, title_justify="left")
    for heading, justify in (("", "left"), ("median", "right"), ("", "left"), ("wanted", "right"), ("", "left")):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        table.add_row(figure.what, shown(figure.value), figure.unit, figure.wanted, verdict)
    console.print(table)
    line = {"bench": bench, "short": SHORT, "machine": here, "figures": [asdict(figure) for figure in figures]}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def shown(value: float) -> str:
    """A number with about three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
