"""Orphans: blocks whose parent is unknown, held in memory, bounded by count and bytes, with a share for each address.

No orphan is refused. Where an address has used its share, its own oldest orphan is dropped; where the pool is full, the
oldest of the address that holds most. So a flood from one address never drops another's orphans.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

from ..system.shares import ORPHANS, Place, Shares, address_key

MAX_ORPHAN_BYTES: Final = 16_000_000
"""In all; an address has the part of it that its share has of the places."""


@dataclass(frozen=True, slots=True)
class HeldBlock:
    prev_hash: bytes
    raw: bytes
    remote: str
    """The address that brought it; empty for a block of this machine's own."""


class Orphans:
    def __init__(self) -> None:
        self.places = Shares(ORPHANS)
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, tuple[HeldBlock, Place]] = OrderedDict()
        """By block hash, oldest first."""
        self._sizes: Counter[str] = Counter()
        """Bytes that each address holds, by `address_key`."""

    def __len__(self) -> int:
        return len(self._held)

    def sizes(self) -> dict[str, int]:
        """Bytes that each address holds now, by `address_key`."""
        with self._lock:
            return dict(self._sizes)

    def hold(self, block_hash: bytes, block: HeldBlock) -> bool:
        """Keep a block; False where it was held before. May drop others."""
        with self._lock:
            if block_hash in self._held:
                return False
            key = address_key(block.remote)
            self._make_room(key, len(block.raw))
            self._held[block_hash] = block, self.places.take(key)
            self._sizes[key] += len(block.raw)
            return True

    def drop(self, block_hash: bytes) -> None:
        """Forget a block, if it is held."""
        with self._lock:
            if block_hash in self._held:
                self._take(block_hash)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            for block_hash in list(self._held):
                self._take(block_hash)

    def parents(self) -> list[bytes]:
        """Hashes of the missing parents, each once."""
        with self._lock:
            return list({block.prev_hash for block, _ in self._held.values()})

    def take_children(self, prev_hash: bytes) -> list[HeldBlock]:
        """Remove and return the blocks whose parent has come."""
        with self._lock:
            children = [block_hash for block_hash, (block, _) in self._held.items() if block.prev_hash == prev_hash]
            return [self._take(block_hash) for block_hash in children]

    def _take(self, block_hash: bytes) -> HeldBlock:
        block, place = self._held.pop(block_hash)
        place.release()
        key = address_key(block.remote)
        self._sizes[key] -= len(block.raw)
        if not self.places.held_by(key):
            del self._sizes[key]  # else every address that ever brought one would stay
        return block

    def _make_room(self, key: str, size: int) -> None:
        """Drop orphans until one more block of `key` fits. A block larger than a share takes the whole share."""
        places, share = self.places, MAX_ORPHAN_BYTES * ORPHANS.each // ORPHANS.total
        while (held := places.held_by(key)) and (held >= ORPHANS.each or self._sizes[key] + size > share):
            self._drop_oldest(key)
        while places.count >= ORPHANS.total:
            self._drop_oldest(places.largest()[0])
        while self._held and self._sizes.total() + size > MAX_ORPHAN_BYTES:
            self._drop_oldest(self._sizes.most_common(1)[0][0])

    def _drop_oldest(self, key: str) -> None:
        self._take(next(each for each, (block, _) in self._held.items() if address_key(block.remote) == key))
