"""Fetches the blocks of a plan from several peers at once, and hands them out in order.

At most a window of blocks is in memory. Each peer has a thread, which asks it for the next blocks of the window that
nobody was asked for. A slow peer is asked for few blocks at a time; a block that holds up all others for LATE_SECONDS
is asked of a second peer too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Final

from ...core.codec import sha256d
from ...core.types import HEADER_SIZE
from ..peer.errors import NotDelivered, PeerError, PeerTimeout
from ..peer.peer_client import PeerClient
from ..peer.urls import PeerUrl
from ..peer.wire import MAX_BLOCKS

WINDOW_BLOCKS: Final = 4096
WINDOW_BYTES: Final = 32_000_000
"""Blocks and bytes of the window: those that are here, and those that were asked for, as far as that can be told."""
MAX_SOURCES: Final = 4
"""Peers that are asked at once."""
REQUEST_BYTES: Final = 4_000_000
"""What one request asks for at most, by the size that blocks had lately."""
FIRST_QUOTA: Final = 2
"""Blocks in a peer's first request: over a slow line too they come within its deadline."""
LATE_SECONDS: Final = 2.0
"""A block that holds all others up for longer is asked of another peer."""
_RUN_BLOCKS: Final = 2048
_RUN_BYTES: Final = 4_000_000
"""What is handed out at once, so that there is always room for the next to come."""
_QUICK_SECONDS: Final = 0.5
"""An answer that took less: the next request asks for twice as many blocks."""
_LONG_SECONDS: Final = 2.0
"""An answer that took longer: the next request asks for half as many blocks."""
_STRIKES: Final = 3
"""How often a peer may be overtaken before it is no longer asked."""
_LEAST_RATE: Final = 8_000
_RATE_FROM_SECONDS: Final = 10.0
"""Bytes a second, of answers that take longer than this: what no deadline of one request would end."""
_LOOK_SECONDS: Final = 5.0
"""How often other peers are looked for."""


@dataclass(eq=False, slots=True)
class Source:
    """A peer to ask for blocks."""

    url: PeerUrl
    client: PeerClient
    top: int
    """The height up to which it has the chain, as far as is known."""
    showed_headers: bool = False
    """Whether it showed the chain's headers, and so must have the blocks."""
    quota: int = FIRST_QUOTA
    """Blocks in its next request."""
    strikes: int = 0
    """How often another peer delivered first what it was asked for."""
    is_dropped: bool = False
    """Whether it is no longer asked."""


@dataclass(eq=False, slots=True)
class Slot:
    """The place of one block in the window."""

    height: int
    block_hash: bytes
    raw: bytes = b""
    """The block; empty until it is here."""
    source: Source | None = None
    """The peer that delivered `raw`."""
    asked: list[Source] = field(default_factory=list)
    """Peers that were asked and have not answered yet."""
    asked_at: float = 0.0
    """When a peer was last asked (monotonic clock)."""


class BodyFetcher:
    """One download. Use it in a `with`; one thread calls `next_run` and `refuse`.

    `wanted`: height and hash of each block, in order; `find`: peers that may have them, asked again and again;
    `blame`: told of what a peer did wrong; `is_over`: whether to stop waiting.
    """

    def __init__(
        self,
        wanted: Iterator[tuple[int, bytes]],
        find: Callable[[], Iterable[Source]],
        blame: Callable[[PeerUrl, PeerError], None],
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._wanted = wanted
        self._find = find
        self._blame = blame
        self._is_time_up = is_over
        self._changed = threading.Condition()
        self._window: deque[Slot] = deque()
        self._sources: dict[str, Source] = {}
        self._blamed: set[str] = set()
        self._held = self._flying = 0
        self._block_bytes = 1_000.0  # of a block, lately
        self._look_at = 0.0
        self._error: Exception | None = None
        self._is_over = False

    def __enter__(self) -> BodyFetcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # Requests under way end by their own deadlines; nobody waits for them.
        with self._changed:
            self._is_over = True
            self._window.clear()
            self._changed.notify_all()

    @property
    def peers(self) -> int:
        """How many peers are asked."""
        return len(self._live())

    def next_run(self, *, waits: bool = True) -> list[Slot]:
        """Wait for the next blocks in order; none at the end, or if there are none yet and the caller does not wait.

        Raises NotDelivered if no peer has the first.
        """
        self._fill()
        while True:
            self._look_around()
            with self._changed:
                if self._error is not None:
                    raise self._error
                if not self._window:
                    return []
                first = self._window[0]
                if first.raw:
                    return self._take_run()
                if not waits or self._is_time_up():
                    return []
                if not any(self._may_have(source, first) for source in self._live()):
                    raise NotDelivered("no peer has the next block of the chain")
                self._changed.wait(_LOOK_SECONDS)

    def refuse(self, run: Sequence[Slot], bad: Slot, error: PeerError) -> None:
        """`bad` of `run` is not the block it should be: fetch it anew from another peer, and keep those behind it."""
        with self._changed:
            source = bad.source
            again = list(run[run.index(bad) :])
            self._held += sum(len(slot.raw) for slot in again)
            self._window.extendleft(reversed(again))
            for slot in self._window:
                if slot.source is source:
                    self._held -= len(slot.raw)
                    slot.raw, slot.source = b"", None
        if source is not None:
            self._drop(source, error)

    # the thread that asks for runs

    def _fill(self) -> None:
        """Let the window reach as far as it may. Without the lock, for `wanted` may ask a peer."""
        fresh = []
        for _ in range(WINDOW_BLOCKS - len(self._window)):
            if (next_one := next(self._wanted, None)) is None:
                break
            fresh.append(Slot(*next_one))
        if fresh:
            with self._changed:
                self._window.extend(fresh)
                self._changed.notify_all()

    def _look_around(self) -> None:
        """Take in peers that were not there before."""
        if time.monotonic() < self._look_at or not self._window:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        for source in self._find():
            if source.url.url not in self._sources and self.peers < MAX_SOURCES:
                self._sources[source.url.url] = source
                threading.Thread(target=self._work, args=(source,), name="bodies", daemon=True).start()

    def _take_run(self) -> list[Slot]:
        run: list[Slot] = []
        size = 0
        while self._window and self._window[0].raw and len(run) < _RUN_BLOCKS and size < _RUN_BYTES:
            run.append(self._window.popleft())
            size += len(run[-1].raw)
        self._held -= size
        self._changed.notify_all()
        return run

    def _live(self) -> list[Source]:
        return [source for source in list(self._sources.values()) if not source.is_dropped]

    @staticmethod
    def _may_have(source: Source, slot: Slot) -> bool:
        return source in slot.asked or slot.height <= source.top

    # a peer's thread

    def _work(self, source: Source) -> None:
        try:
            while asked := self._take(source):
                self._fetch(source, asked)
        except Exception as error:  # a bug in the node: `next_run` raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take(self, source: Source) -> list[Slot]:
        """Wait for blocks to ask this peer for; none when it is no longer needed."""
        with self._changed:
            while not self._is_over and not source.is_dropped:
                room = WINDOW_BYTES - self._held - self._flying
                slots, seconds = choose_request(self._window, source, room, self._block_bytes)
                if slots:
                    for slot in slots:
                        slot.asked.append(source)
                        slot.asked_at = time.monotonic()
                    return slots
                self._changed.wait(seconds)
        return []

    def _fetch(self, source: Source, asked: Sequence[Slot]) -> None:
        """One request to a peer, and what follows from its answer."""
        expected = int(self._block_bytes * len(asked))
        with self._changed:
            self._flying += expected
        started = time.monotonic()
        raws: list[bytes] = []
        error: PeerError | None = None
        lacks: Slot | None = None
        try:
            for slot, raw in zip(asked, source.client.blocks([slot.block_hash for slot in asked]), strict=False):
                if raw is None:
                    lacks = slot
                    break
                if sha256d(raw[:HEADER_SIZE]) != slot.block_hash:
                    raise NotDelivered("the peer sent another block than the one asked for")
                raws.append(raw)
            seconds = time.monotonic() - started
            if seconds > _RATE_FROM_SECONDS and sum(map(len, raws)) < _LEAST_RATE * seconds:
                raise PeerTimeout("the peer sends its blocks too slowly")
        except PeerError as found:
            error = found
        with self._changed:
            self._flying -= expected
            self._keep(source, asked, raws)
            self._adapt(source, len(asked), time.monotonic() - started)
            if lacks is not None:
                error = self._lacks(source, lacks)
            self._changed.notify_all()
        if error is not None:
            self._drop(source, error)

    def _keep(self, source: Source, asked: Sequence[Slot], raws: Sequence[bytes]) -> None:
        """Put the blocks in their places, unless another peer was quicker."""
        is_overtaken = False
        for slot, raw in zip(asked, raws, strict=False):
            if slot.raw:
                is_overtaken = True
            elif not source.is_dropped and not self._is_over:
                slot.raw, slot.source = raw, source
                self._held += len(raw)
                self._block_bytes += (len(raw) - self._block_bytes) / 16
        for slot in asked:
            slot.asked.remove(source)
        if is_overtaken:
            source.strikes += 1
            if source.strikes >= _STRIKES and len(self._live()) > 1:
                source.is_dropped = True

    def _adapt(self, source: Source, asked: int, seconds: float) -> None:
        if seconds > _LONG_SECONDS:
            source.quota = max(1, asked // 2)
        elif seconds < _QUICK_SECONDS and asked == source.quota:
            source.quota = min(MAX_BLOCKS, 2 * source.quota)

    @staticmethod
    def _lacks(source: Source, slot: Slot) -> PeerError | None:
        """What a peer is blamed for that does not have a block: nothing, unless it showed the block's header."""
        if source.showed_headers:
            return NotDelivered("the peer does not have a block of the chain that it claims")
        source.top = slot.height - 1
        return None

    def _drop(self, source: Source, error: PeerError) -> None:
        """No longer ask a peer, and blame it, once."""
        with self._changed:
            is_first = source.url.url not in self._blamed
            self._blamed.add(source.url.url)
        if is_first:
            self._blame(source.url, error)
        with self._changed:  # only now: whoever sees that it is dropped finds the blame recorded
            source.is_dropped = True
            self._changed.notify_all()


def choose_request(
    window: deque[Slot], source: Source, room_bytes: float, block_bytes: float
) -> tuple[list[Slot], float | None]:
    """What to ask a peer for now; if nothing, after how many seconds to look again (None: at the next change).

    `room_bytes`: what the window still takes; `block_bytes`: the usual size of a block, lately.
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
    """Whether other peers were asked for a block and have not delivered it in time."""
    if slot.raw or source in slot.asked or slot.height > source.top:
        return False
    return slot.asked_at + LATE_SECONDS <= time.monotonic()
