"""A total deadline for a request: when it passes, the request's sockets are shut down.

The time-out that `requests` takes is between bytes: a peer that drips holds a call for as long as it likes.
"""

from __future__ import annotations

import contextlib
import heapq
import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar


class Guard:
    """One request under way. `ends_at`: on the monotonic clock."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.expired = False
        self._over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds, never under a millisecond: 0 would mean "do not block" to a socket."""
        return max(0.001, self.ends_at - time.monotonic())

    def attach(self, sock: socket.socket) -> None:
        """Shut `sock` down when the deadline passes (at once if it has)."""
        with self._lock:
            self._sockets.append(sock)
            if self.expired:
                _shut(sock)

    def finish(self) -> None:
        """The request is over: its sockets, which may be kept alive, are no longer touched."""
        with self._lock:
            self._over = True
            self._sockets.clear()
            if time.monotonic() >= self.ends_at:
                self.expired = True

    def fire(self) -> None:
        with self._lock:
            if self._over:
                return
            self.expired = True
            for sock in self._sockets:
                _shut(sock)


def _shut(sock: socket.socket) -> None:
    # Not closed: its number could be another file's by the time the reading thread looks.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """One daemon thread for every deadline of the process; it sleeps while there are none."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._queue: list[tuple[float, int, Guard]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def watch(self, guard: Guard) -> None:
        with self._wake:
            # Threads don't survive a fork: alive is asked each time.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            self._count += 1
            heapq.heappush(self._queue, (guard.ends_at, self._count, guard))
            if self._queue[0][2] is guard:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    self._wake.wait()
                left = self._queue[0][0] - time.monotonic()
                if left > 0:
                    self._wake.wait(left)
                    continue
                guard = heapq.heappop(self._queue)[2]
            guard.fire()


_WATCHDOG = Watchdog()
_CURRENT: ContextVar[Guard | None] = ContextVar("moneyer_request_guard", default=None)


@contextlib.contextmanager
def total_deadline(seconds: float) -> Iterator[Guard]:
    """Everything that this thread does to the sockets of one request ends `seconds` from now.

    The caller looks at `guard.expired` behind the block: a body that ends early is told from one that is whole.
    """
    guard = Guard(time.monotonic() + seconds)
    token = _CURRENT.set(guard)
    _WATCHDOG.watch(guard)
    try:
        yield guard
    finally:
        _CURRENT.reset(token)
        guard.finish()


def current_guard() -> Guard:
    """The guard of this thread's request. Raises RuntimeError outside of `total_deadline`."""
    guard = _CURRENT.get()
    if guard is None:
        raise RuntimeError("a request to a peer without a deadline")
    return guard
