"""Turns at the event loop: where more lines come than can be worked on at once, one address is served after another.

Who comes while there is time left in this turn of the loop is served at once. All others wait, and are served by
address, one buffer each: so however many connections an address floods, and however dear what it asks is, a miner
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
    """A connection with something to be worked on. `address`: what it is counted by."""

    address: str

    def work(self) -> None:
        """On what is in its buffer."""


class Turns:
    """`soon`: has a function called in the loop's next turn. Everything here is in the loop's thread."""

    def __init__(self, soon: Callable[[Callable[[], None]], object], clock: Callable[[], float] = monotonic) -> None:
        self._soon = soon
        self._clock = clock
        self._waiting: OrderedDict[str, deque[Waiting]] = OrderedDict()
        """By address: the next one stands first."""
        self._spent = 0.0
        """Seconds, in this turn of the loop."""
        self._is_planned = False

    def come(self, connection: Waiting) -> None:
        """Work on what a connection brought, now or when it is its turn. While it waits, it must not come again."""
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
