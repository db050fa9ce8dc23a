"""A line of headers on top of a block that this node has: each checked in full, in flat memory."""

from __future__ import annotations

from collections import deque

from sqlalchemy import Connection

from ...core import codec, pow, rules
from ...core.coin import Coin
from ...core.errors import RuleError
from ...store import blocks
from ..peer.errors import BadAnswer


class HeaderLine:
    """The last header of a line and what its successor's rules look back on.

    `height`, `work` (cumulative) and `block_hash` are of the last header.
    """

    def __init__(self, coin: Coin, block_hash: bytes, height: int, work: int, recent: list[pow.TimedBits]) -> None:
        """`recent`: the last headers, oldest first, the line's own last one included; use `from_store`."""
        self._coin = coin
        self.block_hash = block_hash
        self.height = height
        self.work = work
        self._recent = deque(recent, maxlen=rules.span(coin))

    @classmethod
    def from_store(cls, conn: Connection, coin: Coin, block_hash: bytes) -> HeaderLine | None:
        """The line that ends with a block of the tree; None where that is unknown or known to be invalid."""
        start = row = blocks.by_hash(conn, block_hash)
        if start is None or row is None or start.status == blocks.INVALID:
            return None
        recent = []
        for _ in range(rules.span(coin)):
            recent.append(pow.TimedBits(row.header.timestamp, row.header.bits))
            row = blocks.by_hash(conn, row.header.prev_hash)
            if row is None:
                break
        return cls(coin, start.block_hash, start.height, start.work, recent[::-1])

    def append(self, raw: bytes, now: int) -> bytes:
        """Check the next header (80 bytes) and take it in; its hash.

        Raises BadAnswer where it doesn't link, else the RuleError of the rule that it breaks (protocol stages 2 and 3).
        """
        header, block_hash = codec.decode_header(raw), codec.sha256d(raw)
        if header.prev_hash != self.block_hash:
            raise BadAnswer("the peer's headers are not linked")
        rules.check_header_in_isolation(header, block_hash, self._coin)
        context = rules.context_of(self._coin, self.height + 1, list(self._recent))
        rules.check_header_in_context(header, context, self._coin, now)
        self.block_hash = block_hash
        self.height += 1
        self.work += pow.block_work(pow.decode_bits(header.bits))
        self._recent.append(pow.TimedBits(header.timestamp, header.bits))
        return block_hash

    def most_successors(self, now: int) -> int:
        """At most how many headers can follow.

        Each six raise the median time by a second at least, and no timestamp may pass our clock and its tolerance.
        """
        oldest = min(row.timestamp for row in self._recent)
        return 6 * max(0, now + self._coin.clock_tolerance - oldest) + rules.MEDIAN_SPAN


def is_for_later(error: RuleError) -> bool:
    """A header from the future by this node's clock is no lie: the clock may be slow."""
    return error.code == "time_too_new"
