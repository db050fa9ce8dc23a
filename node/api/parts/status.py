"""The answer to `GET /v1/status`, which pages ask for again and again: rendered once for each change."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Final, NamedTuple

from .... import __version__
from ...core.codec import show, show_work
from ...p2p.sync.progress import SyncProgress
from ...service import Node
from ...store.glance import glance
from ..http.doorkeeper import Places
from ..shapes.fields import encode
from ..shapes.mining import WorkerStatus
from ..shapes.v1 import CoinSummary, PoolTotals, Status, SyncStatus
from .workers import NO_WORKER, worker_status

_WORKER_SECONDS: Final = 0.25
"""How long a look at the worker's lock, at who speaks to other nodes, and at the bounds that refused callers, holds: a
thousand requests a second are not as many looks."""


class _Speaking(NamedTuple):
    speaks: bool
    """Whether this node speaks to others."""
    speaker: str | None
    """The URL of the one that does in its place."""


class StatusPage:
    """The rendered answer, for as long as it is true: the database's `data_version`, the worker's word, the sync."""

    def __init__(self, node: Node, places: Places) -> None:
        self._node = node
        self._places = places
        self._lock = threading.Lock()
        """Held while an answer is found or rendered: identical work is done once while other callers wait."""
        self._worker = NO_WORKER
        self._busy: tuple[str, ...] = ()
        self._speaker: str | None = None
        self._looked_until = 0.0
        self._key: tuple[int, WorkerStatus, tuple[str, ...], _Speaking, bool, SyncProgress | None] | None = None
        self._rendered = b""

    def render(self) -> bytes:
        """The answer's JSON. Raises StoreUnavailable."""
        with self._lock:
            if time.monotonic() > self._looked_until:
                self._worker = worker_status(self._node.store)
                self._busy = self._places.busy()
                self._speaker = None if self._node.turn.speaks else self._node.turn.speaker()
                self._looked_until = time.monotonic() + _WORKER_SECONDS
            meter, speaks = self._node.sync.meter, self._node.turn.speaks
            speaking = _Speaking(speaks, None if speaks else self._speaker)
            # The version is read before the rows: a commit in between makes the next caller look again.
            key = (self._node.store.data_version(), self._worker, self._busy, speaking, meter.syncing, meter.progress)
            if key != self._key:
                self._rendered = encode(_read(self._node, *key[1:]))
                self._key = key
            return self._rendered


def _read(
    node: Node,
    worker: WorkerStatus,
    busy: tuple[str, ...],
    speaking: _Speaking,
    syncing: bool,
    progress: SyncProgress | None,
) -> Status:
    coin = node.coin
    with node.store.read() as conn:
        now = glance(conn)
    return Status(
        coin=CoinSummary(coin.name, coin.symbol, coin.hrp, coin.decimals, coin.block_time),
        chain_id=show(coin.chain_id),
        height=now.height,
        tip=show(now.tip_hash),
        work=show_work(now.work),
        bits=f"{now.bits:08x}",
        difficulty=coin.difficulty(now.bits),
        issued=coin.issued(now.height),
        mempool=PoolTotals(now.mempool_count, now.mempool_bytes, node.config.min_fee),
        peers=now.peers,
        peers_connected=now.peers_connected,
        role=node.config.role,
        speaks_to_peers=speaking.speaks,
        speaker=speaking.speaker,
        worker=worker,
        syncing=syncing,
        sync=None if progress is None else SyncStatus(**asdict(progress)),
        version=__version__,
        lab=node.config.lab,
        busy=list(busy),
    )
