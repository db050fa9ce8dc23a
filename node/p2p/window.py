"""What a download keeps in view: the peers to ask, the blocks of its window, and which of them to ask for next."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from node.p2p.client import PeerClient
from node.p2p.urls import PeerUrl
from node.p2p.wire import MAX_BLOCKS

REQUEST_BYTES: Final = 4_000_000
FIRST_QUOTA: Final = 2
"""Blocks in a peer's first request: also over a slow line they come within its deadline."""
LATE_SECONDS: Final = 2.0
"""A block that holds all others up for longer is asked of another peer."""


@dataclass(eq=False, slots=True)
class Source:
    """A peer to ask. `top`: the height up to which it has the chain, as far as we know; `is_bound`: it said so."""

    url: PeerUrl
    client: PeerClient
    top: int
    is_bound: bool = False
    quota: int = FIRST_QUOTA
    strikes: int = 0
    is_dropped: bool = False


@dataclass(eq=False, slots=True)
class Slot:
    """A block of the window. `source`: who delivered `raw`; `asked`: who is at it since `asked_at`."""

    height: int
    block_hash: bytes
    raw: bytes = b""
    source: Source | None = None
    asked: list[Source] = field(default_factory=list)
    asked_at: float = 0.0


def choose(
    window: deque[Slot], source: Source, room_bytes: float, block_bytes: float
) -> tuple[list[Slot], float | None]:
    """What to ask a peer for now; if nothing, after how many seconds there may be something (None: who knows).

    `room_bytes`: that may still come; `block_bytes`: of a block, lately.
    """
    first = next((slot for slot in window if not slot.raw), None)
    if first is None or first.height > source.top:
        return [], None
    limit = max(1, min(source.quota, MAX_BLOCKS, int(REQUEST_BYTES / block_bytes)))
    late_in = None
    if first.asked and source not in first.asked:
        late_in = first.asked_at + LATE_SECONDS - time.monotonic()
        if late_in <= 0:
            return list(islice((slot for slot in window if _is_late(slot, source)), limit)), None
    room = int(room_bytes / block_bytes)
    if first is window[0] and not first.asked:
        room = max(1, room)  # the block that all the others wait for
    free = (slot for slot in window if not slot.raw and not slot.asked and slot.height <= source.top)
    return list(islice(free, max(0, min(limit, room)))), late_in


def _is_late(slot: Slot, source: Source) -> bool:
    """Whether others were asked for a block and had their time."""
    if slot.raw or source in slot.asked or slot.height > source.top:
        return False
    return slot.asked_at + LATE_SECONDS <= time.monotonic()
