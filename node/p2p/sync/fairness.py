"""Whose turn it is to lead a sync: in the order of asking, and for a while only where others wait for theirs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SLICE_SECONDS: Final = 30.0
"""That a peer leads while others wait. Who is quick is through by then, or goes on when it is its turn again."""


class TimeSlice:
    """One peer's. `others_wait`: whether somebody else would go on instead, asked again and again."""

    def __init__(self, others_wait: Callable[[], bool]) -> None:
        self.others_wait = others_wait
        self.was_cut = False
        """Whether it ended before its peer was through."""
        self._ends_at: float | None = None

    def begin(self) -> None:
        """Its time runs from the first call on: when the headers are here, which have a limit of their own."""
        if self._ends_at is None:
            self._ends_at = time.monotonic() + SLICE_SECONDS

    def shorten(self) -> None:
        """Its peer gives less than it could: its time is up."""
        self._ends_at = 0.0

    @property
    def is_over(self) -> bool:
        if self._ends_at is None or time.monotonic() < self._ends_at or not self.others_wait():
            return False
        self.was_cut = True
        return True


class FairLock:
    """One caller at a time, in the order in which they came: none can overtake another, as it could with a lock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._callers: deque[object] = deque()

    @property
    def others_wait(self) -> bool:
        """Whether anyone stands behind the one whose turn it is."""
        return len(self._callers) > 1

    @contextmanager
    def turn(self) -> Iterator[None]:
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
