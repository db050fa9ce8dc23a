"""Fetches and checks a peer's headers until they outweigh this node's chain, before any block is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...core.codec import sha256d
from ...core.errors import RuleError
from ...core.types import HASH_SIZE
from ...store import blocks
from ...store.engine import Store
from ..peer.errors import BadAnswer, BadChain, NotDelivered, PeerTimeout, PeerUnreachable
from ..peer.peer_client import PeerClient
from ..peer.wire import MAX_HEADERS
from ..table.standing import Greeting
from .fairness import SLICE_SECONDS
from .headers import HeaderLine, is_for_later

GRACE_SECONDS: Final = 60.0
LEAST_RATE: Final = 500
"""Headers a second in the long run: a peer has a minute, and another one for every 30,000 headers that it sent.
While others wait, it has SLICE_SECONDS in place of the first minute."""
_KEPT_BATCHES: Final = 100
"""Answers whose hashes are kept in memory (6 MB); those of later answers are asked for again."""


@dataclass(frozen=True, slots=True)
class HeaderBatch:
    """One answer of headers that were checked."""

    after: bytes
    """Hash of the block before the first header."""
    last: bytes
    """Hash of the last header."""
    height: int
    """Of the first header."""
    count: int
    hashes: bytes | None
    """Of all of them, end to end; None where they are not kept."""


@dataclass(slots=True)
class DownloadPlan:
    """Headers that outweigh this node's chain, from the fork point up: the blocks to download."""

    batches: list[HeaderBatch] = field(default_factory=list)
    count: int = 0
    """Headers in all batches."""
    is_short: bool = False
    """Whether the peer sent fewer headers than it may in one answer, and yet claims to have more."""

    @property
    def from_height(self) -> int:
        """Of the first header."""
        return self.batches[0].height

    @property
    def to_height(self) -> int:
        """Of the last header."""
        return self.batches[-1].height + self.batches[-1].count - 1

    @property
    def is_full(self) -> bool:
        """Whether further hashes are no longer kept."""
        return len(self.batches) >= _KEPT_BATCHES

    def add(self, after: bytes, height: int, hashes: Sequence[bytes]) -> None:
        kept = None if self.is_full else b"".join(hashes)
        self.batches.append(HeaderBatch(after, hashes[-1], height, len(hashes), kept))
        self.count += len(hashes)


def survey(
    store: Store, peer: Greeting, seen: Callable[[int], None], others_wait: Callable[[], bool]
) -> DownloadPlan | None:
    """A peer's headers from the fork point until they outweigh this node's chain, and beyond; None where they don't.

    Every header is checked in full. `seen` is told the height of the last one after each answer; `others_wait`: whether
    the peer has less time. Raises BadAnswer, PeerTimeout, PeerUnreachable, BadChain (a broken rule, or less work than
    claimed), StoreUnavailable.
    """
    state = _Survey(store, peer, others_wait)
    while headers := state.ask():
        state.take(headers)
        seen(state.height)
        if state.is_over(len(headers)):
            break
    if state.wins:
        return state.plan
    if not state.for_later and peer.hello.claimed_work > max(state.own_work, state.work):
        raise BadChain("the peer claimed more work than its headers show")
    return None


class _Survey:
    """The peer's headers so far.

    `work` (cumulative) and `height` are of the last header; `for_later`: a header is from this clock's future.
    """

    def __init__(self, store: Store, peer: Greeting, others_wait: Callable[[], bool]) -> None:
        with store.read() as conn:
            self.own_work = blocks.tip(conn).work
            self._locator = blocks.locator(conn)
        self.plan = DownloadPlan()
        self.for_later = False
        self.work = self.height = 0
        self._store = store
        self._peer = peer
        self._others_wait = others_wait
        self._line: HeaderLine | None = None
        self._most = 0
        self._started = time.monotonic()

    @property
    def wins(self) -> bool:
        return self.work > self.own_work

    def ask(self) -> list[bytes]:
        """The next headers; none at the end of the peer's chain. Raises PeerError, unless there is work enough."""
        last = [] if self._line is None else [self._line.block_hash]
        try:
            return self._peer.client.headers([*last, *self._locator])
        except (PeerTimeout, PeerUnreachable):
            if self.wins:
                return []
            raise

    def take(self, headers: Sequence[bytes]) -> None:
        """Check an answer and add it to the plan. Raises PeerError."""
        line = self._line
        if line is None:
            line = self._line = self._line_behind(headers[0])
            claimed = self._peer.hello.height - line.height
            self._most = min(claimed, line.most_successors(int(time.time()))) + MAX_HEADERS
        after, height = line.block_hash, line.height + 1
        hashes, self.for_later = _check_headers(line, headers)
        if hashes:
            _refuse_invalid(self._store, hashes)
            self.plan.add(after, height, hashes)
        self.work, self.height = line.work, line.height

    def is_over(self, count: int) -> bool:
        """Whether to stop after an answer of `count` headers. Raises PeerError where the peer wastes time."""
        # A short answer is the peer's last one; if not, the next survey goes on from there.
        self.plan.is_short = not self.for_later and count < MAX_HEADERS and self.height < self._peer.hello.height
        if self.for_later or (self.wins and (self.plan.is_full or count < MAX_HEADERS)):
            return True
        is_too_long = self.plan.count > self._most
        seconds = (SLICE_SECONDS if self._others_wait() else GRACE_SECONDS) + self.plan.count / LEAST_RATE
        if not is_too_long and time.monotonic() < self._started + seconds:
            return False
        if self.wins:
            return True
        if is_too_long:
            raise BadChain("the peer sent more headers than its chain has, with too little work")
        raise PeerTimeout("the peer's headers did not outweigh this node's chain in time")

    def _line_behind(self, raw: bytes) -> HeaderLine:
        """The headers of this node's own tree that end with the parent of `raw`. Raises BadAnswer if it has none."""
        with self._store.read() as conn:
            line = HeaderLine.from_store(conn, self._store.coin, raw[4 : 4 + HASH_SIZE])
        if line is None:
            raise BadAnswer("the peer's headers are not linked to a block that this node has")
        return line


def _refuse_invalid(store: Store, hashes: Sequence[bytes]) -> None:
    with store.read() as conn:
        for block_hash in blocks.known(conn, hashes):
            row = blocks.by_hash(conn, block_hash)
            if row is not None and row.status == blocks.INVALID:
                raise BadChain("the peer's chain has a block that broke a rule here")


def _check_headers(line: HeaderLine, headers: Sequence[bytes]) -> tuple[list[bytes], bool]:
    """Append `headers` to the line: their hashes, and whether one is from this clock's future. Raises PeerError."""
    now = int(time.time())
    hashes = []
    for raw in headers:
        try:
            hashes.append(line.append(raw, now))
        except RuleError as error:
            if is_for_later(error):
                return hashes, True
            raise BadChain("the peer's headers break a rule", rule=error.code) from None
    return hashes, False


def hashes_of(client: PeerClient, batch: HeaderBatch) -> list[bytes]:
    """The hashes of a batch; asked for again where they were not kept. Raises PeerError.

    Each header names the one before it, so the hash of the last one proves them all.
    """
    if batch.hashes is not None:
        return [batch.hashes[at : at + HASH_SIZE] for at in range(0, len(batch.hashes), HASH_SIZE)]
    headers = client.headers([batch.after])[: batch.count]
    prev_hash = batch.after
    hashes = []
    for raw in headers:
        if raw[4 : 4 + HASH_SIZE] != prev_hash:
            raise BadAnswer("the peer's headers are not linked")
        prev_hash = sha256d(raw)
        hashes.append(prev_hash)
    if len(hashes) != batch.count or prev_hash != batch.last:
        raise NotDelivered("the peer's headers are others than it showed before")
    return hashes
