"""Solved blocks on their way into the chain: kept until the chain has answered."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from ..node.chain.accept import Chain
from ..node.chain.outcomes import SideBranch
from ..node.core import codec, pow
from ..node.core.errors import RuleError
from ..node.core.template import with_extra
from ..node.core.types import Block
from ..node.store import mining
from ..node.store.engine import Store
from .engines import NONCES
from .hasher import Unit
from .reports import Summary

# Endless work from one template: its nonces in stretches, then another `extra` and its nonces again.


EXTRA_SIZE = 16
"""Random bytes in a coinbase's `extra`: no two workers try the same block."""
_KEPT_VARIANTS = 64


def new_extra() -> bytes:
    return os.urandom(EXTRA_SIZE)


class WorkSource:
    """Hands out units of `template`; every header and nonce once, also where a unit comes back unfinished."""

    def __init__(self, template: Block, template_id: int, *, nonces: int = NONCES) -> None:
        """`nonces`: values tried of each header before `extra` changes."""
        self.template_id = template_id
        self.target = pow.decode_bits(template.header.bits)
        self._nonces = nonces
        # A unit names its variant by the header. Old ones are let go: nobody searches 64 variants at once.
        self._variants: OrderedDict[bytes, Block] = OrderedDict()
        self._returned: list[Unit] = []
        self._use(template)

    @property
    def template(self) -> Block:
        """The variant whose nonces are being handed out."""
        return self._variants[self._header]

    @property
    def expected_hashes(self) -> int:
        """To solve it, on average."""
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
        """What a hashing process left untried."""
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
            self._store.write(lambda conn: mining.fail(conn, job_id, message, int(time.time())))
