"""What one address may have of a node's HTTP server: places for its requests, and connections.

`Places`: one `Shares` for each bound of `system.shares.HTTP_BOUNDS`; a request without a place waits, and is refused.
`Doorkeeper`: a thread that looks at the connections again and again, and ends those over an address's share. The server
itself takes every connection up to its total, and gives a silent one five seconds. Where a system does not show a
process its own connections (all but Linux), none is ended.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from time import monotonic
from typing import Final

from ...system.shares import (
    CONNECTIONS,
    HTTP_BOUNDS,
    SHORT_READS,
    SHORT_READS_OF_SERVER,
    Bound,
    Shares,
    address_key,
)
from .connections import connections_of, count_files, shut_all

BUSY_SECONDS: Final = 10.0
"""The places of a bound are called busy for so long after a caller was refused one."""

_LOOK: Final = 0.5
_NOTE_SECONDS: Final = 60.0

log = logging.getLogger("moneyer.api")


class Places:
    """The places of one node, by bound."""

    def __init__(self, *, of_server: bool = False) -> None:
        """`of_server`: the node's database is a server's."""
        self._shares = {bound.name: Shares(bound) for bound in HTTP_BOUNDS}
        if of_server:
            self._shares[SHORT_READS.name] = Shares(SHORT_READS_OF_SERVER)

    def of(self, bound: Bound) -> Shares:
        return self._shares[bound.name]

    def __iter__(self) -> Iterator[Shares]:
        return iter(self._shares.values())

    def busy(self) -> tuple[str, ...]:
        """Names of the bounds by which a caller was refused lately."""
        since = monotonic() - BUSY_SECONDS
        return tuple(shares.bound.name for shares in self._shares.values() if shares.refused_at > since)


class Doorkeeper:
    """`port`: the one that the server listens on. `is_proxy`: whether an address may have however many it needs.

    A proxy's connections are many callers', who have their shares as such; those that it has are none of the others'.
    """

    def __init__(
        self, port: int, bound: Bound = CONNECTIONS, is_proxy: Callable[[str], bool] = lambda address: False
    ) -> None:
        self._port = port
        self._bound = bound
        self._is_proxy = is_proxy
        self._note_at = 0.0
        self.sent_away = 0
        """Connections that were ended, for their address had more than its share."""

    def start(self) -> None:
        threading.Thread(target=self._run, name="doorkeeper", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(_LOOK)
            try:
                self.look()
            except Exception:
                log.error("a look at the connections failed; there will be another", exc_info=True)

    def look(self) -> None:
        """End the connections of each address that are over its share, the newest first."""
        if count_files() <= self._bound.each:  # nearly always
            return
        had: Counter[str] = Counter()
        of_proxies = 0
        for connection in connections_of(self._port):
            with closing(connection), suppress(OSError):
                peer = connection.getpeername()[0]
                if self._is_proxy(peer):
                    of_proxies += 1
                else:
                    had[address_key(peer)] += 1
        allowed = self.allowed(had, of_proxies)
        if all(count <= allowed for count in had.values()):
            return
        kept: Counter[str] = Counter()
        before = self.sent_away
        for connection in connections_of(self._port):  # those that were opened first have the lower numbers, mostly
            with closing(connection), suppress(OSError):
                peer = connection.getpeername()[0]
                if self._is_proxy(peer):
                    continue
                address = address_key(peer)
                kept[address] += 1
                if kept[address] > allowed:
                    self.sent_away += shut_all([connection], socket.SHUT_RDWR)
        if monotonic() >= self._note_at:
            self._note_at = monotonic() + _NOTE_SECONDS
            address, count = had.most_common(1)[0]
            log.info(
                "%d connections ended: an address may have %d now, and %s had %d",
                *(self.sent_away - before, allowed, address, count),
            )

    def allowed(self, had: Counter[str], of_proxies: int = 0) -> int:
        """Connections that one address may keep: its share, or less while there are more than the total with it.

        `of_proxies`: how many of the total proxies have.
        """
        allowed, total = self._bound.each, self._bound.total - of_proxies
        while allowed > 1 and sum(min(count, allowed) for count in had.values()) > total:
            allowed //= 2
        return allowed
