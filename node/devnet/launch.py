"""Runs a network's processes by honcho, in this process, until they end or a person presses Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO

from honcho.manager import SYSTEM_PRINTER_NAME, Manager
from honcho.printer import Printer

from ..system.forking import IS_FORKED, holding
from ..system.lifecycle import LAUNCHER, THE_REASON_IS_ABOVE, end_this_process
from .forked import Enter, ForkedProcess, ready_for_nodes, ready_for_workers

if TYPE_CHECKING:
    from honcho.printer import Message

_HELD_BACK = 500
"""Lines that are kept while nothing is shown."""
_STOPPED_BY_US = {0, -2, -15, 130, 143}
"""Exit statuses of a process that was told to end: by itself, SIGINT, SIGTERM, and a shell's numbers for both."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a network ended."""

    asked: bool
    """By Ctrl-C or SIGTERM."""
    culprit: str | None = None
    """Else the name of the process that ended by itself."""
    said: str | None = None
    """The last line that it printed."""


class GatedPrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """honcho's printer, which holds back the processes' lines until `open` is called."""

    def __init__(self, output: TextIO) -> None:
        # honcho asks only whether it is a terminal (https://no-color.org).
        super().__init__(output, colour=not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")
        self.last_words: dict[str, str] = {}
        self.lost: OSError | None = None
        """Why nothing can be printed any more: the reader has gone (`moneyer up | head`), or the disk is full."""
        self.ending = threading.Event()
        """Set once the processes are told to end: that one of them does not answer is to be expected then."""
        self._held: deque[Message] | None = deque(maxlen=_HELD_BACK)
        self._lock = threading.RLock()  # a signal may come to the thread that has it

    def write(self, message: Message) -> None:
        if message.name == SYSTEM_PRINTER_NAME:
            return  # pids and signals: of no use to a person
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        # A node's main process also says that the other one has ended, which has given the reason before.
        if text.strip() and THE_REASON_IS_ABOVE not in text:
            self.last_words[message.name] = text.strip()
        with self._lock:
            if self._held is not None:
                self._held.append(message)
                return
        self._print(message)

    def _print(self, message: Message) -> None:
        if self.lost is None:
            try:
                super().write(message)
            except OSError as error:
                self.lose(error)

    def lose(self, error: OSError) -> None:
        """Nothing can be printed any more: the network ends, as on Ctrl-C."""
        if self.lost is None:
            self.lost = error
            end_this_process()

    def open(self, *, show_held: bool) -> None:
        """Print every line from now on; before them those that were held back, if wanted."""
        with self._lock:
            held, self._held = self._held or (), None
        if show_held:
            for message in held:
                self._print(message)

    def close(self) -> None:
        """Hold back every line again: what processes say when they are told to end is of no use."""
        with self._lock:
            self._held = self._held or deque(maxlen=_HELD_BACK)


class NetworkManager(Manager):  # type: ignore[misc]
    """honcho's manager of processes that are forked from this one, with a thread for each in place of a process."""

    def __init__(self, printer: GatedPrinter, started: Callable[[], None], enter: Enter) -> None:
        super().__init__(printer)
        self.events: SimpleQueue[Message] = SimpleQueue()
        self._process_ctor = partial(ForkedProcess, enter)
        self._started_callback = started
        self.first_ended: str | None = None

    def _start(self) -> None:
        try:
            # A Ctrl-C now is handled once each process has its id. None is forked while other threads run.
            with holding():
                self._start_all()
        except BaseException:  # no more processes are to be had: this one would wait at its end for those that run
            for state in self._processes.values():
                if "pid" in state:
                    self._procmgr.terminate(state["pid"])
            raise

    def _start_all(self) -> None:
        first_worker = next((name for name in self._processes if name.startswith("worker")), None)
        for name, state in self._processes.items():
            if name == first_worker and IS_FORKED:
                ready_for_workers()  # now, while the nodes start
            state["pid"] = state["obj"].start()
        for name, state in self._processes.items():
            follow = partial(state["obj"].follow, self.events)
            threading.Thread(target=follow, name=f"follow-{name}", daemon=True).start()
        threading.Thread(target=self._welcome, name="welcome", daemon=True).start()

    def _welcome(self) -> None:
        try:
            self._started_callback()
        except OSError as error:
            self._printer.lose(error)

    def terminate(self) -> None:
        self._printer.ending.set()
        if self.first_ended is None:
            self.first_ended = next((name for name, state in self._processes.items() if "returncode" in state), None)
            if self.first_ended is None:
                self._printer.close()
        super().terminate()

    @property
    def culprit(self) -> str | None:
        """The process for which the network ended; None where it was told to end.

        The first that ended by itself; where that one ended well, one that failed: a worker goes with its node, and may
        be the quicker of the two.
        """
        first = self.first_ended
        if first is None or self.status_of(first) != 0:
            return first
        return next((name for name in self._processes if (self.status_of(name) or 0) > 0), first)

    def status_of(self, name: str) -> int | None:
        """Exit status of a process that has ended (negative: the signal)."""
        status: Any = self._processes[name].get("returncode")
        return None if status is None else int(status)


def run(
    processes: Mapping[str, Sequence[str]],
    welcome: Callable[[GatedPrinter], None],
    enter: Enter,
    output: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Start the processes, call `welcome` in a thread of its own, and stay until all have ended.

    Raises BrokenPipeError or another OSError where `output` can be written no more; the network has ended then, too.

    `processes`: name -> arguments of `moneyer`, which `enter` runs. `environment`: variables of theirs beside this
    process's own.
    """
    printer = GatedPrinter(output or sys.stdout)
    manager = NetworkManager(printer, lambda: welcome(printer), enter)
    theirs = {**os.environ, **(environment or {}), LAUNCHER: str(os.getpid())}
    for name, arguments in processes.items():
        manager.add_process(name, arguments, env={**theirs, "HONCHO_PROCESS_NAME": f"{name}.1"})
    if IS_FORKED:
        ready_for_nodes()
    manager.loop()
    if printer.lost is not None:
        raise printer.lost
    culprit = manager.culprit
    if culprit is None or (manager.returncode in (130, 143) and manager.status_of(culprit) in _STOPPED_BY_US):
        return Ended(asked=True)
    return Ended(asked=False, culprit=culprit, said=printer.last_words.get(culprit))
