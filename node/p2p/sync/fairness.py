"""Shares syncing among peers: a lock that callers get in the order of asking, and a time slice for each leader.

Without these, one peer that serves what is true but very slowly would keep every other chain out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SLICE_SECONDS: Final = 30.0
"""How long a peer leads while others wait. A quick peer is through by then, or goes on in its next turn."""


class TimeSlice:
    """The time of one leading peer. `others_wait`: whether another would go on instead, asked again and again."""

    def __init__(self, others_wait: Callable[[], bool], seconds: float | None = None) -> None:
        """`seconds`: SLICE_SECONDS by default."""
        self.others_wait = others_wait
        self._seconds = SLICE_SECONDS if seconds is None else seconds
        self.was_cut = False
        """Whether `is_over` has ended the sync before the peer was through."""
        self._ends_at: float | None = None

    def begin(self) -> None:
        """The time runs from the first call on: once the headers are here, which have a limit of their own."""
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._seconds

    def end(self) -> None:
        """The peer gives less than it could: its time is up now."""
        self._ends_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the time is up and others wait."""
        if self._ends_at is None or time.monotonic() < self._ends_at or not self.others_wait():
            return False
        self.was_cut = True
        return True


class FairLock:
    """A lock that callers get in the order in which they asked; `threading.Lock` may let one overtake another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._callers: deque[object] = deque()

    @property
    def callers(self) -> int:
        """The holder and those that wait."""
        return len(self._callers)

    @property
    def others_wait(self) -> bool:
        """Whether anyone waits behind the holder."""
        return self.callers > 1

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Waits as long as it takes."""
        caller = object()
        with self._changed:
            self._callers.append(caller)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._callers[0] is caller)
            yield
        finally:
            with self._changed:
                self._callers.remove(caller)
                self._changed.notify_all()
