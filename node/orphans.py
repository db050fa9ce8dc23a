"""Blocks whose parent is not here yet, in memory, bounded by count and bytes; the oldest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict

MAX_ORPHANS = 100
MAX_ORPHAN_BYTES = 16_000_000


class Orphans:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()  # hash -> (prev_hash, raw)
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, block_hash: bytes, prev_hash: bytes, raw: bytes) -> bool:
        """Keep a block; False where it was held before. May drop the oldest."""
        with self._lock:
            if block_hash in self._held:
                return False
            self._held[block_hash] = (prev_hash, raw)
            self._bytes += len(raw)
            while len(self._held) > MAX_ORPHANS or (self._bytes > MAX_ORPHAN_BYTES and len(self._held) > 1):
                _, (_, dropped) = self._held.popitem(last=False)
                self._bytes -= len(dropped)
            return True

    def drop(self, block_hash: bytes) -> None:
        """Forget a block, if it is held."""
        with self._lock:
            _, raw = self._held.pop(block_hash, (b"", b""))
            self._bytes -= len(raw)

    def parents(self) -> list[bytes]:
        """Hashes of the blocks that are waited for, each once."""
        with self._lock:
            return list({prev_hash for prev_hash, _ in self._held.values()})

    def take_children(self, prev_hash: bytes) -> list[bytes]:
        """Remove and return the raw blocks whose parent has come."""
        with self._lock:
            children = [block_hash for block_hash, (parent, _) in self._held.items() if parent == prev_hash]
            raws = [self._held.pop(block_hash)[1] for block_hash in children]
            self._bytes -= sum(map(len, raws))
            return raws
