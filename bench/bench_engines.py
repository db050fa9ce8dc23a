"""Hash engines, one core, in turn with hashlib; two processes against one; and how soon an engine is there.

make bench, or .venv/bin/python -m bench.bench_engines
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time

from bench.common import SHORT, Figure, at_least, below, folder, in_turns, plain, ratios, report
from moneyer.worker.bench import measure_together
from moneyer.worker.engines.registry import ENGINES, Engine, EngineFailed, choose, make

SECONDS = 0.1 if SHORT else 0.3
ROUNDS = 5 if SHORT else 15
_START = """
import sys
from pathlib import Path
from time import perf_counter
began = perf_counter()
from worker import engines
engines.make(sys.argv[1], Path(sys.argv[2]))
print(perf_counter() - began)
"""


def rate(engine: Engine) -> float:
    """Hashes a second of processor time: what others do on the machine counts less."""
    count, tried = 1 << 14, 0
    began = process_time()
    while (spent := process_time() - began) < SECONDS:
        engine.search(bytes(range(80)), 1 << 200, tried, count)
        tried += count
    return tried / spent


def rates(cache: Path) -> list[Figure]:
    """Of each engine that runs here; it is the fastest that counts."""
    yardstick = make("hashlib")
    figures: list[Figure] = []
    against: dict[str, list[float]] = {}
    for name in ENGINES:
        if name == "hashlib":
            continue
        try:
            engine = make(name, cache)
        except EngineFailed as error:
            print(error)
            continue
        ours, plains = in_turns(
            ROUNDS,
            lambda engine=engine: rate(engine) / 1e6,  # type: ignore[misc]
            lambda: rate(yardstick) / 1e6,
        )
        if not figures:
            figures.append(plain("hashlib, one core", plains, "million hashes/s"))
        figures.append(plain(f"{name}, one core", ours, "million hashes/s"))
        against[name] = ratios(ours, plains)
    fastest = max(against, key=lambda name: median(against[name]), default="")
    for name, runs in against.items():
        what = f"{name} / hashlib"
        figures.append(at_least(what, runs, "×", 25) if name == fastest else plain(what, runs, "×"))
    return figures


def scaling(cache: Path) -> Figure:
    """Of the engine that `auto` takes."""
    name = choose("auto", cache)
    one, two = in_turns(
        3 if SHORT else 5,
        lambda: measure_together(name, 1, 2 * SECONDS, cache),
        lambda: measure_together(name, 2, 2 * SECONDS, cache),
    )
    return at_least(f"{name}: two processes / one", ratios(two, one), "×", 1.9)


def start(name: str, cache: Path) -> float:
    """Seconds until a fresh process has an engine, imports and self-test included."""
    done = subprocess.run([sys.executable, "-c", _START, name, cache], capture_output=True, text=True, check=True)
    return float(done.stdout)


def starts() -> list[Figure]:
    figures: list[Figure] = []
    for name in ENGINES:
        with folder() as cache:
            try:
                cold = start(name, cache)
            except subprocess.CalledProcessError:
                continue  # it doesn't run here, and `rates` has said why
            warm = [start(name, cache) for _ in range(3 if SHORT else 7)]
        if name != "hashlib":
            figures.append(plain(f"{name}: start, compiled anew", [cold], "s"))
        figures.append(below(f"{name}: start", warm, "s", 0.3))
    return figures


def main() -> None:
    with folder() as cache:
        figures = [*rates(cache), scaling(cache)]
    report("engines", [*figures, *starts()])


if __name__ == "__main__":
    main()
