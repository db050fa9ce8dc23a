"""The figures that Prometheus reads: rows and states as they are when it asks, and counts since this process began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .... import __version__
from ...chain.tip_follower import TipMove
from ...core.codec import show
from ...p2p.table.standing import CONNECTED
from ...service import Node
from ...store import blocks, peers
from ...store.unconfirmed import entries
from ..feed.feed import Feed
from ..http.inflight import Flights
from .workers import stratum_status, worker_status

# Every name here is one that the oldest format knows too, and every Prometheus reads that.
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_DEPTHS: Final = (1, 2, 3, 6, 12, 50, 100, 1_000)

disable_created_metrics()  # type: ignore[no-untyped-call] # one series less for each count; nobody here asks when it began


class Metrics:
    """One node's registry. Its names begin with `moneyer_`, those of the process with `process_`."""

    def __init__(self, node: Node, flights: Flights, feed: Feed) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(flights.seconds)
        self._depths = Histogram(
            "moneyer_reorg_depth",
            "Blocks that left the main chain in a reorg, whichever process of the node did it.",
            buckets=_DEPTHS,
            registry=self._registry,
        )
        self.blocks_connected = 0
        self._registry.register(_Now(node, flights, feed, self))
        ProcessCollector(registry=self._registry)
        feed.on_move(self._note_move)

    def _note_move(self, move: TipMove) -> None:
        self.blocks_connected += move.connected
        if move.disconnected:
            self._depths.observe(move.disconnected)

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _Now(Collector):
    """What is read when it is asked for. Raises StoreUnavailable."""

    def __init__(self, node: Node, flights: Flights, feed: Feed, metrics: Metrics) -> None:
        self._node = node
        self._flights = flights
        self._feed = feed
        self._metrics = metrics

    def describe(self) -> Iterator[Metric]:
        """Nothing: so that nobody collects in order to register."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield from self._rows()
        yield from self._sync()
        yield from self._worker()
        yield from self._process()

    def _rows(self) -> Iterator[Metric]:
        with self._node.store.read() as conn:
            tip = blocks.tip(conn)
            count, size = entries.totals(conn)
            states = Counter(peers.states(conn).values())
        info = GaugeMetricFamily("moneyer_info", "Always 1.", labels=("version", "coin", "chain_id"))
        info.add_metric((__version__, self._node.coin.name, show(self._node.coin.chain_id)), 1)
        yield info
        yield _gauge("moneyer_height", "Height of the tip; genesis is 0.", tip.height)
        yield _gauge("moneyer_work", "Cumulative work of the main chain, in expected hashes.", tip.work)
        yield _gauge("moneyer_tip_timestamp_seconds", "When the tip says it was made.", tip.header.timestamp)
        yield _gauge("moneyer_difficulty", "Of the tip.", self._node.coin.difficulty(tip.header.bits))
        yield _gauge("moneyer_mempool_transfers", "Transfers that wait for a block.", count)
        yield _gauge("moneyer_mempool_bytes", "Their size.", size)
        by_state = GaugeMetricFamily("moneyer_peers", "Peers in the table, by state.", labels=("state",))
        for state in sorted({*states, CONNECTED}):
            by_state.add_metric((state,), states[state])
        yield by_state

    def _sync(self) -> Iterator[Metric]:
        sync = self._node.sync
        progress = sync.progress
        yield _gauge("moneyer_speaks_to_peers", "1 where this node has the peers of its chain.", self._node.turn.speaks)
        yield _gauge("moneyer_syncing", "1 while blocks are fetched from peers.", sync.syncing)
        rate = progress.blocks_per_second if progress else 0.0
        yield _gauge("moneyer_sync_blocks_per_second", "Lately, in a sync; else 0.", rate)

    def _worker(self) -> Iterator[Metric]:
        worker = worker_status(self._node.store)
        yield _gauge("moneyer_worker_alive", "1 while a mining worker lives.", worker.alive)
        yield _gauge("moneyer_workers", "Mining workers that live.", worker.count)
        yield _gauge(
            "moneyer_worker_hashrate", "Hashes a second, as the worker says; of several the sum.", worker.hashrate
        )
        yield _counter("moneyer_worker_blocks", "Blocks that the worker found since it began.", worker.blocks)
        yield _counter("moneyer_worker_stale", "Blocks of it that came too late.", worker.stale)
        stratum = stratum_status(self._node.store)
        yield _gauge("moneyer_stratum_alive", "1 while a Stratum server runs.", stratum is not None)
        yield _gauge("moneyer_stratum_servers", "Stratum servers that run.", 0 if stratum is None else stratum.servers)
        if stratum is not None:
            yield _gauge("moneyer_stratum_miners", "Connections that have a user.", stratum.connections)
            yield _gauge("moneyer_stratum_hashrate", "Hashes a second, by the shares that came.", stratum.hashrate)
            yield _counter("moneyer_stratum_shares", "Shares that were taken.", stratum.accepted)
            yield _counter("moneyer_stratum_refused", "Shares that were not.", stratum.rejected)
            yield _counter("moneyer_stratum_blocks", "Blocks that miners found.", stratum.blocks)

    def _database(self) -> Iterator[Metric]:
        store = self._node.store
        yield _counter("moneyer_commits", "Commits of the node's serving process.", store.commits)
        about = "What these took, and what failed, waits for the right to write included."
        yield _counter("moneyer_commit_seconds", about, store.commit_seconds)
        yield _counter("moneyer_writes_failed", "Writes that the database did not take.", store.failed_writes)

    def _process(self) -> Iterator[Metric]:
        feed, flights = self._feed, self._flights
        yield _counter("moneyer_blocks_connected", "Blocks that joined the main chain.", self._metrics.blocks_connected)
        yield from self._database()
        yield _gauge("moneyer_requests_in_flight", "Requests that are worked on or wait, streams too.", flights.count)
        yield _counter("moneyer_slow_connections_cut", "Connections ended for their client's slowness.", flights.cut)
        yield _counter("moneyer_requests_abandoned", "Not worked on, for their callers had gone.", flights.abandoned)
        held = GaugeMetricFamily("moneyer_places_held", "Places that callers hold, by kind.", labels=("kind",))
        most = GaugeMetricFamily("moneyer_places_held_by_one", "Most that one address holds.", labels=("kind",))
        waiting = GaugeMetricFamily("moneyer_places_waiting", "Callers that wait for one.", labels=("kind",))
        refused = CounterMetricFamily("moneyer_places_refused", "Callers that got none.", labels=("kind",))
        for shares in (*flights.places, self._node.gossip.inbound, self._node.chain.orphans.places):
            kind = (shares.bound.name.replace(" ", "_"),)
            held.add_metric(kind, shares.count)
            most.add_metric(kind, shares.largest()[1])
            waiting.add_metric(kind, shares.waiting)
            refused.add_metric(kind, shares.refused)
        yield from (held, most, waiting, refused)
        yield _gauge("moneyer_event_clients", "Clients that listen to /v1/events.", feed.clients)
        yield _counter("moneyer_event_clients_dropped", "Those that were let go as too slow.", feed.dropped)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=float(value))


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(name, about, value=value)
