"""The blocks of a simulation: real headers under the real rules, but for the hash, which nobody searched for.

A block has a number here, in the order in which blocks were found; 0 is genesis. Its header is checked once, by the
functions of `node.core` that a node calls: the verdict is the same for all nodes, as all have one clock.
"""

from __future__ import annotations

from hashlib import sha256

from ...core import codec, pow, rules
from ...core.coin import Coin
from ...core.template import Parent, timestamp_on
from ...core.types import Header
from .chances import MICROS

NOBODY = -1
"""Finder of genesis."""


class BlockTree:
    """All blocks there are, whoever has them. Lists by number; works and targets are whole numbers of hashes."""

    def __init__(self, coin: Coin) -> None:
        genesis = coin.genesis.header
        self.coin = coin
        self.headers = [genesis]
        self.hashes = [coin.chain_id]
        self.parents = [0]
        self.heights = [0]
        self.works = [0]
        self.miners = [NOBODY]
        self.found_at = [0]
        """Microseconds of the virtual clock."""
        self.contexts: list[rules.HeaderContext] = []
        """Of a child of each block: what the retarget and the median ask of it."""
        self.child_works: list[int] = []
        """The hashes that a child stands for."""
        self._recent: list[tuple[pow.TimedBits, ...]] = []
        self._span = rules.span(coin)
        self._look_ahead((pow.TimedBits(genesis.timestamp, genesis.bits),))

    def __len__(self) -> int:
        return len(self.headers)

    def template(self, parent: int, now_micros: int) -> Header | None:
        """The header of a child that is found now; None where a node would wait, as its own clock is behind it."""
        context, now = self.contexts[parent], self.seconds(now_micros)
        on = Parent(self.hashes[parent], context.height - 1, context.median_time_past, context.bits)
        timestamp = timestamp_on(on, now)
        if timestamp > now + self.coin.clock_tolerance:
            return None
        root = sha256(len(self.headers).to_bytes(8, "little")).digest()  # stands for a body, and tells blocks apart
        return Header(1, on.block_hash, root, timestamp, on.next_bits, 0)

    def add(self, header: Header, parent: int, miner: int, now_micros: int) -> int:
        """A block joins the tree, checked by the rules for headers; its number. Raises RuleError."""
        context = self.contexts[parent]
        rules.check_version(header)
        rules.check_bits_allowed(header, self.coin)
        rules.check_not_genesis(header)
        rules.check_header_in_context(header, context, self.coin, self.seconds(now_micros))
        number = len(self.headers)
        self.headers.append(header)
        self.hashes.append(codec.block_hash(header))
        self.parents.append(parent)
        self.heights.append(context.height)
        self.works.append(self.works[parent] + self.child_works[parent])
        self.miners.append(miner)
        self.found_at.append(now_micros)
        self._look_ahead((*self._recent[parent][-self._span + 1 :], pow.TimedBits(header.timestamp, header.bits)))
        return number

    def seconds(self, micros: int) -> int:
        """The virtual clock as nodes read it: whole Unix seconds."""
        return self.coin.timestamp + micros // MICROS

    def line(self, tip: int) -> list[int]:
        """The chain that ends in `tip`, genesis first."""
        way = [tip]
        while way[-1] != 0:
            way.append(self.parents[way[-1]])
        return way[::-1]

    def _look_ahead(self, recent: tuple[pow.TimedBits, ...]) -> None:
        context = rules.context_of(self.coin, self.heights[-1] + 1, recent)
        self._recent.append(recent)
        self.contexts.append(context)
        self.child_works.append(pow.block_work(pow.decode_bits(context.bits)))
