"""Waiting for what a test wants, instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_BUSY = 4
"""How many times slower than a machine at rest one may be that runs other tests too."""
END_SECONDS = 60.0
"""For a process that was told to end: one that needs longer hangs. Ours promise seconds, on a machine at rest."""


def wait_until(condition: Callable[[], T], timeout: float = 10, message: str = "the condition") -> T:
    """The first truthy value of `condition()`, asked every 20 ms. AssertionError after `timeout` seconds, times _BUSY.

    `timeout` is what would be long on a machine at rest: it ends a test that hangs, and is never what is tested.
    An exception that `condition` raises is not caught: write the ones that may come on the way into the condition.
    """
    seconds = timeout * _BUSY
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {message}; at last: {value!r}")
        time.sleep(0.02)


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Meanwhile `act` is done about every so many seconds, in a thread."""
    end = threading.Event()

    def go_on() -> None:
        while not end.wait(seconds):
            act()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(60)


class Clock:
    """Seconds that pass when the test says so: `clock.now += 5`."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now
