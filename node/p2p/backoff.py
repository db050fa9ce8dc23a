"""When a peer that failed is tried again: soon, then less and less often, and never given up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 60.0
"""So that a peer that was gone for an hour is found within a minute of its return."""
REFUSED_SECONDS: Final = 600.0
"""Another coin, this node itself: that seldom changes."""
_MOST_KEPT: Final = 4_000


@dataclass(slots=True)
class _Failures:
    count: int
    retry_at: float
    is_fault: bool = False
    """Whether it did something wrong, and was not only away."""


class Backoff:
    """Times by `clock`, in seconds. Not for several threads at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, _Failures] = {}

    def failed(self, url: str, *, is_refusal: bool = False, is_fault: bool = False) -> None:
        entry = self._failed.pop(url, None) or _Failures(0, 0.0)
        entry.count += 1
        entry.is_fault = entry.is_fault or is_fault
        longest = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(entry.count - 1, 20))
        if is_refusal:
            longest = REFUSED_SECONDS
        # Drawn, so that the peers of a node that fell down don't all knock in the same instant.
        entry.retry_at = self._clock() + random.uniform(longest / 2, longest)  # noqa: S311
        self._failed[url] = entry
        if len(self._failed) > _MOST_KEPT:
            del self._failed[next(iter(self._failed))]

    def forget(self, url: str) -> None:
        self._failed.pop(url, None)

    def forget_absence(self, url: str) -> None:
        """The peer is there: that makes up for having been away, and for nothing else."""
        entry = self._failed.get(url)
        if entry is not None and not entry.is_fault:
            del self._failed[url]

    def retry_at(self, url: str) -> float:
        """0 for one that has not failed."""
        entry = self._failed.get(url)
        return entry.retry_at if entry else 0.0
