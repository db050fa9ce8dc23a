"""Which hashes a peer has, as far as this node knows: bounded, the oldest forgotten first."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Known:
    """May be used by several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._hashes: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def __contains__(self, each: bytes) -> bool:
        return each in self._hashes

    def add(self, hashes: Iterable[bytes]) -> None:
        with self._lock:
            for each in hashes:
                self._hashes.pop(each, None)
                self._hashes[each] = None
            while len(self._hashes) > self._size:
                del self._hashes[next(iter(self._hashes))]

    def discard(self, each: bytes) -> None:
        with self._lock:
            self._hashes.pop(each, None)

    def clear(self) -> None:
        with self._lock:
            self._hashes.clear()
