"""Syncs with the peers that claim more work than this node has, one after the other, each in its turn."""

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
"""Addresses whose last turn is remembered."""

log = logging.getLogger("moneyer.p2p")


class CatchUp:
    """One thread. It calls `greeted` before it fetches from a peer, and `done` afterwards: whether all went well.

    Next is the address whose last turn was longest ago, and of its peers the one that has waited longest. What a peer
    claims doesn't count: a claim costs a liar nothing, nor does another port. A peer whose time slice ended while
    others waited waits again, behind them.
    """

    def __init__(
        self, peers: PeerTable, sync: Sync, greeted: Callable[[Greeting], None], done: Callable[[PeerUrl, bool], None]
    ) -> None:
        self._peers = peers
        self._sync = sync
        self._greeted = greeted
        self._done = done
        self._wanted: dict[PeerUrl, int] = {}
        """Peers that wait, in the order in which they came, and the work that each claims."""
        self._turns: OrderedDict[str, None] = OrderedDict()
        """Addresses in the order of their last turns."""
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="catch up", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new. A sync that is under way is told to end, and not waited for: the process may end at any
        block of it."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._sync.cut_short()

    def want(self, url: PeerUrl, work: int = 0) -> None:
        """Have a peer asked soon whether it has more work. `work`: what it claims, where that is known."""
        with self._changed:
            self._wanted[url] = max(work, self._wanted.get(url, 0))
            self._changed.notify()

    def forget(self) -> None:
        """Nobody waits any more: the rows are those of a snapshot, and links begin anew."""
        with self._changed:
            self._wanted.clear()

    def _run(self) -> None:
        while (url := self.next_peer()) is not None:
            try:
                self._catch_up(url)
            except StoreUnavailable as error:
                log.info("sync: %s", error.message)
            except Exception:
                log.exception("sync: a bug in the node")

    def next_peer(self) -> PeerUrl | None:
        """Wait for the next peer; None at the end."""
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
        """Whether any other peer that waits claims more work than this node has, or nobody is to be asked any more."""
        if self._stopped:
            return True
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
            return  # its link notices too, and blames it
        self._greeted(greeting)
        if greeting.hello.claimed_work > self._own_work():
            synced = self._sync.sync_with(greeting, lambda: self._others_wait(url))
            if synced.is_cut_off:
                return
            row = self._peers.find(url.url)
            if synced.is_to_blame or (row is not None and row.state != CONNECTED):
                self._done(url, False)
                return
            if synced.was_cut:
                self.want(url, greeting.hello.claimed_work)
                return
        self._done(url, True)
