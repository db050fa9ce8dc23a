"""A fair queue of connections: where more lines come than can be worked on at once, addresses take turns.

A connection is served at once while there is time left in this turn of the event loop. All others wait, and are served
by address, one buffer each. So however many connections an address floods, and however costly its requests are, a miner
elsewhere waits for one buffer of each such address. An address that is alone has all the time that there is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

SLICE: Final = 0.005
"""Seconds of work between two looks at the sockets."""


class Waiting(Protocol):
    """A connection with lines to be worked on."""

    address: str
    """The address by which it is counted."""

    def work(self) -> None:
        """Handle what is in its buffer."""


class FairQueue:
    """Serves connections by turns of their addresses. For the event loop's thread alone."""

    def __init__(self, soon: Callable[[Callable[[], None]], object], clock: Callable[[], float] = monotonic) -> None:
        """`soon`: has a function called in the loop's next turn."""
        self._soon = soon
        self._clock = clock
        self._waiting: OrderedDict[str, deque[Waiting]] = OrderedDict()
        """Connections that wait, by address; the next one of each stands first."""
        self._spent = 0.0
        """Seconds of work in this turn of the loop."""
        self._is_planned = False

    def come(self, connection: Waiting) -> None:
        """Serve a connection now, or when it is its turn. While it waits, it must not come again."""
        if self._waiting or self._spent >= SLICE:
            self._waiting.setdefault(connection.address, deque()).append(connection)
        else:
            self._work(connection)
        self._plan()

    def _work(self, connection: Waiting) -> None:
        began = self._clock()
        try:
            connection.work()
        finally:
            self._spent += self._clock() - began

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            self._soon(self._turn)

    def _turn(self) -> None:
        self._is_planned, self._spent = False, 0.0
        try:
            while self._waiting and self._spent < SLICE:
                address, connections = self._waiting.popitem(last=False)
                connection = connections.popleft()
                if connections:
                    self._waiting[address] = connections  # behind all others
                self._work(connection)
        finally:
            if self._waiting:
                self._plan()
