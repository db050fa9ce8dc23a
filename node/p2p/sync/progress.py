"""How far a sync has come, for the API, the metrics and the terminal."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

_SPAN_SECONDS: Final = 5.0
"""Rates are taken over about this long."""


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """A sync at one moment."""

    headers_height: int
    """Of the last header that was checked."""
    target_height: int
    """Where the sync is to end: the peer's claim, until all of its headers are here."""
    connected_height: int
    """Of the last block that was taken in."""
    blocks_per_second: float = 0.0
    """Over the last _SPAN_SECONDS."""
    transfers_per_second: float = 0.0
    """Over the last _SPAN_SECONDS."""
    peers: int = 1
    """That deliver blocks."""


class SyncMeter:
    """The present sync's progress: written by the thread that syncs, read by any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.progress: SyncProgress | None = None
        """Of the sync that is under way; None while there is none. Only this class writes it."""
        self.syncing = False
        """Whether chains are compared or fetched now. Only this class writes it."""
        self._is_asking = False
        self._number = 0
        self.last: SyncProgress | None = None
        """Of the sync that is under way, else of the last one."""
        self._taken: deque[tuple[float, int, int]] = deque()

    def wait_for_one(self) -> int:
        """Wait until a sync runs; its number."""
        with self._changed:
            self._changed.wait_for(lambda: self.progress is not None)
            return self._number

    def wait_for_end(self, number: int, timeout: float) -> bool:
        """Whether the sync of that number is over within `timeout` seconds; another may run by then."""
        with self._changed:
            return self._changed.wait_for(lambda: self.of(number) is None, timeout)

    def of(self, number: int) -> SyncProgress | None:
        """The progress of the sync of that number; None when it is over."""
        return self.progress if number == self._number else None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While all peers are asked for their chains, and the better ones are fetched. One caller at a time."""
        self._set_asking(True)
        try:
            yield
        finally:
            self._set_asking(False)

    def _set_asking(self, is_asking: bool) -> None:
        with self._changed:  # a sync of another thread may begin or end now
            self._is_asking = is_asking
            self.syncing = is_asking or self.progress is not None

    def begin(self, height: int, target_height: int) -> None:
        self._number += 1
        self._taken = deque([(time.monotonic(), 0, 0)])
        self._set(SyncProgress(height, max(height, target_height), height))

    def end(self) -> None:
        self._set(None)

    def headers(self, height: int) -> None:
        """Headers are checked up to `height`."""
        if now := self.progress:
            self._set(replace(now, headers_height=height, target_height=max(height, now.target_height)))

    def planned(self, from_height: int, to_height: int, is_all: bool) -> None:
        """Blocks above `from_height` up to `to_height` are to come; `is_all`: the peer's chain ends there."""
        if now := self.progress:
            target = to_height if is_all else max(to_height, now.target_height)
            self._set(replace(now, headers_height=to_height, target_height=target, connected_height=from_height))

    def connected(self, height: int, blocks: int, transfers: int, peers: int) -> None:
        """Blocks up to `height` are in: so many more, with so many transfers, from so many peers."""
        now = self.progress
        if now is None:
            return
        taken = self._taken
        taken.append((time.monotonic(), blocks, transfers))
        while len(taken) > 2 and taken[-1][0] - taken[1][0] > _SPAN_SECONDS:
            taken.popleft()
        seconds = max(1e-3, taken[-1][0] - taken[0][0])
        blocks_rate, transfers_rate = (sum(row[i] for row in list(taken)[1:]) / seconds for i in (1, 2))
        self._set(
            replace(
                now,
                connected_height=height,
                blocks_per_second=round(blocks_rate, 1),
                transfers_per_second=round(transfers_rate, 1),
                peers=peers,
            )
        )

    def _set(self, progress: SyncProgress | None) -> None:
        with self._changed:
            self.progress = progress
            self.syncing = self._is_asking or progress is not None
            self.last = progress or self.last
            self._changed.notify_all()
