"""The stages of `docs/protocol.md` as they are run: what decodes and computes, before a function of `node.core.rules`.

    stage                       made by                    checked by
    1  size                     open_block                 rules.check_size
    2  header in isolation      open_block                 rules.check_header_in_isolation
    3  header in context        Ancestry, rules.context_of rules.check_header_in_context
    4  body in isolation        open_body                  rules.check_body_in_isolation
    5  body in context          store.chainstate           ledger.apply_block

`accept` runs all of them on bytes. The headers of a peer (`node.p2p.sync.headers`) come alone: stages 2 and 3. `verify`
reads rows, not bytes, and calls the same functions of the last column.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from ..core import codec, pow, rules
from ..core.codec import sha256d
from ..core.coin import Coin
from ..core.types import HEADER_SIZE, Block, Header
from ..store import blocks
from ..store.blocks import BlockRow
from ..store.chainstate import NewBlock

TreeBlock = BlockRow | NewBlock
"""A block of the tree, or one on its way into it: both have `block_hash`, `header`, `height`, `work` and `status`."""

_REMEMBERED = 4096
"""Headers that are kept in memory: some 0.5 MB, and more than the largest window of a retarget."""


def open_block(raw: bytes, coin: Coin) -> tuple[Header, bytes]:
    """Stage 1, and what stage 2 looks at: a whole block's header and its hash. Raises BlockTooLarge, Malformed."""
    rules.check_size(len(raw), coin)
    return codec.decode_header(raw[:HEADER_SIZE]), sha256d(raw[:HEADER_SIZE])


def open_body(raw: bytes, header: Header, coin: Coin) -> tuple[Block, list[bytes]]:
    """What stage 4 looks at: the block of a header, from the whole block's bytes, and its txids. Raises Malformed."""
    transactions, txids = codec.decode_body_and_txids(raw[HEADER_SIZE:], rules=coin.rules)
    return Block(header, transactions), txids


class Ancestor(NamedTuple):
    """The part of a header that its descendants' contexts take."""

    prev_hash: bytes
    height: int
    timestamp: int
    bits: int


class Ancestry:
    """Computes contexts along any branch. A header never changes, so what is kept by its hash is never undone."""

    def __init__(self, coin: Coin) -> None:
        self._coin = coin
        self._span = rules.span(coin)
        self._facts: dict[bytes, Ancestor] = {}
        self._latest: tuple[bytes, list[pow.TimedBits]] = b"", []
        """The last parent that was asked for, and what its child's context takes: mostly the next one is that child."""

    def context_after(self, conn: Connection, parent_hash: bytes) -> rules.HeaderContext:
        """The context of a child of a block of the tree, or of one that was remembered."""
        newest = self._find(conn, parent_hash)
        last_hash, recent = self._latest
        if newest.prev_hash == last_hash:
            recent = [*recent[-self._span + 1 :], pow.TimedBits(newest.timestamp, newest.bits)]
        elif parent_hash != last_hash:
            recent = self._recent(conn, newest)
        self._latest = parent_hash, recent
        return rules.context_of(self._coin, newest.height + 1, recent)

    def _recent(self, conn: Connection, newest: Ancestor) -> list[pow.TimedBits]:
        """`newest` and its ancestors, oldest first: as many as a context takes."""
        rows = [newest]
        while len(rows) < self._span and rows[-1].height > 0:
            rows.append(self._find(conn, rows[-1].prev_hash))
        return [pow.TimedBits(row.timestamp, row.bits) for row in reversed(rows)]

    def _find(self, conn: Connection, block_hash: bytes) -> Ancestor:
        fact = self._facts.get(block_hash)
        if fact is not None:
            return fact
        row = blocks.by_hash(conn, block_hash)
        if row is None:
            raise LookupError(f"no block {block_hash.hex()}")
        return self.remember(block_hash, row.header, row.height)

    def remember(self, block_hash: bytes, header: Header, height: int) -> Ancestor:
        """Keep a header's part, also of one that is not in the tree yet; the oldest go first."""
        if len(self._facts) >= _REMEMBERED:
            for old in list(self._facts)[: _REMEMBERED // 4]:
                self._facts.pop(old, None)
        fact = self._facts[block_hash] = Ancestor(header.prev_hash, height, header.timestamp, header.bits)
        return fact
