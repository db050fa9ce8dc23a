"""Measures what each engine reaches on this machine, for `moneyer bench mine` and the benches."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import perf_counter

from .engines import registry
from .engines.proof import NONCES
from .pool import no_main_module

PASSED = "passed"

_HEADER = bytes(range(80))
_NEVER = 1 << 200
"""A target that no nonce tried here meets, and that is compared as a real one is."""
_SLICE = 0.03
"""Seconds of one call of an engine."""
_START_SECONDS = 60.0
"""Seconds that processes have to come up."""


@dataclass(frozen=True, slots=True)
class EngineRow:
    """What was measured of one engine."""

    engine: str
    self_test: str
    """`passed`, or a sentence that says what is wrong; the rates are None then."""
    one_core: int | None = None
    """Hashes a second of one process."""
    all_cores: int | None = None
    """Hashes a second of `processes` processes at once."""
    processes: int = 0
    note: str | None = None
    """A sentence that says why, where the engine is slower than hashlib here."""


def bench_engines(
    seconds: float,
    cache: Path | None = None,
    processes: int | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[EngineRow]:
    """A row for each engine.

    `seconds`: of each measurement, two for an engine. `processes`: one for each core unless told. `on_progress` is
    called with a sentence about what is measured now.
    """
    count = processes or _cores()
    rows, engines = list[EngineRow](), dict[str, registry.Engine]()
    for number, name in enumerate(registry.ENGINES, 1):
        on_progress(f"measuring {name} ({number} of {len(registry.ENGINES)}), {2 * seconds:g} s and its start")
        rows.append(_row(name, seconds, cache, count, engines))
    return [replace(row, note=_note(row.engine, engines)) for row in rows]


def _note(name: str, engines: dict[str, registry.Engine]) -> str | None:
    """Compared in turns: one of the two measurements may have met a moment of load."""
    if name == registry.YARDSTICK or not {name, registry.YARDSTICK} <= engines.keys():
        return None
    speeds = registry.best_speeds({each: engines[each] for each in (name, registry.YARDSTICK)})
    return registry.why_slow(name, engines[name].weakness, speeds[name], speeds[registry.YARDSTICK])


def measure(engine: registry.Engine, seconds: float) -> float:
    """Hashes a second of this process, in slices as a worker does them."""
    count, tried, start = 1 << 12, 0, 0
    began = last = perf_counter()
    while last - began < seconds:
        engine.search(_HEADER, _NEVER, start, count)
        now = perf_counter()
        tried += count
        start = (start + count) % (NONCES >> 1)
        count = max(1 << 12, min(int(count * _SLICE / max(now - last, 1e-6)), 2 * count, 1 << 28))
        last = now
    return tried / (last - began)


def measure_together(name: str, processes: int, seconds: float, cache: Path | None = None) -> float:
    """Hashes a second of several processes together. Raises EngineFailed where they don't come up."""
    context = get_context("spawn")
    pipes: list[Connection] = []
    running: list[SpawnProcess] = []
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            pipes.append(ours)
            process = context.Process(target=_measured, args=(theirs, name, seconds, cache), daemon=True)
            with no_main_module():
                process.start()
            theirs.close()
            running.append(process)
        _receive(pipes, name, _START_SECONDS)  # every one is ready
        for pipe in pipes:
            pipe.send(None)
        return sum(_receive(pipes, name, seconds + _START_SECONDS))
    finally:
        for pipe in pipes:
            pipe.close()
        for process in running:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()


def _row(
    name: str, seconds: float, cache: Path | None, processes: int, engines: dict[str, registry.Engine]
) -> EngineRow:
    """The row, without a note. An engine that runs is put into `engines`."""
    try:
        engine = registry.make(name, cache)
        alone = measure(engine, seconds)
        together = measure_together(name, processes, seconds, cache)
    except registry.EngineFailed as error:
        return EngineRow(name, str(error))
    engines[name] = engine
    return EngineRow(name, PASSED, int(alone), int(together), processes)


def _measured(connection: Connection, name: str, seconds: float, cache: Path | None) -> None:
    # EOFError, OSError: the process that measures is gone.
    with suppress(EOFError, OSError):
        engine = registry.make(name, cache)
        connection.send(0.0)
        connection.recv()
        connection.send(measure(engine, seconds))


def _receive(pipes: Sequence[Connection], name: str, seconds: float) -> list[float]:
    answers: list[float] = []
    for pipe in pipes:
        try:
            if not pipe.poll(seconds):
                raise EOFError
            answers.append(pipe.recv())
        except (EOFError, OSError):
            raise registry.EngineFailed(f"the engine {name} does not run in {len(pipes)} processes") from None
    return answers


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
