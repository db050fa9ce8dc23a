"""Many scenarios: every combination of some fields' values, each in a process of its own, a few at a time.

A run that fails ends the sweep. Whatever ends it (an error, Ctrl-C, the caller's end) ends all its processes, and a
process that finds itself without its parent ends too.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from ...core.errors import MoneyerError, quoted
from ...system.forking import CONTEXT, ENDS, holding
from ...system.lifecycle import watch_parent
from .chances import BadScenario
from .findings import Findings
from .scenario import Scenario
from .simulate import simulate

MOST_RUNS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario of a sweep, and what is special about it."""

    changes: dict[str, str]
    scenario: Scenario


def runs_of(base: Scenario, sweeps: Sequence[str]) -> list[Run]:
    """Every combination of `name=value,value,…`, the last one varying first. Raises BadScenario."""
    axes: dict[str, list[str]] = {}
    for text in sweeps:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not all(value.strip() for value in values.split(",")):
            raise BadScenario(f"a sweep must be such as block_time=1,2,5,10, not {quoted(text)}")
        if name in axes:
            raise BadScenario(f"{name} is swept twice: name all its values once", field=name)
        axes[name] = [value.strip() for value in values.split(",")]
    count = prod(map(len, axes.values()))
    if count > MOST_RUNS:
        raise BadScenario(f"the sweep has {count:,} runs, and {MOST_RUNS:,} are allowed", found=count)
    changes = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    return [Run(each, base.with_texts(each)) for each in changes]


def run_here(scenarios: Sequence[Scenario], processes: int) -> Iterator[tuple[int, Findings]]:
    """(number, findings) as they come, of at most `processes` at once. Raises the first error of a run."""
    if len(scenarios) == 1 or processes == 1:
        for number, scenario in enumerate(scenarios):
            yield number, simulate(scenario)
        return
    waiting = deque(enumerate(scenarios))
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                number, scenario = waiting.popleft()
                with holding():
                    reader, process = _start(scenario)
                    running[reader] = number, process
            ready = wait(list(running))
            for each in [reader for reader in running if reader in ready]:
                number, process = running.pop(each)
                yield number, _answer(each, process)
    finally:
        for reader, (_, process) in running.items():
            process.kill()
            process.join()
            reader.close()


def _start(scenario: Scenario) -> tuple[Connection, BaseProcess]:
    reader, writer = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(scenario, writer, os.getpid()), name="simulation")
    process.start()
    writer.close()
    return reader, process


def _answer(reader: Connection, process: BaseProcess) -> Findings:
    try:
        answer = reader.recv()
    except EOFError:
        process.join()
        raise BadScenario(
            f"a process of the sweep ended with {process.exitcode} and without an answer: was there too little memory "
            "for so many at once? --processes 1 runs them one after the other"
        ) from None
    finally:
        reader.close()
    process.join()
    if isinstance(answer, MoneyerError):
        raise answer
    assert isinstance(answer, Findings)  # noqa: S101 - see `_work`
    return answer


def _work(scenario: Scenario, writer: Connection, parent: int) -> None:
    """In the process of a run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it too, and ends this process
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    watch_parent(partial(os._exit, 1), parent=parent)
    try:
        answer: Findings | MoneyerError = simulate(scenario)
    except MoneyerError as error:
        answer = error
    writer.send(answer)
    writer.close()
