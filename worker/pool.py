"""The hashing processes, seen from their supervisor: started when first needed, fed, replaced when they die.

One that lives and does nothing (it was stopped, or hangs) is as good as dead, and must hold up nobody: nothing here
waits for a process to read, and one that is silent for long while it has work is replaced.
"""

from __future__ import annotations

import logging
import select
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic
from types import ModuleType

from ..node.system.words import of_system
from . import hasher
from .hasher import Pace, Ready, Report, Unit

log = logging.getLogger("moneyer.worker")

_SHORT_LIFE = 2.0
"""Seconds; a process that dies younger than this is started again only after `_PAUSE`."""
_PAUSE = 1.0
_JOIN = 0.7
"""Seconds that processes get to end by themselves."""
_SILENCE = 10.0
"""Seconds that a process may say nothing while it has work; a healthy one says something every second at least."""
_MAKING = 300.0
"""The same until its engine is made: compiling one takes seconds, many where the machine is slow and busy."""
_LOOK = 2.0
"""Seconds; what is longer between two looks at the processes counts no more: this process may have been stopped, or
the machine asleep, and they with it."""


@dataclass(slots=True, eq=False)
class _Slot:
    number: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    unit: Unit | None = None
    """What it searches; `position`: below it all has been tried, by its last report."""
    position: int = 0
    started: float = 0.0
    start_at: float = 0.0
    ready: bool = False
    """Its engine is made. Until then it is told nothing: who reads nothing yet would find a full pipe."""
    silent: float = 0.0
    """Seconds with work in which it was looked at and had said nothing."""
    deaf: bool = False
    """It reads nothing: `collect` buries it."""


class HasherPool:
    """`processes` hashing processes of one engine. Not for use by two threads."""

    def __init__(self, engine: str, processes: int, cache: Path | None = None, *, nice: int = 0) -> None:
        """`cache`: folder for compiled code. `nice`: added to the processes' niceness."""
        self.engine = engine
        self._cache = cache
        self._nice = nice
        self._share = 1.0
        self._slots = [_Slot(number) for number in range(1, processes + 1)]
        self._context = get_context("spawn")
        self._wanted = False
        self._looked = monotonic()
        self.hashed = 0
        """Hashes that all of them have tried, as far as they have told."""

    def start(self) -> None:
        """Start what does not run. Done by itself from the first `feed` on."""
        self._wanted = True
        for slot in self._slots:
            if slot.process is None and monotonic() >= slot.start_at:
                self._launch(slot)

    @property
    def rest(self) -> float:
        """Seconds until `collect` has to replace a process of which nothing will be heard; infinite where none is."""
        if any(slot.deaf and slot.process is not None for slot in self._slots):
            return 0.0
        due = [slot.start_at for slot in self._slots if self._wanted and slot.process is None]
        return max(0.0, min(due) - monotonic()) if due else inf

    def waitables(self) -> list[Connection | int]:
        """What `multiprocessing.connection.wait` shall watch: reports and deaths."""
        things: list[Connection | int] = []
        for slot in self._slots:
            if slot.process is not None and slot.connection is not None:
                things += [slot.connection, slot.process.sentinel]
        return things

    def collect(self) -> tuple[list[Report], list[Unit]]:
        """(finds, unfinished units of processes that died); the dead are replaced.

        To be called every second or so while there is work: by this it is noticed which processes do nothing.
        """
        finds: list[Report] = []
        lost: list[Unit] = []
        now = monotonic()
        passed, self._looked = min(now - self._looked, _LOOK), now
        for slot in self._slots:
            if slot.unit is not None:
                slot.silent += passed
            alive = self._read(slot, finds)
            if slot.process is not None and (not alive or not slot.process.is_alive() or self._is_stuck(slot)):
                lost += self._bury(slot)
        if self._wanted:
            self.start()
        return finds, lost

    def idle(self, template_id: int) -> int:
        """Running processes that do not search a unit of that template."""
        return sum(slot.connection is not None and not _searches(slot, template_id) for slot in self._slots)

    def feed(self, units: Collection[Unit]) -> None:
        """One unit each to processes that search nothing, or something of another template."""
        self.start()
        waiting = list(units)
        for slot in self._slots:
            if waiting and not _searches(slot, waiting[-1].template_id):
                self._send(slot, waiting.pop())

    def pause(self) -> None:
        """Drop every search."""
        for slot in self._slots:
            if slot.unit is not None:
                self._send(slot, None)

    def set_share(self, share: float) -> None:
        """Hash for this share of the time (above 0, at most 1) from now on."""
        if share == self._share:
            return
        self._share = share
        for slot in self._slots:
            self._tell(slot, Pace(share))

    def change_engine(self, engine: str) -> None:
        """Replace every process by one of another engine."""
        self.engine = engine
        self.stop()

    def stop(self) -> None:
        """End every process; returns within about a second."""
        self._wanted = False
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            if slot.connection is not None:
                slot.connection.close()  # they end by themselves when they see it
                slot.connection = None
        deadline = monotonic() + _JOIN
        for slot in running:
            assert slot.process is not None  # noqa: S101 - filtered above
            slot.process.join(max(0.0, deadline - monotonic()))
            if slot.process.is_alive():
                slot.process.kill()
                slot.process.join()
            slot.process.close()
            slot.process, slot.unit = None, None

    def _launch(self, slot: _Slot) -> None:
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
            slot.start_at = monotonic() + _PAUSE
            return
        finally:
            theirs.close()
        slot.process, slot.connection, slot.started = process, ours, monotonic()
        slot.unit = None
        slot.ready, slot.silent, slot.deaf = False, 0.0, False

    def _read(self, slot: _Slot, finds: list[Report]) -> bool:
        """Take what a process has said; False when its pipe is closed."""
        try:
            while slot.connection is not None and slot.connection.poll():
                report: Ready | Report = slot.connection.recv()
                slot.silent = 0.0
                if isinstance(report, Ready):
                    self._greet(slot)
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

    def _greet(self, slot: _Slot) -> None:
        """Tell a process that has just become ready what was meant for it until now."""
        slot.ready = True
        if self._share < 1:
            self._tell(slot, Pace(self._share))
        if slot.unit is not None:
            self._tell(slot, slot.unit)

    def _send(self, slot: _Slot, unit: Unit | None) -> None:
        if slot.connection is None:
            return
        slot.unit, slot.position = unit, unit.start if unit else 0
        self._tell(slot, unit)

    @staticmethod
    def _tell(slot: _Slot, what: Unit | Pace | None) -> None:
        if slot.connection is None or not slot.ready or slot.deaf:
            return
        if not _has_room(slot.connection):
            slot.deaf = True
            return
        # An OSError: it died; `collect` buries it and gives back what it had.
        with suppress(OSError):
            slot.connection.send(what)

    @staticmethod
    def _is_stuck(slot: _Slot) -> bool:
        """Whether it lives, but reads nothing or has said nothing for long."""
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

    def _bury(self, slot: _Slot) -> list[Unit]:
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
        young = monotonic() - slot.started < _SHORT_LIFE
        slot.process, slot.connection, slot.unit = None, None, None
        slot.start_at = monotonic() + _PAUSE if young else 0.0
        return lost


def _searches(slot: _Slot, template_id: int) -> bool:
    """A slot without a process counts as busy: there is nobody to feed."""
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
