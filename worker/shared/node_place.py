"""A node's place in the shared worker: waits for the node, mines for it, and lets go of its folder when it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...node.core.errors import MoneyerError
from ...node.store import mining
from ...node.store.backends.presence import WORKER, Presence
from ...node.store.engine import Store, load_coin
from ...node.store.mining import parse_mode
from ...node.store.opening.open_database import backend_of
from ...node.system.locks import Held, is_held, wait_released
from ...node.system.words import of_system
from ..config import WorkerConfig
from ..demand import USUAL_HASHRATE
from ..miner import Miner
from ..reports import STATUS_SECONDS, StatusReport, Trouble
from ..startup import is_checked
from ..supervisor import first_mode, receiver_of
from .paced_pool import PacedPool

log = logging.getLogger("moneyer.worker")

_LOOK = 0.25
"""Seconds between two looks for a node that does not run."""
_CHECK_LOOK = 0.05
"""Between two looks whether a node has checked its database."""
_RETRY = 2.0
"""Seconds before a folder that could not be used is tried again."""
_BUSY_SECONDS = 1.0
"""A database that is locked for longer is tried again later: the other nodes wait meanwhile."""


@dataclass(frozen=True, slots=True)
class SharedNode:
    """A node to mine for."""

    data: Path
    """Its data folder, which may be made later."""
    hashes: float
    """A second, in the mode `continuous`. 0: only jobs are mined."""
    mode: str | None = "continuous"
    """When to mine, as `parse_mode` reads it, where the folder says nothing of it yet. None: on demand."""
    address: str | None = None
    """Where rewards go; None: to the node's own account `miner`."""

    @property
    def name(self) -> str:
        """How lines of the log call it."""
        return self.data.name


class _Mining:
    """An open node: its store and what mines for it. Raises MoneyerError or OSError where it cannot be opened."""

    def __init__(self, node: SharedNode, ring: Callable[[], None]) -> None:
        worker = WorkerConfig(node.data, address=node.address)
        coin = load_coin(worker.config)
        receiver = receiver_of(worker, coin)
        self.store = Store.open(worker.config, coin, check_file=False, busy_seconds=_BUSY_SECONDS)
        try:
            _set_first_mode(self.store, node.mode)
            self.pool = PacedPool(0.0)
            self.miner = Miner(self.store, self.pool, first_mode(worker, self.store), receiver)
        except BaseException:
            self.store.close()
            raise
        self.store.on_change = ring

    def close(self) -> None:
        """Let go of the database."""
        self.store.on_change = None
        self.miner.offers.summary.flush(now=True)
        self.store.close()


class Place:
    """Stepped by the loop of one thread. Only `ring` and `node_ended` are called by others."""

    def __init__(self, node: SharedNode, wake: Callable[[], None]) -> None:
        """`wake`: makes the loop look at its places."""
        self.node = node
        self.due = 0.0
        """When it is to be stepped, in seconds of the monotonic clock."""
        self.rang = False
        """Whether it is to be stepped at once."""
        self._wake = wake
        self._presence: Presence | None = None
        self._mining: _Mining | None = None
        self._has_ended = threading.Event()
        self._watched = False
        self._trouble = Trouble()
        self._report: StatusReport | None = None
        self._hashes, self._total = node.hashes, node.hashes

    def ring(self) -> None:
        """Have it stepped at once; called in any thread."""
        self.rang = True
        self._wake()

    def set_hashes(self, hashes: float, total: float) -> None:
        """Another rate from now on. `total`: of all nodes, which decides about its part in the mode `interval`."""
        self._hashes, self._total = hashes, total
        if self._mining is not None:
            self._apply_hashes(self._mining)

    def _apply_hashes(self, mining: _Mining) -> None:
        mining.pool.set_hashes(self._hashes)
        mining.miner.has_jobs_only = not self._hashes
        mining.miner.set_can_hash(USUAL_HASHRATE * self._hashes / self._total if self._total else 0.0)

    def step(self) -> float:
        """Do what is to be done now; the seconds until the next step, unless it is rung for before. Raises nothing."""
        try:
            if self._has_ended.is_set():
                self._on_node_ended()
            if self._mining is None:
                return self._open()
            return self._mine(self._mining)
        except MoneyerError as error:
            self._trouble.say(f"cannot mine: {error.message}; trying again")
        except OSError as error:
            self._trouble.say(f"cannot mine: {of_system(error)}; trying again")
        except Exception:
            log.exception("cannot mine; trying again")
        self.close()
        return _RETRY

    def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        mining, self._mining = self._mining, None
        presence, self._presence, self._report = self._presence, None, None
        try:
            if mining is not None:
                mining.close()
        except (MoneyerError, OSError) as error:
            log.warning("the database was not closed in order: %s", error)
        finally:
            if presence is not None:
                presence.release()

    def _open(self) -> float:
        """Take the next step towards mining."""
        config = WorkerConfig(self.node.data).config
        if not is_held(config.node_lock):
            if self._presence is not None:
                self.close()
            return _LOOK
        if self._presence is None:
            try:
                self._presence = backend_of(config).hold(WORKER, tries=1)
            except Held:
                self._trouble.say("has a worker already: waiting for its end")
                return _RETRY
            with suppress(OSError):
                self._presence.say(b"")  # what the last worker said of itself is not true of this one
            self._report = StatusReport(self._presence)
        if not is_checked(config):
            return _CHECK_LOOK
        self._mining = _Mining(self.node, self.ring)
        self._apply_hashes(self._mining)
        self._watch()
        self._trouble.over()
        log.info("mining: mode %s, %g hashes a second", self._mining.miner.mode, self._hashes)
        return 0.0

    def _mine(self, mining: _Mining) -> float:
        seconds = mining.miner.step()
        said = self._report is None or self._report.say(mining.miner.status(processes=1))
        if not said or mining.miner.searching:
            seconds = min(seconds, STATUS_SECONDS)
        return seconds

    def _watch(self) -> None:
        """See to it that the end of the node is noticed at once, also where it comes back soon after."""
        if self._watched:
            return
        self._watched = True
        self._has_ended.clear()
        threading.Thread(target=self._wait_for_end, name=f"watch-node-{self.node.name}", daemon=True).start()

    def _wait_for_end(self) -> None:
        try:
            wait_released(WorkerConfig(self.node.data).config.node_lock)
        except OSError as error:  # a lock file that is gone is as good as a free one
            log.debug("waiting for the end of %s: %s", self.node.name, error)
        self._has_ended.set()
        self.ring()

    def _on_node_ended(self) -> None:
        self._has_ended.clear()
        self._watched = False
        if self._mining is not None:
            log.info("the node has ended: waiting for it to come back")
        self.close()


def _set_first_mode(store: Store, text: str | None) -> None:
    """Store a mode where none was set yet, so that the node tells it too."""
    with store.read() as conn:
        is_set = mining.mode(conn) is not None
    if text is not None and not is_set:
        wanted = parse_mode(text)
        store.write(lambda conn: mining.set_mode(conn, wanted))
