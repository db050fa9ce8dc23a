"""What every bench shares: how long, this machine's name, medians, turns with a yardstick, and how figures are shown.

Speeds swing by a factor of two from hour to hour on a shared machine. So a figure is a median, and where a ratio is
wanted, ours and its yardstick run in turns within one run.

Processor time swings less: what others do on the machine is not in it. So a piece of work is also given as microseconds
of processor (`Cost`), and `held` compares those with a yardstick's of the same run, and the ratio with the one that is
stored in `bench/stored.json`: `make bench` fails where a piece of work has become dearer by more than a quarter.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.table import Table

from moneyer.node.store.backends.sqlite.driver import journal_mode
from moneyer.node.store.backends.sqlite.driver import version as sqlite_version

SHORT = os.environ.get("MONEYER_BENCH") == "short"
"""`MONEYER_BENCH=short`: smaller, some ten seconds a bench; figures are rougher."""


STORED = Path(__file__).with_name("stored.json")
"""Ratios of processor time (`held`), by name: the highest that the machines at hand have shown."""
_MARGIN = 1.25

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a bench. `value`: the median; `runs`: each run's own; `met` is None where nothing is asked of it."""

    what: str
    value: float
    unit: str
    wanted: str = ""
    met: bool | None = None
    runs: tuple[float, ...] = ()
    processor: float | None = None
    """Microseconds of processor that a piece of work takes."""
    is_held: bool = False
    """Whether `make bench` fails where it is missed."""


class Cost(NamedTuple):
    """What work of many pieces took: pieces a second by the clock, microseconds of processor for each."""

    rate: float
    micros: float


Runs = Sequence[float] | Sequence[Cost]
"""A measurement a round."""


def costs(pieces: int, work: Callable[[], object], spent: Callable[[], float] = time.process_time) -> Cost:
    """Do `work`, which is `pieces` pieces. `spent`: seconds of processor so far of whoever does it."""
    began, clock = spent(), time.perf_counter()
    work()
    return Cost(pieces / (time.perf_counter() - clock), (spent() - began) / pieces * 1e6)


def of_children() -> float:
    """Seconds of processor of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(cost: Cost, pieces: float) -> Cost:
    """What `pieces` take by the clock, in place of the rate."""
    return cost._replace(rate=pieces / cost.rate)


def micros(runs: list[Cost]) -> float:
    """The least that a piece took: whatever disturbs makes it more."""
    return min(run.micros for run in runs)


def at_least(what: str, runs: Runs, unit: str, bound: float) -> Figure:
    """A figure that is good when high."""
    figure = plain(what, runs, unit)
    return replace(figure, wanted=f"≥ {bound:,}", met=figure.value >= bound)


def below(what: str, runs: Runs, unit: str, bound: float) -> Figure:
    """A figure that is good when low."""
    figure = plain(what, runs, unit)
    return replace(figure, wanted=f"< {bound:,}", met=figure.value < bound)


def plain(what: str, runs: Runs, unit: str) -> Figure:
    """A figure of which nothing is asked: a yardstick."""
    values = _values(runs)
    spent = [run.micros for run in runs if isinstance(run, Cost)]
    return Figure(what, median(values), unit, runs=values, processor=min(spent) if spent else None)


def by_processor(what: str, ours: list[Cost], yardstick: list[Cost]) -> Figure:
    """Processor time of a piece of ours by the yardstick's, of one run, each the least of its rounds.

    Where threads hand the interpreter round it swings twofold: the busier the machine, the fewer run at once.
    """
    ratio = micros(ours) / micros(yardstick)
    return Figure(what, ratio, "× processor", runs=(ratio,), processor=micros(ours))


def held(what: str, ours: list[Cost], yardstick: list[Cost]) -> Figure:
    """`by_processor`, not more than a quarter above what is stored; for work of one thread, or of one process.

    Where nothing is stored for this name, nothing is asked.
    """
    figure = by_processor(what, ours, yardstick)
    stored = json.loads(STORED.read_text("utf-8")).get(what)
    if stored is None:
        return figure
    bound = _MARGIN * stored
    return replace(figure, wanted=f"< {bound:.3g}", met=figure.value < bound, is_held=True)


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(rounds: int, *works: Callable[[], T]) -> list[list[T]]:
    """Each work's own measurements, one after the other in every round, so that all see the same machine."""
    results: list[list[T]] = [[] for _ in works]
    for number in range(rounds):
        order = range(len(works)) if number % 2 == 0 else reversed(range(len(works)))
        for i in order:
            results[i].append(works[i]())
    return results


def ratios(ours: Runs, yardstick: Runs) -> list[float]:
    """Ours over the yardstick, round by round; of costs the rates."""
    return [mine / other for mine, other in zip(_values(ours), _values(yardstick), strict=True)]


def _values(runs: Runs) -> tuple[float, ...]:
    return tuple(run.rate if isinstance(run, Cost) else run for run in runs)


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


_COLUMNS = (
    ("", "left"),
    ("median", "right"),
    ("", "left"),
    ("processor µs each", "right"),
    ("wanted", "right"),
    ("", "left"),
)


def report(bench: str, figures: list[Figure]) -> None:
    """A table for people and one line of JSON for whoever compares runs.

    A missed figure is shown, not raised; where a `held` one is missed, SystemExit.
    """
    here = machine()
    console = Console(width=None if sys.stdout.isatty() else 120)
    title = f"{bench}{' (short)' if SHORT else ''}: {', '.join(f'{name} {value}' for name, value in here.items())}"
    table = Table(title=title, title_justify="left")
    for heading, justify in _COLUMNS:
        table.add_column(heading, justify="right" if justify == "right" else "left")
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        spent = "" if figure.processor is None else shown(figure.processor)
        table.add_row(figure.what, shown(figure.value), figure.unit, spent, figure.wanted, verdict)
    console.print(table)
    line = {"bench": bench, "short": SHORT, "machine": here, "figures": [asdict(figure) for figure in figures]}
    print(json.dumps(line, ensure_ascii=False), flush=True)
    dearer = [figure.what for figure in figures if figure.is_held and figure.met is False]
    if dearer:
        raise SystemExit(f"dearer by more than a quarter than {STORED.name} has it: {'; '.join(dearer)}")


def shown(value: float) -> str:
    """A number with about three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
