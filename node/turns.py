"""The same thing offered by several callers at the same moment is worked on by one of them; the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """`seconds`: how long a caller waits for its turn; past that it goes ahead all the same."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._busy: set[bytes] = set()

    @contextmanager
    def of(self, key: bytes) -> Iterator[None]:
        """One caller at a time for each key."""
        with self._changed:
            is_ours = self._changed.wait_for(lambda: key not in self._busy, self._seconds)
            if is_ours:
                self._busy.add(key)
        try:
            yield
        finally:
            if is_ours:
                with self._changed:
                    self._busy.remove(key)
                    self._changed.notify_all()
