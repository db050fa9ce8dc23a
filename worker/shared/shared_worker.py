"""The worker of a network: one process, one loop, a place for each node. `run_shared` is its whole life."""

from __future__ import annotations

import logging
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from ...node.core.errors import MoneyerError
from ...node.system import logs
from ..config import BadWorkerOption
from ..startup import allow_files, need_descriptors
from ..supervisor import Ending, end_as_asked
from .node_place import Place, SharedNode

log = logging.getLogger("moneyer.worker")

Rates = Callable[[], Mapping[Path, float] | None]
"""Gives hashes a second by data folder, as they are to be from now on; None where nothing has changed."""

_RATES_SECONDS = 1.0
"""Seconds between two looks at the rates."""
_DESCRIPTORS = 24
_OTHER_FILES = 40
"""Files that may be open already: what the launcher had, and a terminal's."""
_DESCRIPTORS_OF_A_NODE = 20
"""Locks, doorbell, and connections to the database with its log (measured: 14)."""


class _NoDescriptors(MoneyerError):
    """The process may not open as many files as it needs."""

    code = "worker_refused"


def run_shared(
    nodes: Sequence[SharedNode], *, rates: Rates | None = None, log_level: str = "info", log_json: bool = False
) -> int:
    """Mine for all these nodes until SIGTERM, or until the parent process is gone. Gives the exit status.

    Nodes may be started later, end, and come back. `rates`: asked once a second. 0: ended as asked. 1: refused, with a
    sentence on stderr. From the main thread.
    """
    if not logging.getLogger().handlers and not log.handlers:
        logs.configure(log_level, log_json)
    try:
        check_rates(nodes)
        count = _DESCRIPTORS + _DESCRIPTORS_OF_A_NODE * len(nodes)
        allow_files(count + _OTHER_FILES)
        need_descriptors(count, "the worker", _NoDescriptors)
    except MoneyerError as error:
        log.error("%s", error.message)
        return 1
    ending = end_as_asked()
    try:
        SharedWorker(nodes, ending, rates).mine()
    finally:
        ending.done()
    return 0


def check_rates(nodes: Sequence[SharedNode]) -> None:
    """Raises BadWorkerOption for a rate that is none."""
    for node in nodes:
        if not 0 <= node.hashes < float("inf"):  # NaN fails too
            raise BadWorkerOption(
                f"{node.name}: {node.hashes} is no hash rate: hashes a second, 0 or more", found=str(node.hashes)[:40]
            )


class SharedWorker:
    """The loop: steps the places that are due or were rung for, and sleeps until the next one is."""

    def __init__(self, nodes: Sequence[SharedNode], ending: Ending, rates: Rates | None = None) -> None:
        self._ending = ending
        self._rates = rates
        self._rates_at = 0.0
        self._lines = _NamedLines()
        self.places = [Place(node, ending.wake) for node in nodes]
        self._set_rates({node.data: node.hashes for node in nodes})

    def mine(self) -> None:
        """Until the end is asked for."""
        log.info("mining for %d nodes", len(self.places))
        log.addFilter(self._lines)
        try:
            while not self._ending.asked:
                seconds = self.step()
                if seconds > 0:
                    select.select([self._ending.read_end], [], [], seconds)
                self._ending.rest()
        finally:
            for place in self.places:
                with self._lines.of(place):
                    place.close()
            log.removeFilter(self._lines)

    def step(self) -> float:
        """Step each place that is due; the seconds until the next one is."""
        self._look_at_rates()
        for place in self.places:
            if self._ending.asked:
                return 0.0
            if place.rang or place.due <= monotonic():
                place.rang = False  # before the step: what rings during it is looked at again
                with self._lines.of(place):
                    seconds = place.step()
                place.due = monotonic() + seconds
        earliest = min((place.due for place in self.places), default=monotonic() + _RATES_SECONDS)
        if any(place.rang for place in self.places):
            return 0.0
        return max(0.0, min(earliest - monotonic(), _RATES_SECONDS))

    def _look_at_rates(self) -> None:
        if self._rates is None or monotonic() < self._rates_at:
            return
        self._rates_at = monotonic() + _RATES_SECONDS
        try:
            rates = self._rates()
        except (MoneyerError, OSError) as error:
            log.warning("the hash rates cannot be read, and stay as they are: %s", error)
            return
        if rates is not None:
            self._set_rates(rates)

    def _set_rates(self, rates: Mapping[Path, float]) -> None:
        """A folder that is not named has the rate 0 from now on."""
        total = sum(rates.values())
        for place in self.places:
            place.set_hashes(rates.get(place.node.data, 0.0), total)
            place.rang = True


class _NamedLines(logging.Filter):
    """Puts the name of the node before each line that its place logs."""

    def __init__(self) -> None:
        super().__init__()
        self._name: str | None = None

    @contextmanager
    def of(self, place: Place) -> Iterator[None]:
        self._name = place.node.name
        try:
            yield
        finally:
            self._name = None

    def filter(self, record: logging.LogRecord) -> bool:
        if self._name is not None:
            record.msg, record.args = f"{self._name}: {record.getMessage()}", ()
        return True
