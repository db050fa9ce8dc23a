"""The miner: from a template to a block, step by step, in the supervisor's main thread.

A step collects what the hashing processes report, reads what is wanted now (`demand`), offers a solved block to the
chain, or makes a template and feeds its units to the processes. It never blocks for long: it says for how many seconds
nothing is to be done, and the supervisor sleeps until then, or until the database or a process has news.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from ..node.chain.accept import Chain
from ..node.core.errors import MoneyerError
from ..node.core.types import Block
from ..node.store.engine import Store
from ..node.store.errors import StoreUnavailable
from ..node.store.mining import Kind, Mode
from ..node.system.words import of_system
from .demand import IntervalTimer, Snapshot, last_timestamps, read_snapshot, wants_block
from .engines import registry
from .engines.proof import NONCES, solves
from .hasher import Unit
from .pool import Pool
from .reports import HashrateMeter, Trouble
from .work import Offers, Work, WorkSource, new_extra

log = logging.getLogger("moneyer.worker")

UNIT = 1 << 28
"""Nonces that a hashing process gets at once: many seconds of work, so that handing out more is rare."""
REFRESH = 1.5
"""Seconds that a template is kept before new transfers replace it: making one costs more than they gain."""
AGE = 20.0
"""Seconds; the usual `max_age` of a template: its timestamp is wrong by no more."""
IDLE = 5.0
"""Seconds between two steps when nothing has news."""
RETRY = 0.5
"""Seconds before the database is tried again."""
_OWN_EXPECTED = 1 << 15
"""Hashes; an easier target is searched by this process first, which takes less time than a message to another."""
_OWN_WHILE_STARTING = 1 << 17
"""Hashes; an easier target is searched by this process for as long as no hashing process is ready: the first block of a
development network needs no other."""
_OWN_SLICE = 1 << 12
"""Nonces between two looks at the database."""
_JOB_SHARE = 0.5
"""Share of the time that is hashed for a job while mining rests otherwise (on battery)."""
_MAX_BAD_RESULTS = 3
"""Wrong nonces after which hashlib takes over from an engine."""
_KEPT_WORKS = 16
"""Templates whose finds are still known: a process may report one of a template that was just replaced."""


class Miner:
    """Mines for one store with one pool, of hashing processes or of a set rate. Not for use by two threads."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        mode: Mode,
        receiver: Callable[[], bytes],
        *,
        nonces: int = NONCES,
        can_hash: float = 1e6,
        max_age: float = AGE,
    ) -> None:
        """`receiver`: gives the payload that is paid where a job names none; it may raise MoneyerError or OSError.

        `nonces`: tried of a header before the coinbase's `extra` moves on. `can_hash`: hashes a second that the pool
        would reach, by which `interval` gives a worker its part of a network's blocks. `max_age`: seconds after which a
        template is replaced by one with the present time.
        """
        self._store = store
        self._chain = Chain(store)
        self._pool = pool
        self._receiver = receiver
        self._nonces = nonces
        self._can_hash = can_hash
        self._max_age = max_age
        self._own_engine = registry.make("hashlib")
        self._own_left = 0
        """Hashes that this process still tries of the present template before the hashing processes get it."""
        self._own_hashed = 0
        self._meter = HashrateMeter()
        self._seen: Snapshot | None = None
        self.work: Work | None = None
        """What is searched now."""
        self._has_submitted = False
        """Whether the last step handed a block to the chain."""
        self._work_version = -1
        """`data_version` that the present template is known to fit (or: at which there was nothing to mine)."""
        self._works: OrderedDict[int, Work] = OrderedDict()
        self._template_id = 0
        self._retry_at = 0.0
        self._bad_results = 0
        self._trouble = Trouble()
        self.offers = Offers(store, self._chain)
        self.share = 1.0
        """Share of the time in which it hashes; at 0 only jobs are mined, at `_JOB_SHARE`."""
        self.has_jobs_only = False
        """Whether it mines jobs alone, whatever the mode says: a node of a network that has no hash rate."""
        self.switch(mode)

    @property
    def searching(self) -> bool:
        """Whether a template is searched now, or was until a block of it went to the chain in the last step: what
        follows on it is looked at in the next, at once."""
        return self.work is not None or self._has_submitted

    @property
    def hashrate(self) -> float:
        """Hashes a second, of this process and of the hashing processes; 0 while nothing is searched."""
        return self._meter.rate

    def status(self, processes: int) -> dict[str, object]:
        """What the API shows of this process as the node's worker. `processes`: that hash for it."""
        return {
            "pid": os.getpid(),
            "engine": self._pool.engine,
            "hashrate": int(self.hashrate),
            "mode": str(self.mode),
            "processes": processes,
            "searching": self.searching,
            "blocks": self.offers.blocks,
            "stale": self.offers.stale,
            "share": self.share,
        }

    def switch(self, mode: Mode) -> None:
        """Mine by another mode from the next step on."""
        self.mode = mode
        self._timer = IntervalTimer(mode.seconds, self._can_hash * (self.share or _JOB_SHARE))

    def set_can_hash(self, can_hash: float) -> None:
        """Take another part of a network's blocks of mode `interval` from now on; see `can_hash` above."""
        if can_hash != self._can_hash:
            self._can_hash = can_hash
            self.switch(self.mode)

    def set_share(self, share: float) -> None:
        """Hash for `share` (0 to 1) of the time."""
        self.share = share
        self._pool.set_share(share or _JOB_SHARE)

    def step(self) -> float:
        """Do what is to be done now; the seconds until the next step, unless something has news before."""
        # A process that waits to be started again gives no news: with nothing to mine it would be forgotten for `IDLE`.
        return min(self._step(), self._pool.rest)

    def _step(self) -> float:
        self._collect()
        self._meter.see(self._pool.hashed + self._own_hashed)
        self.offers.summary.flush()
        if monotonic() < self._retry_at:
            return self._retry_at - monotonic()
        try:
            return self._advance()
        except StoreUnavailable as error:
            self._trouble.say(f"{error.message}; trying again")
        except MoneyerError as error:  # no receiver: a wallet that cannot be read, say
            self._drop()
            self._trouble.say(f"cannot mine: {error.message}")
        except OSError as error:
            self._drop()
            self._trouble.say(f"cannot mine: {of_system(error)}")
        self._retry_at = monotonic() + RETRY
        return RETRY

    def _advance(self) -> float:
        if self._seen is None or self._store.data_version() != self._seen.version:
            self._seen = read_snapshot(self._store)
            if self._seen.mode not in (None, self.mode):
                log.info("from now on: mode %s", self._seen.mode)
                self.switch(self._seen.mode)
            if self.mode.kind is Kind.INTERVAL:
                self._timer.see(self._seen.tip_hash, lambda: last_timestamps(self._store))
        if self.offers.waiting:
            return self._submit(self._seen)
        self._has_submitted = False
        rests = (self.share == 0 or self.has_jobs_only) and self._seen.job is None
        if rests or not wants_block(self.mode, self._seen, self._timer):
            self._drop()
            self._trouble.over()
            return min(IDLE, self._timer.wait) if self.mode.kind is Kind.INTERVAL and not rests else IDLE
        seen = self._seen
        self.work = self._fitting_work(seen)
        if self.work is None:
            self._drop()
            return IDLE if seen.version == self._work_version else 0.0
        ahead = self.work.source.template.header.timestamp - int(time.time()) - self._store.coin.clock_tolerance
        if ahead > 0:
            self._rest()
            self._trouble.say(f"the chain is {ahead} s ahead of what this clock allows; waiting")
            return min(1.0, ahead)
        self._trouble.over()
        return self._search(self.work, seen)

    def _submit(self, seen: Snapshot) -> float:
        accepted = self.offers.submit(seen.tip_hash)
        self.work, self._seen, self._has_submitted = None, None, accepted
        if not accepted:
            self._retry_at = monotonic() + RETRY
        return 0

    # templates

    def _fitting_work(self, seen: Snapshot) -> Work | None:
        """The present work, or newer work where that no longer fits; None where there is nothing to mine."""
        job_id = seen.job.job_id if seen.job else None
        receiver = (seen.job.receiver if seen.job else None) or self._receiver()
        work, known = self.work, seen.version == self._work_version
        if work and work.serves(seen.tip_hash, receiver, job_id):
            age = monotonic() - work.built
            if age < REFRESH or (known and age < self._max_age):
                return work
        elif known and work is None and job_id is None and self.mode.kind is Kind.INSTANT:
            return None
        template = self._chain.template(receiver, int(time.time()), new_extra())
        if template.parent.block_hash != seen.tip_hash:
            # A block came since: it may have been another worker's for this very job, which is not to be done twice.
            self._seen, self._work_version = None, -1
            return None
        self._work_version = seen.version
        if job_id is None and self.mode.kind is Kind.INSTANT and len(template.block.transactions) == 1:
            return None
        if (
            work
            and work.serves(template.parent.block_hash, receiver, job_id)
            and work.source.template.transactions[1:] == template.block.transactions[1:]
            and monotonic() - work.built < self._max_age
        ):
            return work
        return self.new_work(template.block, template.parent.block_hash, receiver, job_id)

    def new_work(self, block: Block, parent_hash: bytes, receiver: bytes, job_id: str | None) -> Work:
        """Number a template and remember it, so that what is found of it can be offered."""
        self._template_id += 1
        source = WorkSource(block, self._template_id, nonces=self._nonces)
        work = Work(source, parent_hash, receiver, job_id, monotonic())
        self._works[self._template_id] = work
        if len(self._works) > _KEPT_WORKS:
            self._works.popitem(last=False)
        self._own_left = 0
        if source.expected_hashes <= _OWN_EXPECTED:
            self._own_left = 4 * max(source.expected_hashes, _OWN_SLICE)
        if self._searches_itself(work):
            self._pool.pause()
        return work

    def _drop(self) -> None:
        self.work = None
        self._rest()

    def _rest(self) -> None:
        """Stop every process: when one has found a block the others would search on for the same one."""
        self._pool.pause()
        self._meter.rest()

    # searching

    def _searches_itself(self, work: Work) -> bool:
        """Whether this process searches the template, and not the pool.

        Beside a pool of a set rate it does so wherever that rate is not meant: for a job, and where a timer or a
        transfer says that a block is due.
        """
        if self._pool.is_paced:
            return work.job_id is not None or self.mode.kind is not Kind.CONTINUOUS
        is_starting = work.source.expected_hashes <= _OWN_WHILE_STARTING and not self._pool.is_ready
        return self._own_left > 0 or is_starting

    def _search(self, work: Work, seen: Snapshot) -> float:
        source = work.source
        if self._own_left <= 0:
            self._pool.start()
        if self._searches_itself(work):
            unit = source.take(_OWN_SLICE)
            self._own_left -= unit.count
            began = monotonic()
            nonce = self._own_engine.search(unit.header, unit.target, unit.start, unit.count)
            self._own_hashed += unit.count if nonce is None else nonce - unit.start + 1
            if nonce is not None:
                self.offer(work, unit, nonce)
            return (monotonic() - began) * (1 / (self.share or _JOB_SHARE) - 1)
        units = [source.take(UNIT) for _ in range(self._pool.idle(source.template_id))]
        if units:
            self._pool.feed(units)
        return IDLE if seen.version == self._work_version else max(0.0, REFRESH - (monotonic() - work.built))

    def _collect(self) -> None:
        finds, lost = self._pool.collect()
        for report in finds:
            work = self._works.get(report.unit.template_id)
            if work is not None and report.nonce is not None:
                self.offer(work, report.unit, report.nonce)
        for unit in lost:
            work = self._works.get(unit.template_id)
            if work is not None:
                work.source.put_back(unit)

    def offer(self, work: Work, unit: Unit, nonce: int) -> None:
        """Keep a found block for the chain, once hashlib has confirmed it."""
        block = work.source.solve(unit, nonce)
        if block is None:
            return
        if solves(unit.header, unit.target, nonce):
            self.offers.add(block, work)
            return
        self._bad_results += 1
        log.error("the engine %s found nonce %d, which solves nothing: not offered", self._pool.engine, nonce)
        if self._bad_results >= _MAX_BAD_RESULTS and self._pool.engine != "hashlib":
            log.error("the engine %s is wrong too often: hashlib takes over", self._pool.engine)
            self._pool.change_engine("hashlib")
