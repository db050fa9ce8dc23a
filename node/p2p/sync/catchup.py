"""Chains with more work than ours are fetched one after the other, each peer in its turn."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ...store import blocks
from ...store.errors import StoreUnavailable
from ..peer.errors import PeerError
from ..peer.urls import PeerUrl
from ..table.peer_table import PeerTable
from ..table.spread import location_of
from ..table.standing import CONNECTED, Greeting
from .sync import Sync

_MOST_TURNS: Final = 1_000

log = logging.getLogger("moneyer.p2p")


class CatchUp:
    """One thread. Calls `greeted` before it fetches what a peer has, and `done` afterwards: whether all went well.

    An address whose turn was longest ago is next, and there the peer that waited longest, whatever it claims: a claim
    costs a liar nothing, and another port neither. A peer whose time was up while others waited stands behind them
    again.
    """

    def __init__(
        self, peers: PeerTable, sync: Sync, greeted: Callable[[Greeting], None], done: Callable[[PeerUrl, bool], None]
    ) -> None:
        self._peers = peers
        self._sync = sync
        self._greeted = greeted
        self._done = done
        self._wanted: dict[PeerUrl, int] = {}
        """What each claims, in the order in which they came."""
        self._turns: OrderedDict[str, None] = OrderedDict()
        """Addresses that had their turn, the last one at the end."""
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="catch up", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing new is begun; a sync that is under way is not waited for: it may be left at any block."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def want(self, url: PeerUrl, work: int = 0) -> None:
        """Compare chains with a peer soon. `work`: that it claims, where it is known."""
        with self._changed:
            self._wanted[url] = max(work, self._wanted.get(url, 0))
            self._changed.notify()

    def _run(self) -> None:
        while (url := self._next()) is not None:
            try:
                self._catch_up(url)
            except StoreUnavailable as error:
                log.info("sync: %s", error.message)
            except Exception:
                log.exception("sync: a fault of this node")

    def _next(self) -> PeerUrl | None:
        with self._changed:
            while not self._wanted and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return None
            order = {address: number for number, address in enumerate(self._turns)}
            url = min(
                self._wanted, key=lambda each: order.get(location_of(each.host).address, -1)
            )  # of equals the first
            del self._wanted[url]
            address = location_of(url.host).address
            self._turns[address] = None
            self._turns.move_to_end(address)
            if len(self._turns) > _MOST_TURNS:
                self._turns.popitem(last=False)
            return url

    def _others_wait(self, url: PeerUrl) -> bool:
        """Whether any peer but this one claims more work than ours."""
        own_work = self._own_work()
        with self._changed:
            return any(work > own_work for other, work in self._wanted.items() if other != url)

    def _own_work(self) -> int:
        with self._peers.store.read() as conn:
            return blocks.tip(conn).work

    def _catch_up(self, url: PeerUrl) -> None:
        try:
            greeting = self._peers.greet(url)
        except PeerError as error:
            log.info("peer %s: %s", url, error.message)
            return  # its link finds out as well
        self._greeted(greeting)
        if greeting.hello.claimed_work > self._own_work():
            synced = self._sync.sync_with(greeting, lambda: self._others_wait(url))
            row = self._peers.find(url.url)
            if synced.is_to_blame or (row is not None and row.state != CONNECTED):
                self._done(url, False)
                return
            if synced.was_cut:
                self.want(url, greeting.hello.claimed_work)
                return
        self._done(url, True)
