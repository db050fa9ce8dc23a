"""Helpers for threads: many items at once, one job for many callers. All threads are daemons."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


_BUSY_SWITCH_SECONDS: Final = 0.001
"""Python's own is 0.005."""


@contextmanager
def quick_turns() -> Iterator[None]:
    """Let a thread that wants the interpreter get it sooner, while this process computes beside its answers.

    Python's own 5 ms add up in a request. Not for all the time: where every thread answers, more switches are waste.
    For one caller at a time.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_BUSY_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def in_threads(function: Callable[[T], R], items: Sequence[T], limit: int) -> list[R]:
    """The results of `function` for every item, in their order, up to `limit` at once. Raises the first error."""
    results: dict[int, R] = {}
    errors: list[Exception] = []
    todo: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    for numbered in enumerate(items):
        todo.put(numbered)

    def work() -> None:
        while not errors:
            try:
                index, item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                results[index] = function(item)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=work, name="peers", daemon=True) for _ in range(min(limit, len(items)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(items))]


class OneAtATime(Generic[R]):
    """Runs a job for many callers: all that come during a run share the next one."""

    def __init__(self, job: Callable[[], R], *, rests: bool = False) -> None:
        """`rests`: after each run rest for as long as it took, so that the job takes half of the time at most."""
        self._job = job
        self._rests = rests
        self._rest_until = 0.0
        self._changed = threading.Condition()
        self._begun = self._finished = 0
        self.waiting = 0
        """Callers that wait for a run's end."""
        self._result: R | BaseException | None = None

    def run(self) -> R:
        """The result of a run that began after this call. Raises what the job raised."""
        with self._changed:
            wanted = self._begun + 1
            while self._finished < wanted:
                left = self._rest_until - monotonic()
                if self._finished == self._begun and left <= 0:
                    self._begun += 1
                    break
                self.waiting += 1
                try:
                    self._changed.wait(left if left > 0 else None)
                finally:
                    self.waiting -= 1
            leads = self._finished < wanted
        return self._lead() if leads else self._shared()

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        with self._changed:
            return self._finished < self._begun

    def _lead(self) -> R:
        began = monotonic()
        try:
            result = self._job()
        except BaseException as error:
            self._end(began, error)
            raise
        self._end(began, result)
        return result  # its own: the next run may be over before this thread is on again

    def _end(self, began: float, result: R | BaseException) -> None:
        with self._changed:
            self._result = result
            self._finished = self._begun
            if self._rests:
                self._rest_until = 2 * monotonic() - began
            self._changed.notify_all()

    def _shared(self) -> R:
        with self._changed:
            result = self._result
        if isinstance(result, BaseException):
            raise result
        return result  # type: ignore[return-value] # set by the run that is over
