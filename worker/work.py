"""Endless work from one template: its nonces in stretches, then another `extra` and its nonces again."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import replace

from node.core import codec, pow
from node.core.template import with_extra
from node.core.types import Block
from worker.engines import NONCES
from worker.messages import Unit

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
