"""Waiting for a condition: looked at again and again, with pauses that keep the machine free, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from .errors import NotInTime

T = TypeVar("T")

_LEAST_PAUSE: Final = 0.01
_MOST_PAUSE: Final = 0.25
_SHARE: Final = 3
"""A pause is three times as long as the look before it, so that looking takes a quarter of the time at most; in the
first second, in which most waits end, as long as it."""
_FIRST_SECONDS: Final = 1.0


def wait_until(
    condition: Callable[[], T | None], timeout: float, what: str, state: Callable[[], str] | None = None
) -> T:
    """The first truthy value of `condition()`. Raises NotInTime after `timeout` seconds; it looks once at least.

    `what`: begins the error's sentence; `state`: called for the error only, says how things stand. An error that
    `condition` raises ends the wait.
    """
    start = time.monotonic()
    end = start + timeout
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now >= end:
            stands = f". {state()}" if state is not None else ""
            raise NotInTime(f"{what} did not come within {timeout:g} s{stands}", timeout=timeout)
        share = _SHARE if now - start > _FIRST_SECONDS else 1
        time.sleep(min(max(_LEAST_PAUSE, share * (now - began)), _MOST_PAUSE, end - now))
