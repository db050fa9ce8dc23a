"""Solved blocks on their way into the chain: kept until the chain has answered."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from node.chain import Chain
from node.core import codec
from node.core.errors import RuleError
from node.core.types import Block
from node.outcomes import SideBranch
from node.store import jobs
from node.store.engine import Store
from worker.log import Summary
from worker.work import WorkSource

log = logging.getLogger("moneyer.worker")

_MAX_REFUSED = 5
"""A job whose blocks the chain refuses this often in a row has failed."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A template that is searched, and for whom. `built`: seconds of the monotonic clock."""

    source: WorkSource
    parent_hash: bytes
    receiver: bytes
    job_id: str | None
    built: float

    def serves(self, parent_hash: bytes, receiver: bytes, job_id: str | None) -> bool:
        return (self.parent_hash, self.receiver, self.job_id) == (parent_hash, receiver, job_id)


class Offers:
    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain
        self._found: list[tuple[Block, Work]] = []
        self._refused = 0
        self.own_tip: bytes | None = None
        """The newest block that was mined here."""
        self.blocks = 0
        self.stale = 0
        self.summary = Summary()

    @property
    def waiting(self) -> bool:
        return bool(self._found)

    def add(self, block: Block, work: Work) -> None:
        """A solved block that hashlib has looked at."""
        self._found.append((block, work))

    def submit(self, tip_hash: bytes) -> bool:
        """Offer the first: False when the chain refuses it. Raises StoreUnavailable, and keeps it then."""
        block, work = self._found[0]
        if work.parent_hash != tip_hash:
            self._found.pop(0)
            self._count_late()
            return True
        try:
            outcome = self._chain.accept_block(codec.encode_block(block), int(time.time()), job_id=work.job_id)
        except RuleError as error:
            self._found.pop(0)
            self._refuse(work, error)
            return False
        self._found.clear()  # what else was found stands on the same parent
        self._refused = 0
        if isinstance(outcome, SideBranch):
            self._count_late()
            return True
        self.blocks += 1
        self.own_tip = outcome.block_hash
        self.summary.block(outcome.height, outcome.block_hash)
        return True

    def _count_late(self) -> None:
        self.stale += 1
        self.summary.late()

    def _refuse(self, work: Work, error: RuleError) -> None:
        log.error("the chain refused a block mined here: %s (%s)", error.message, error.code)
        self._refused += 1
        job_id = work.job_id
        if job_id is not None and self._refused >= _MAX_REFUSED:
            self._refused = 0
            message = f"its blocks are refused: {error.message}"
            self._store.write(lambda conn: jobs.fail(conn, job_id, message, int(time.time())))
