"""Rendered answers, each kept for as long as what it says is so.

Theory of operation. A call of `kept` endpoints is answered by rows alone, so its answer holds until something is
committed, by whichever process: `Store.data_version` tells. The version is read before the rows are, and is the key
under which the answer is kept: a commit in between makes the answer newer than its key, and the next caller, who reads
another version, looks again. An answer older than its key cannot come about. Nothing has to be undone after a reorg, a
kill or a lost ring, for nothing here is told of changes.

Blocks and confirmed transactions depend on less: on the main chain, which its tip's hash names. An answer that is kept
with a tip (`OfChain`) holds through transfers and peers, until there is another tip. Which tip goes with a version is
read once a version, behind it as well.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from hashlib import sha256
from math import inf
from time import monotonic
from typing import Final

from ...chain.accept import KeyedLock
from ...store import blocks
from ...store.engine import Store

KEPT_BYTES: Final = 16_000_000
"""Of answers in memory: some ten thousand accounts or transactions, or six full blocks."""
_SHARE: Final = 4
"""One answer takes this part of the bytes at most: else a few large ones drive out all others."""
_MAKING_SECONDS: Final = 1.0
"""A caller waits for another's answer no longer; a block of 4,900 transfers is put together in 0.05."""
_OVERHEAD: Final = 600
"""Bytes that an answer takes beside its content and its address."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer whose bytes are ready."""

    content: bytes
    content_type: str = "application/json"
    policy: str | None = None
    """Content-Security-Policy, where it isn't the strictest."""
    etag: str | None = None
    """Names the content, in quotes: a client that has it already is answered 304."""
    headers: tuple[tuple[str, str], ...] = ()
    """Beside those that every answer has."""
    for_ever: bool = False
    """Whether its address names its content, so that a client need never ask again."""
    private: bool = False
    """Whether it is for the wallet's owner alone, so that no cache on the way keeps it."""


def with_etag(rendered: Rendered) -> Rendered:
    """The answer, named by its content (RFC 9110, 8.8.3)."""
    return replace(rendered, etag=f'"{sha256(rendered.content).hexdigest()[:32]}"')


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    """`data_version` before its rows were read."""
    tip: bytes | None
    """Hash of the main chain's tip where the answer depends on the main chain alone."""
    rendered: Rendered
    size: int
    until: float
    """By the monotonic clock."""


class KeptAnswers:
    """Answers by address, path and query as they were asked for. May be used by several threads."""

    def __init__(self, store: Store, most_bytes: int = KEPT_BYTES) -> None:
        self._store = store
        self._most = most_bytes
        self._lock = threading.Lock()
        """Held to keep an answer; to find one takes no lock."""
        self.making = KeyedLock(_MAKING_SECONDS)
        """Held by address while an answer is put together: after a commit many callers want the same one."""
        self._answers: dict[str, _Kept] = {}
        """The longest kept first."""
        self._bytes = 0
        self._tip = (-1, b"")
        """A version, and the tip's hash that was read behind it."""

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def version(self) -> int:
        """To be read before the rows of an answer. Raises StoreUnavailable."""
        return self._store.data_version()

    def find(self, address: str, version: int) -> Rendered | None:
        """The answer, if it holds at `version`."""
        kept = self._answers.get(address)
        if kept is None or (kept.until != inf and monotonic() > kept.until):
            return None
        if kept.version == version or (kept.tip is not None and kept.tip == self._tip_at(version)):
            return kept.rendered
        return None

    def keep(
        self, address: str, version: int, rendered: Rendered, tip: bytes | None = None, seconds: float | None = None
    ) -> Rendered:
        """Keep an answer that is not too large; it is given back with its ETag.

        `version`: from before its rows were read; `tip`: read with them, where they are of the main chain alone;
        `seconds`: for how long it holds at most.
        """
        rendered = with_etag(rendered)
        until = inf if seconds is None else monotonic() + seconds
        kept = _Kept(version, tip, rendered, len(rendered.content) + len(address) + _OVERHEAD, until)
        if kept.size > self._most // _SHARE:
            return rendered
        with self._lock:
            self._drop(address)
            self._answers[address] = kept
            self._bytes += kept.size
            while self._bytes > self._most:
                self._drop(next(iter(self._answers)))
        return rendered

    def _drop(self, address: str) -> None:
        kept = self._answers.pop(address, None)
        if kept is not None:
            self._bytes -= kept.size

    def _tip_at(self, version: int) -> bytes:
        known, tip = self._tip
        if known != version:
            with self._store.read() as conn:
                tip = blocks.tip_id(conn).block_hash
            self._tip = version, tip
        return tip
