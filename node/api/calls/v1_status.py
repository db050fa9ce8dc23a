"""The node at a glance, and the coin it is for."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from functools import cache
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from .... import __version__
from ...core.errors import MoneyerError
from ...core.hashing import show
from ...p2p.sync.progress import SyncProgress
from ...p2p.table.standing import CONNECTED
from ...store import blocks, peers
from ...store.unconfirmed import entries
from ...system import locks
from ..context import NodeContext
from ..http.endpoint import Call, Rendered, Reply, endpoint
from ..http.inflight import places_of
from ..shapes.fields import encode
from ..shapes.mining_shapes import WorkerStatus
from ..shapes.render import work
from ..shapes.v1 import CoinFields, CoinSummary, Health, PeerCounts, PoolTotals, Status, SyncStatus

_WORKER_SECONDS = 0.25
"""How long a look at the worker's lock, and at who was refused, is believed: so that a thousand requests a second are
not as many looks."""
_MAX_WORKER_STATUS = 4_096


class _WorkerFile(Struct):
    """What the worker writes into its lock file; more may stand there."""

    engine: Annotated[str, Meta(max_length=40)] | None = None
    hashrate: Annotated[float, Meta(ge=0, le=1e30)] = 0.0
    mode: Annotated[str, Meta(max_length=40)] | None = None
    processes: Annotated[int, Meta(ge=0)] = 0
    searching: bool = False
    share: float = 1.0
    blocks: Annotated[int, Meta(ge=0)] = 0
    stale: Annotated[int, Meta(ge=0)] = 0


_DEAD = WorkerStatus(alive=False)


def worker_status(node: NodeContext) -> WorkerStatus:
    """Whether a mining worker lives, and what it says of itself."""
    path = node.config.worker_lock
    if not locks.is_held(path):
        return _DEAD
    try:
        with path.open("rb") as file:
            said = msgspec.json.decode(file.read(_MAX_WORKER_STATUS), type=_WorkerFile)
    except (OSError, ValueError):
        said = _WorkerFile()  # it is being written just now
    stale_share = said.stale / (said.blocks + said.stale) if said.stale else 0.0
    return WorkerStatus(alive=True, stale_share=stale_share, **msgspec.structs.asdict(said))


def sync_status(progress: SyncProgress | None) -> SyncStatus | None:
    return None if progress is None else SyncStatus(**asdict(progress))


class StatusCache:
    """The rendered answer, for as long as it is true: the database's `data_version` and what the worker says."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._worker = _DEAD
        self._worker_until = 0.0
        self._places = places_of(node)
        self._busy: tuple[str, ...] = ()
        self._key: tuple[int, WorkerStatus, bool, SyncProgress | None, tuple[str, ...]] | None = None
        self._rendered = b""

    def render(self) -> bytes:
        # The version is read before the rows: a commit in between makes the next caller look again.
        with self._lock:
            if time.monotonic() > self._worker_until:
                self._worker = worker_status(self._node)
                self._busy = self._places.busy()
                self._worker_until = time.monotonic() + _WORKER_SECONDS
            sync = self._node.sync
            key = (self._node.store.data_version(), self._worker, sync.syncing, sync.progress, self._busy)
            if key != self._key:
                self._rendered = encode(read_status(self._node, self._worker, self._busy))
                self._key = key
            return self._rendered


@cache
def cache_of(node: NodeContext) -> StatusCache:
    return StatusCache(node)


def read_status(node: NodeContext, worker: WorkerStatus, busy: tuple[str, ...]) -> Status:
    coin = node.coin
    with node.store.read() as conn:
        tip = blocks.tip(conn)
        count, size = entries.totals(conn)
        known = peers.count(conn)
    return Status(
        coin=CoinSummary(coin.name, coin.symbol, coin.hrp, coin.decimals, coin.block_time),
        chain_id=show(coin.chain_id),
        height=tip.height,
        tip=show(tip.block_hash),
        work=work(tip.work),
        bits=f"{tip.header.bits:08x}",
        difficulty=coin.difficulty(tip.header.bits),
        issued=coin.issued(tip.height),
        mempool=PoolTotals(count, size, node.config.min_fee),
        peers=known,
        worker=worker,
        syncing=node.sync.syncing,
        sync=sync_status(node.sync.progress),
        version=__version__,
        busy=list(busy),
    )


@endpoint(
    "GET", "/v1/status", "The node at a glance: coin, tip, work, mempool, peers, worker", reply=Status, bound=None
)
def status(node: NodeContext, call: Call) -> Rendered:
    return Rendered(cache_of(node).render())


@endpoint(
    "GET", "/v1/coin", "The whole coin, so that a newcomer can join with a URL alone", reply=CoinFields, bound=None
)
def coin(node: NodeContext, call: Call) -> Rendered:
    return Rendered(encode(node.coin.as_json()))


@endpoint(
    "GET",
    "/healthz",
    "Whether the node can do its work: read its database, write to it; and how many peers answered",
    reply=Health,
    also={503: Health},
    is_health=True,
)
def healthz(node: NodeContext, call: Call) -> Health | Reply:
    health = Health(
        status="failing",
        height=None,
        database=False,
        writer=node.store.is_writing,
        peers=PeerCounts(0, 0),
        busy=list(places_of(node).busy()),
        problem=None,
    )
    try:
        node.store.check_file()
        with node.store.read() as conn:
            health.height = blocks.tip(conn).height
            states = peers.states(conn)
    except MoneyerError as error:
        health.problem = f"the database cannot be used: {error.message}"
        return Reply(503, health)
    health.database = True
    health.peers = PeerCounts(len(states), sum(state == CONNECTED for state in states.values()))
    if not health.writer:
        health.problem = "the thread that writes to the database has ended: start the node again"
        return Reply(503, health)
    health.status = "ok"
    return health
