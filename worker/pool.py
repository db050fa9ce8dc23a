"""The pool of hashing processes, as their supervisor has it: started when first needed, fed, replaced when they die.

A process that lives but does nothing (it was stopped, or hangs) must not delay the others: nothing here waits for a
process to read, and one that is silent for long while it has work is replaced.
"""

from __future__ import annotations

import logging
import select
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import ClassVar, Protocol

from ..node.system.words import of_system
from . import hasher
from .hasher import Pace, Ready, Report, Unit

log = logging.getLogger("moneyer.worker")

SHORT_LIFE = 2.0
"""Seconds; a process that dies younger than this would die again soon."""
PAUSE = 1.0
"""Seconds before such a process, or one that could not be started, is started again."""
_JOIN = 0.7
"""Seconds that processes get to end by themselves."""
_SILENCE = 10.0
"""Seconds that a process may be silent while it has work; a healthy one reports every second at least."""
_MAKING = 300.0
"""The same until its engine is made: compiling one takes seconds, many where the machine is slow and busy."""
_LOOK = 2.0
"""Seconds; a longer time between two looks at the processes counts as this much: this process may have been stopped, or
the machine asleep, and they with it."""


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one hashing process, which is filled again when the process dies."""

    number: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    unit: Unit | None = None
    """The unit that it searches."""
    position: int = 0
    """Nonces of the unit below this one have been tried, by its last report."""
    started: float = 0.0
    """When the process was started, in seconds of the monotonic clock."""
    start_at: float = 0.0
    """When it may be started again."""
    ready: bool = False
    """Its engine is made. Until then nothing is sent to it: it does not read yet, and its pipe would fill."""
    silent: float = 0.0
    """Seconds for which it has had work and sent nothing."""
    deaf: bool = False
    """It does not read its pipe: `collect` replaces it."""


class Pool(Protocol):
    """What a miner asks of whatever hashes for it: `HasherPool`, or `shared.paced_pool.PacedPool`."""

    @property
    def is_paced(self) -> bool:
        """Whether its hash rate is set: a miner of mode `continuous` hashes nothing beside it then."""

    @property
    def engine(self) -> str:
        """The name of the engine."""

    @property
    def hashed(self) -> int:
        """Hashes that were tried in all; never less than before."""

    @property
    def is_ready(self) -> bool:
        """Whether it can search already."""

    @property
    def rest(self) -> float:
        """Seconds until `collect` has something to do though nothing gave a sign; infinite where it has not."""

    def start(self) -> None:
        """Come up, where that takes time."""

    def collect(self) -> tuple[list[Report], list[Unit]]:
        """(finds, units that are unfinished and were lost)."""

    def idle(self, template_id: int) -> int:
        """How many units of that template it wants."""

    def feed(self, units: Collection[Unit]) -> None:
        """Search these units, and no older one."""

    def pause(self) -> None:
        """Drop every search."""

    def set_share(self, share: float) -> None:
        """Hash for this share of the time (above 0, at most 1) from now on."""

    def change_engine(self, engine: str) -> None:
        """Take another engine."""


class HasherPool:
    """`processes` hashing processes of one engine. Not for use by two threads."""

    is_paced: ClassVar[bool] = False

    def __init__(
        self,
        engine: str,
        processes: int,
        cache: Path | None = None,
        *,
        nice: int = 0,
        short_life: float = SHORT_LIFE,
        pause: float = PAUSE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`cache`: folder for compiled code. `nice`: added to the processes' niceness.

        `short_life`, `pause`: seconds; a process that dies younger than the one is started again after the other.
        """
        self._clock = clock
        self._short_life = short_life
        self._pause = pause
        self.engine = engine
        self._cache = cache
        self._nice = nice
        self._share = 1.0
        self.slots = [Slot(number) for number in range(1, processes + 1)]
        """A place for each process. Only the pool changes them; others may look."""
        self._context = get_context("spawn")
        self._wanted = False
        self._looked = self._clock()
        self.hashed = 0
        """Hashes that all of them have tried, by their reports."""

    def start(self) -> None:
        """Start every process that does not run. `feed` and `collect` do so too."""
        self._wanted = True
        for slot in self.slots:
            if slot.process is None and self._clock() >= slot.start_at:
                self._launch(slot)

    @property
    def is_ready(self) -> bool:
        """Whether a process can search: its engine is made."""
        return any(slot.ready for slot in self.slots)

    @property
    def rest(self) -> float:
        """Seconds until `collect` has to replace a process that gives no sign itself; infinite where there is none."""
        if any(slot.deaf and slot.process is not None for slot in self.slots):
            return 0.0
        due = [slot.start_at for slot in self.slots if self._wanted and slot.process is None]
        return max(0.0, min(due) - self._clock()) if due else inf

    def waitables(self) -> list[Connection | int]:
        """Connections and sentinels for `multiprocessing.connection.wait`: they tell reports and deaths."""
        things: list[Connection | int] = []
        for slot in self.slots:
            if slot.process is not None and slot.connection is not None:
                things += [slot.connection, slot.process.sentinel]
        return things

    def collect(self) -> tuple[list[Report], list[Unit]]:
        """Read the reports and replace dead processes. Gives (finds, unfinished units of the dead).

        To be called every second or so while there is work: this is how a process that does nothing is noticed.
        """
        finds: list[Report] = []
        lost: list[Unit] = []
        now = self._clock()
        passed, self._looked = min(now - self._looked, _LOOK), now
        for slot in self.slots:
            if slot.unit is not None:
                slot.silent += passed
            alive = self._read(slot, finds)
            if slot.process is not None and (not alive or not slot.process.is_alive() or self._is_stuck(slot)):
                lost += self._replace(slot)
        if self._wanted:
            self.start()
        return finds, lost

    def idle(self, template_id: int) -> int:
        """How many running processes search no unit of that template."""
        return sum(slot.connection is not None and not _searches(slot, template_id) for slot in self.slots)

    def feed(self, units: Collection[Unit]) -> None:
        """Give one unit each to processes that search nothing, or a unit of another template."""
        self.start()
        waiting = list(units)
        for slot in self.slots:
            if waiting and not _searches(slot, waiting[-1].template_id):
                self._send(slot, waiting.pop())

    def pause(self) -> None:
        """Drop every search."""
        for slot in self.slots:
            if slot.unit is not None:
                self._send(slot, None)

    def set_share(self, share: float) -> None:
        """Hash for this share of the time (above 0, at most 1) from now on."""
        if share == self._share:
            return
        self._share = share
        for slot in self.slots:
            self._tell(slot, Pace(share))

    def change_engine(self, engine: str) -> None:
        """Replace every process by one of another engine."""
        self.engine = engine
        self.stop()

    def stop(self) -> None:
        """End every process; returns within about a second."""
        self._wanted = False
        running = [slot for slot in self.slots if slot.process is not None]
        for slot in running:
            if slot.connection is not None:
                slot.connection.close()  # they end by themselves when they see it
                slot.connection = None
        deadline = self._clock() + _JOIN
        for slot in running:
            assert slot.process is not None  # noqa: S101 - filtered above
            slot.process.join(max(0.0, deadline - self._clock()))
            if slot.process.is_alive():
                slot.process.kill()
                slot.process.join()
            slot.process.close()
            slot.process, slot.unit = None, None

    def _launch(self, slot: Slot) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=hasher.main,
            args=(theirs, self.engine, self._cache, self._nice),
            name=f"moneyer-hasher-{slot.number}",
            daemon=True,
        )
        try:
            with no_main_module():
                process.start()
        except OSError as error:  # no memory, or too many processes
            log.warning("hashing process %d cannot be started: %s; trying again", slot.number, of_system(error))
            ours.close()
            slot.start_at = self._clock() + self._pause
            return
        finally:
            theirs.close()
        slot.process, slot.connection, slot.started = process, ours, self._clock()
        slot.unit = None
        slot.ready, slot.silent, slot.deaf = False, 0.0, False

    def _read(self, slot: Slot, finds: list[Report]) -> bool:
        """Read the reports of a process; False when its pipe is closed."""
        try:
            while slot.connection is not None and slot.connection.poll():
                report: Ready | Report = slot.connection.recv()
                slot.silent = 0.0
                if isinstance(report, Ready):
                    self._on_ready(slot)
                    continue
                self.hashed += report.hashes
                if slot.unit is None or report.unit != slot.unit:
                    if report.nonce is not None:
                        finds.append(report)  # of a unit that was taken from it meanwhile
                    continue
                slot.position = report.position
                if report.nonce is not None:
                    finds.append(report)
                if report.nonce is not None or report.position == slot.unit.start + slot.unit.count:
                    slot.unit = None
        except (EOFError, OSError):
            return False
        return True

    def _on_ready(self, slot: Slot) -> None:
        """Send to a process that has just become ready what was meant for it until now."""
        slot.ready = True
        if self._share < 1:
            self._tell(slot, Pace(self._share))
        if slot.unit is not None:
            self._tell(slot, slot.unit)

    def _send(self, slot: Slot, unit: Unit | None) -> None:
        if slot.connection is None:
            return
        slot.unit, slot.position = unit, unit.start if unit else 0
        self._tell(slot, unit)

    @staticmethod
    def _tell(slot: Slot, what: Unit | Pace | None) -> None:
        if slot.connection is None or not slot.ready or slot.deaf:
            return
        if not _has_room(slot.connection):
            slot.deaf = True
            return
        # An OSError: it died; `collect` replaces it and gives back its unit.
        with suppress(OSError):
            slot.connection.send(what)

    @staticmethod
    def _is_stuck(slot: Slot) -> bool:
        """Whether it lives, but does not read or has been silent for too long."""
        assert slot.process is not None  # noqa: S101 - asked by the caller
        if slot.deaf:
            log.warning("hashing process %d reads nothing any more: was it stopped?", slot.process.pid)
            return True
        if slot.silent > (_SILENCE if slot.ready else _MAKING):
            log.warning(
                "hashing process %d has said nothing for %.0f s: was it stopped?", slot.process.pid, slot.silent
            )
            return True
        return False

    def _replace(self, slot: Slot) -> list[Unit]:
        """Remove a dead or stuck process, to be started again by `start`; its unfinished unit, if it had one."""
        assert slot.process is not None  # noqa: S101 - asked by the caller
        slot.process.kill()
        slot.process.join()
        log.warning(
            "hashing process %d ended (exit status %s); it is replaced", slot.process.pid, slot.process.exitcode
        )
        slot.process.close()
        if slot.connection is not None:
            slot.connection.close()
        lost = [slot.unit.rest(slot.position)] if slot.unit else []
        young = self._clock() - slot.started < self._short_life
        slot.process, slot.connection, slot.unit = None, None, None
        slot.start_at = self._clock() + self._pause if young else 0.0
        return lost


def _searches(slot: Slot, template_id: int) -> bool:
    """Whether a slot searches that template. One without a process counts as busy: it cannot be fed."""
    return slot.connection is None or (slot.unit is not None and slot.unit.template_id == template_id)


def _has_room(connection: Connection) -> bool:
    """Whether a message can be sent at once.

    One takes some 300 bytes, less than what has to be free in the socket before the kernel calls it writable: three
    quarters of its buffer on Linux (some 70 messages nobody has read leave less), 2 KiB on macOS.
    """
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    return bool(poll.poll(0))


@contextmanager
def no_main_module() -> Iterator[None]:
    """Keeps `spawn` from importing the parent's main script anew in the child: a hashing process needs none of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
