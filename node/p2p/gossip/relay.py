"""Sees what any process of this node has committed, and wakes the links of all peers.

The database is the queue: each link follows the mempool and the tip at its own pace, so nothing waits in memory for a
slow peer. The latest blocks and transfers are kept here too, so that ten links don't read them ten times.

A block that comes in by this process goes to the peers while it is being committed (`announce`): it has passed every
rule by then, and a node that is killed before the commit gets it back from them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final

from ...chain.pipeline import TreeBlock
from ...chain.tip_follower import TipFollower
from ...core import codec
from ...store import blocks
from ...store.chainstate import NewBlock
from ...store.engine import Store
from ...store.errors import StoreUnavailable
from ...store.unconfirmed import order
from ...store.unconfirmed.order import Arrival
from .relay_policy import MAX_PATH, path_to

MAX_BATCH: Final = 500
MAX_BATCH_BYTES: Final = 100_000
"""Transfers, and their bytes, that go to a peer in one request."""
_RECENT: Final = 4_000
"""Transfers that are kept in memory."""
_RECENT_BLOCK_BYTES: Final = 4_000_000
"""Blocks that are kept in memory, the latest, MAX_PATH of them at most."""
_LOOK_SECONDS: Final = 1.0
"""How long to wait for a commit before the thread sees whether it is to end."""
_LEAST_PAUSE: Final = 0.005
_MOST_PAUSE: Final = 0.025
"""Seconds between two looks: of a burst of commits the first is told at once, the rest together."""
_PAUSES_A_LOOK: Final = 9
"""Pause after a look, in times of what the look took: so that it takes a tenth of a busy node's time at most."""
_COMMIT_SECONDS: Final = 2.0
"""How long an announced block is taken for the tip that it is about to be. A commit that fails leaves the old one."""
_IDLE_PAUSE: Final = 0.25
"""Seconds between two looks while no peer is connected."""

log = logging.getLogger("moneyer.p2p")

Listener = Callable[[bool], None]
"""Called when there is something new; with True if blocks left the main chain, so that their transfers came back."""


class Relay:
    """One thread that waits for commits. Links call its other methods from their own threads."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, for `announce`."""
        self._store = store
        self._clock = clock
        self._announced: tuple[NewBlock, float] | None = None
        """A block that is being committed, and until when it is taken for the tip."""
        self._chain_id = store.coin.chain_id
        self._follower = TipFollower(store)
        with store.read() as conn:
            self._last = self._complete_from = order.last(conn)
        self._recent: deque[Arrival] = deque()
        self._raws: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        """Held during a look at the database."""
        self._listeners: list[Listener] = []
        self._stopped = threading.Event()
        self._heard = threading.Event()
        """Set while a link listens, or when the thread is to end."""
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
    def tip(self) -> TreeBlock:
        """The tip that was last seen, or the block that was announced since, if it has more work."""
        tip, announced = self._follower.tip, self._announced
        if announced is not None and announced[0].work > tip.work and self._clock() < announced[1]:
            return announced[0]
        return tip

    def announce(self, new: NewBlock) -> None:
        """Wake the links for a block that has passed every rule and is being committed: see `Chain.on_extended`."""
        self._keep(new.block_hash, codec.encode_header(new.header) + new.body)
        self._announced = new, self._clock() + _COMMIT_SECONDS
        self._tell(reorganized=False)

    def _tell(self, *, reorganized: bool) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(reorganized)

    @property
    def last_arrived(self) -> int:
        """The arrival number of the last transfer that was seen (`node.store.unconfirmed.order`)."""
        return self._last

    def in_pool_after(self, arrived: int) -> list[Arrival]:
        """One batch of the transfers in the mempool that came after arrival number `arrived`, oldest first."""
        with self._store.read() as conn:
            return _batch(order.after(conn, arrived, MAX_BATCH))

    def arrived_after(self, arrived: int) -> list[Arrival]:
        """The same from memory, for a link that is nearly up to date; some may be confirmed by now."""
        with self._lock:
            if arrived >= self._complete_from:
                return _batch(each for each in self._recent if each.arrived > arrived)
        return self.in_pool_after(arrived)

    def path(self, has: Callable[[bytes], bool], limit: int = MAX_PATH) -> list[bytes]:
        """Hashes of the blocks above the last one that the peer `has`, up to the tip; the tip alone if over `limit`."""
        tip = self.tip
        parent = tip.header.prev_hash
        if has(parent) or parent == self._chain_id:
            return [tip.block_hash]
        with self._store.read() as conn:

            def parent_of(block_hash: bytes) -> bytes | None:
                header = tip.header
                if block_hash != tip.block_hash:
                    row = blocks.by_hash(conn, block_hash)
                    if row is None:
                        raise LookupError("a block on the way was forgotten")
                    header = row.header
                return None if header.prev_hash == self._chain_id else header.prev_hash

            try:
                return path_to(tip.block_hash, parent_of, has, limit)
            except LookupError:
                return [tip.block_hash]

    def raw_block(self, block_hash: bytes) -> bytes | None:
        """The bytes of a block; None where its body is not in the database."""
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
            except Exception as error:  # whatever it is, peers must be told as long as this node runs
                log.error("relay: a bug in the node", exc_info=error)
                self._stopped.wait(_LOOK_SECONDS)

    def went_back(self) -> None:
        """The rows are those of a snapshot: forget what is kept beside them. Behind it, `tip` is of those rows."""
        with self._looking:
            self._announced = None
            with self._lock:
                self._raws.clear()
                self._recent.clear()
                self._complete_from = self._last
        self._look()

    def _look(self) -> bool:
        """Read what is new and call all listeners; whether there may be more."""
        with self._looking:
            return self._look_once()

    def _look_once(self) -> bool:
        with self._follower.look() as (conn, move):
            news = order.after(conn, self._last, MAX_BATCH)
        with self._lock:
            if news:
                self._recent.extend(news)
                self._last = news[-1].arrived
            while len(self._recent) > _RECENT:
                self._complete_from = self._recent.popleft().arrived
        if move is not None or news:
            self._tell(reorganized=move is not None and (move.disconnected > 0 or move.is_restored))
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
