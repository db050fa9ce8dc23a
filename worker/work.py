"""Work on one template: its nonces are handed out in units, and a solved block is kept until the chain has answered.

`WorkSource` gives units without end: the nonces of a header in stretches, then another `extra` in the coinbase, which
makes another header, and its nonces. `Work` adds for whom it is. `Offers` brings solved blocks before the chain.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from ..node.chain.accept import Chain
from ..node.chain.outcomes import Orphan, SideBranch
from ..node.core import codec, pow
from ..node.core.errors import RuleError
from ..node.core.template import with_extra
from ..node.core.types import Block
from ..node.store import mining
from ..node.store.engine import Store
from .engines.proof import NONCES
from .hasher import Unit
from .reports import Summary

log = logging.getLogger("moneyer.worker")

EXTRA_SIZE = 16
"""Random bytes in a coinbase's `extra`, so that no two workers try the same header."""
_KEPT_VARIANTS = 64
"""Variants of a template that a find may still be of; more than any number of processes search at once."""
_MAX_REFUSED = 5
"""A job whose blocks the chain refuses this often in a row has failed."""


def new_extra() -> bytes:
    """Fresh random bytes for a coinbase."""
    return os.urandom(EXTRA_SIZE)


class WorkSource:
    """Hands out units of `template`: every header and nonce once, also where a unit comes back unfinished."""

    def __init__(self, template: Block, template_id: int, *, nonces: int = NONCES) -> None:
        """`nonces`: values tried of each header before `extra` changes."""
        self.template_id = template_id
        self.target = pow.decode_bits(template.header.bits)
        self._nonces = nonces
        # By header, which is how a unit names its variant; the oldest goes where there are too many.
        self._variants: OrderedDict[bytes, Block] = OrderedDict()
        self._returned: list[Unit] = []
        self._use(template)

    @property
    def template(self) -> Block:
        """The variant whose nonces are being handed out."""
        return self._variants[self._header]

    @property
    def expected_hashes(self) -> int:
        """Hashes that a solution takes on average."""
        return pow.block_work(self.target)

    def take(self, count: int) -> Unit:
        """The next unit, of at most `count` nonces."""
        if self._returned:
            unit = self._returned.pop()
            if unit.count > count:
                self._returned.append(unit.rest(unit.start + count))
                unit = replace(unit, count=count)
            return unit
        if self._next == self._nonces:
            self._use(with_extra(self.template, new_extra()))
        unit = Unit(self.template_id, self._header, self.target, self._next, min(count, self._nonces - self._next))
        self._next += unit.count
        return unit

    def put_back(self, rest: Unit) -> None:
        """Take back what a hashing process left untried."""
        if rest.count:
            self._returned.append(rest)

    def solve(self, unit: Unit, nonce: int) -> Block | None:
        """The block that `nonce` of a unit makes; None for a unit that is not, or no longer, of this work."""
        block = self._variants.get(unit.header)
        return block and replace(block, header=replace(block.header, nonce=nonce))

    def _use(self, variant: Block) -> None:
        self._header = codec.encode_header(variant.header)
        self._variants[self._header] = variant
        self._next = 0
        if len(self._variants) > _KEPT_VARIANTS:
            self._variants.popitem(last=False)


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A template that is searched, and for whom."""

    source: WorkSource
    parent_hash: bytes
    receiver: bytes
    """Payload that the coinbase pays."""
    job_id: str | None
    """The job that the block is for; None: the mode asks for it."""
    built: float
    """Seconds of the monotonic clock."""

    def serves(self, parent_hash: bytes, receiver: bytes, job_id: str | None) -> bool:
        """Whether a block of it would still stand on that tip, pay that receiver and be for that job."""
        return (self.parent_hash, self.receiver, self.job_id) == (parent_hash, receiver, job_id)


class Offers:
    """Solved blocks on their way into the chain, and how many got there. Used by the miner's thread alone."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain
        self._found: list[tuple[Block, Work]] = []
        self._refused = 0
        self.own_tip: bytes | None = None
        """The newest block that was mined here."""
        self.blocks = 0
        """Blocks that the chain took as its new tip."""
        self.stale = 0
        """Blocks that came too late: another one was first."""
        self.summary = Summary()

    @property
    def waiting(self) -> bool:
        """Whether a block waits to be offered."""
        return bool(self._found)

    def add(self, block: Block, work: Work) -> None:
        """Keep a solved block, whose proof of work hashlib has confirmed."""
        self._found.append((block, work))

    def submit(self, tip_hash: bytes) -> bool:
        """Offer the first block: False when the chain refuses it. Raises StoreUnavailable, and keeps the block then."""
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
        self._found.clear()  # the others stand on the same parent, and could only be side branches
        self._refused = 0
        if isinstance(outcome, SideBranch | Orphan):  # an orphan: the node went back to a snapshot without its parent
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
            self._store.write(lambda conn: mining.fail(conn, job_id, message, int(time.time())))
