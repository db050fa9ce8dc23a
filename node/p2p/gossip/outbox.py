"""What one peer is sent: new blocks and new transfers, and which of them it has already.

Used by the thread of the peer's link. `RecentHashes` alone is written by other threads too: what a peer sends this node
is not to be sent back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Final

from ...chain.pipeline import TreeBlock
from ...core.types import HASH_SIZE
from ...store import blocks
from ...store.engine import Store
from ...store.unconfirmed.entries import is_whole
from ...store.unconfirmed.order import Arrival
from ..peer.errors import Refused
from ..peer.peer_client import PeerClient
from ..peer.urls import PeerUrl
from .relay import Relay
from .relay_policy import MAX_PATH, is_news

AGAIN_SECONDS: Final = 1.0
"""Wait until a peer is sent again what it did not take now."""
_KNOWN_BLOCKS: Final = 2_000
_KNOWN_TRANSFERS: Final = 8_192
"""Hashes that are remembered for one peer."""
_MAX_PUSHED: Final = 288
"""Blocks that are pushed at most to a peer that can't fetch them here: it would not take a deeper fork."""

log = logging.getLogger("moneyer.p2p")


class RecentHashes:
    """The hashes that a peer has, as far as is known: bounded, the oldest forgotten first. For several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._hashes: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def __contains__(self, each: bytes) -> bool:
        return each in self._hashes

    def add(self, hashes: Iterable[bytes]) -> None:
        with self._lock:
            for each in hashes:
                self._hashes.pop(each, None)
                self._hashes[each] = None
            while len(self._hashes) > self._size:
                del self._hashes[next(iter(self._hashes))]

    def discard(self, each: bytes) -> None:
        with self._lock:
            self._hashes.pop(each, None)

    def clear(self) -> None:
        with self._lock:
            self._hashes.clear()


class BlockOutbox:
    """Sends one peer this node's main chain.

    `peer_work`: the work that the peer claims; `is_unsure`: only a new hello can show what the peer has now;
    `beside`: the last block that it took as a side branch, standing on another tip.
    """

    def __init__(self, url: PeerUrl, client: PeerClient, relay: Relay, store: Store) -> None:
        self.known = RecentHashes(_KNOWN_BLOCKS)
        self.peer_work = 0
        self.is_unsure = False
        self.beside: bytes | None = None
        self._url = url
        self._client = client
        self._relay = relay
        self._store = store
        self._offered: bytes | None = None

    def peer_is_at(self, tip_hash: bytes, work: int, own_tip: TreeBlock) -> None:
        """A hello said so. `own_tip`: this node's before the hello: what the peer sent since is not to go back."""
        self.known.add([tip_hash])
        self.peer_work = work
        self.is_unsure = False
        if work < own_tip.work:
            # Whatever it was sent before, it is not on this node's tip.
            self.known.discard(own_tip.block_hash)
            self._offered = None

    def send(self, *, can_fetch: bool) -> bool:
        """Send the tip, and the blocks that lead there; False where the peer needs nothing. Raises PeerError.

        `can_fetch`: the peer knows where to call us, and comes for what it lacks.
        """
        tip = self._relay.tip
        if tip.block_hash == self._offered or not is_news(
            tip.work, has_tip=tip.block_hash in self.known, peer_work=self.peer_work
        ):
            return False
        self._offered = tip.block_hash
        if not self._push(self._relay.path(self.known.__contains__, MAX_PATH)) and not can_fetch:
            self._find_fork()
            self._push(self._relay.path(self.known.__contains__, _MAX_PUSHED))
        return True

    def _push(self, path: list[bytes]) -> bool:
        """Send blocks, oldest first; False where the peer lacks the parent of the first."""
        for block_hash in path:
            raw = self._relay.raw_block(block_hash)
            if raw is None:
                break
            if block_hash in self.known:
                continue  # the peer has sent it here meanwhile
            try:
                status = self._client.push_block(raw)
            except Refused as error:
                self._refused(block_hash, error)
                break
            if status == "orphan":
                self.is_unsure = True
                return False
            if status == "side_branch":
                self.beside = block_hash
            self.known.add([block_hash])
        return True

    def _refused(self, block_hash: bytes, error: Refused) -> None:
        # After a 403 (it takes nothing from here) the next hello is soon enough.
        self.is_unsure = error.status != 403
        if error.rule is not None:
            log.info("peer %s refused a block: %s", self._url, error.rule)
            self.known.add([block_hash])

    def _find_fork(self) -> None:
        """Ask for headers, to learn about where the peer's chain leaves this node's."""
        with self._store.read() as conn:
            locator = blocks.locator(conn)
        headers = self._client.headers(locator)
        if headers:
            self.known.add([headers[0][4 : 4 + HASH_SIZE]])


class TransferOutbox:
    """Sends one peer the transfers of the mempool, in the order in which they came.

    `not_before`: when to try again (monotonic clock).
    """

    def __init__(self, url: PeerUrl, client: PeerClient, relay: Relay) -> None:
        self.known = RecentHashes(_KNOWN_TRANSFERS)
        self.not_before = 0.0
        self._url = url
        self._client = client
        self._relay = relay
        self._cursor = 0
        self._is_up_to_date = False

    def send(self) -> bool:
        """Send one batch of what the peer lacks; False where there is none, or not now. Raises PeerError."""
        batch = self._next_batch()
        if not batch:
            return False
        # For a damaged row this node would be blamed.
        wanted = [each for each in batch if each.txid not in self.known and is_whole(each.txid, each.raw)]
        if wanted:
            try:
                self._client.push_transactions(b"".join(each.raw for each in wanted))
            except Refused as error:
                if error.status in (429, 503):
                    self.not_before = time.monotonic() + AGAIN_SECONDS
                    return False
                log.info("peer %s refused transfers: HTTP %d", self._url, error.status)
            self.known.add(each.txid for each in wanted)
        self._cursor = batch[-1].arrived
        return True

    def _next_batch(self) -> list[Arrival]:
        """First what is in the mempool already, then what arrives."""
        if self._is_up_to_date:
            return self._relay.arrived_after(self._cursor)
        seen = self._relay.last_arrived
        batch = self._relay.in_pool_after(self._cursor)
        if not batch:
            self._is_up_to_date = True
            self._cursor = max(self._cursor, seen)
        return batch
