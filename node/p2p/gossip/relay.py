"""What is new on this node, whichever of its processes committed it: seen once, for every peer that is to be told.

The database is the queue: a peer's link follows the pool and the tip at its own pace, so nothing waits in memory for a
slow one. What has just come is kept here too, so that ten links need not read it ten times.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final

from ...chain.tip_follower import TipFollower
from ...store import blocks
from ...store.blocks import BlockRow
from ...store.engine import Store
from ...store.errors import StoreUnavailable
from ...store.unconfirmed import order
from ...store.unconfirmed.order import Arrival

MAX_BATCH: Final = 500
MAX_BATCH_BYTES: Final = 100_000
"""Of transfers that go to a peer in one request."""
MAX_PATH: Final = 16
"""Blocks in a row that are pushed; a peer that lacks more is offered the tip, and fetches the rest itself."""
_RECENT: Final = 4_000
_RECENT_BLOCK_BYTES: Final = 4_000_000
_LOOK_SECONDS: Final = 1.0
_LEAST_PAUSE: Final = 0.005
_MOST_PAUSE: Final = 0.025
"""Seconds between two looks: the first of a burst of commits is told at once, the rest together."""
_PAUSES_A_LOOK: Final = 9
"""A look that takes long is on a busy node: telling peers takes a tenth of its time at most, up to `_MOST_PAUSE`."""
_IDLE_PAUSE: Final = 0.25
"""The same while there is nobody to tell."""

log = logging.getLogger("moneyer.p2p")

Listener = Callable[[bool], None]
"""Told that there is something new; True where blocks left the main chain, so that transfers came back."""


class Relay:
    """One thread that waits for commits. `tip`: the last one seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chain_id = store.coin.chain_id
        self._follower = TipFollower(store)
        with store.read() as conn:
            self._last = self._complete_from = order.last(conn)
        self._recent: deque[Arrival] = deque()
        self._raws: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._stopped = threading.Event()
        self._heard = threading.Event()
        """Somebody listens, or it is time to end."""
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends within about a second."""
        self._stopped.set()
        self._heard.set()
        self._store.wake()
        if self._thread.is_alive():
            self._thread.join()

    def subscribe(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.append(listener)
            self._heard.set()

    def unsubscribe(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = [each for each in self._listeners if each != listener]
            if not self._listeners and not self._stopped.is_set():
                self._heard.clear()

    @property
    def tip(self) -> BlockRow:
        """The tip that was last seen."""
        return self._follower.tip

    @property
    def last_arrived(self) -> int:
        """The number of the last transfer that was seen to come."""
        return self._last

    def in_pool_after(self, arrived: int) -> list[Arrival]:
        """Transfers in the pool that came behind number `arrived`, oldest first: one batch."""
        with self._store.read() as conn:
            return _batch(order.after(conn, arrived, MAX_BATCH))

    def arrived_after(self, arrived: int) -> list[Arrival]:
        """The same without a look at the database, for whoever is nearly up to date; some may be confirmed by now."""
        with self._lock:
            if arrived >= self._complete_from:
                return _batch(each for each in self._recent if each.arrived > arrived)
        return self.in_pool_after(arrived)

    def path(self, has: Callable[[bytes], bool], limit: int = MAX_PATH) -> list[bytes]:
        """Hashes from above the last block that the peer `has` up to our tip; the tip alone if over `limit`."""
        tip = self.tip
        way, parent = [tip.block_hash], tip.header.prev_hash
        if has(parent) or parent == self._chain_id:
            return way
        with self._store.read() as conn:
            while not has(parent) and parent != self._chain_id:
                row = blocks.by_hash(conn, parent)
                if row is None or len(way) == limit:
                    return way[:1]
                way.append(parent)
                parent = row.header.prev_hash
        return way[::-1]

    def raw_block(self, block_hash: bytes) -> bytes | None:
        """A whole block; None where its body is not kept."""
        with self._lock:
            found = self._raws.get(block_hash)
        if found is None:
            with self._store.read() as conn:
                found = blocks.raw(conn, block_hash)
            if found is not None:
                self._keep(block_hash, found)
        return found

    def _keep(self, block_hash: bytes, raw: bytes) -> None:
        with self._lock:
            self._raws[block_hash] = raw
            while len(self._raws) > 1 and sum(map(len, self._raws.values())) > _RECENT_BLOCK_BYTES:
                self._raws.popitem(last=False)
            while len(self._raws) > MAX_PATH:
                self._raws.popitem(last=False)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._follower.wait(_LOOK_SECONDS):
                    began = time.monotonic()
                    while self._look():
                        pass
                    took = time.monotonic() - began
                    self._heard.wait(_IDLE_PAUSE)
                    self._stopped.wait(min(max(_LEAST_PAUSE, _PAUSES_A_LOOK * took), _MOST_PAUSE))
            except StoreUnavailable as error:
                log.info("relay: %s", error.message)
                self._stopped.wait(_LOOK_SECONDS)
            except Exception as error:  # whatever it is: peers are told as long as this node lives
                log.error("relay: a mistake of the node", exc_info=error)
                self._stopped.wait(_LOOK_SECONDS)

    def _look(self) -> bool:
        """Read what is new and tell everyone who listens; whether there may be more."""
        with self._follower.look() as (conn, move):
            news = order.after(conn, self._last, MAX_BATCH)
        with self._lock:
            if news:
                self._recent.extend(news)
                self._last = news[-1].arrived
            while len(self._recent) > _RECENT:
                self._complete_from = self._recent.popleft().arrived
            listeners = list(self._listeners)
        if move is not None or news:
            for listener in listeners:
                listener(move is not None and move.disconnected > 0)
        return len(news) == MAX_BATCH


def _batch(found: Iterable[Arrival]) -> list[Arrival]:
    batch: list[Arrival] = []
    size = 0
    for each in found:
        size += len(each.raw)
        if batch and (len(batch) == MAX_BATCH or size > MAX_BATCH_BYTES):
            break
        batch.append(each)
    return batch
