"""The peers that `--peer` names, and how long to wait before a peer that failed is tried again."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...config import Config
from ...store.errors import StoreUnavailable
from ...store.peers import PeerRow
from ...system.logs import plain_url
from ..peer.errors import BadUrl, PeerError, PeerRefused
from ..peer.urls import parse_peer_url
from .peer_table import PeerTable

FIRST_SECONDS: Final = 1.0
"""Wait after the first failure; doubled with each further one."""
MOST_SECONDS: Final = 60.0
"""Longest wait: a peer that was gone for an hour is found within a minute of its return."""
REFUSED_SECONDS: Final = 600.0
"""Wait after a refusal (another coin, this node itself): that seldom changes."""
_MOST_KEPT: Final = 4_000
"""URLs whose failures are remembered."""

log = logging.getLogger("moneyer.p2p")


@dataclass(slots=True)
class _Failures:
    count: int
    retry_at: float
    is_fault: bool = False
    """Whether the peer did something wrong, and was not only away."""


class Backoff:
    """When to try peers again that failed: soon, then less and less often, and never given up.

    `clock`: seconds. Not for several threads at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, _Failures] = {}

    def failed(self, url: str, *, is_refusal: bool = False, is_fault: bool = False) -> None:
        entry = self._failed.pop(url, None) or _Failures(0, 0.0)
        entry.count += 1
        entry.is_fault = entry.is_fault or is_fault
        longest = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(entry.count - 1, 20))
        if is_refusal:
            longest = REFUSED_SECONDS
        # Random, so that the peers of a node that went down don't all call in the same instant.
        entry.retry_at = self._clock() + random.uniform(longest / 2, longest)  # noqa: S311
        self._failed[url] = entry
        if len(self._failed) > _MOST_KEPT:
            del self._failed[next(iter(self._failed))]

    def forget(self, url: str) -> None:
        self._failed.pop(url, None)

    def forget_absence(self, url: str) -> None:
        """Forget the failures of a peer that was only away, now that it is there."""
        entry = self._failed.get(url)
        if entry is not None and not entry.is_fault:
            del self._failed[url]

    def retry_at(self, url: str) -> float:
        """When to try (by `clock`); 0 for a peer that has not failed."""
        entry = self._failed.get(url)
        return entry.retry_at if entry else 0.0


class ConfiguredPeers:
    """The peers of `--peer`. `urls`: canonical, each once; text that is no URL is named in the log and left out."""

    def __init__(self, config: Config) -> None:
        self._said: dict[str, str] = {}
        urls: dict[str, None] = {}
        for text in config.peers:
            try:
                urls[parse_peer_url(text).url] = None
            except BadUrl as error:
                self.refused(plain_url(text), BadUrl(f"{error.message}; write it as --peer http://HOST:PORT"))
        self.urls = list(urls)

    def refused(self, url: str, why: PeerRefused) -> None:
        """Log why a peer is refused, unless that was logged of it last: it may be tried for ever."""
        if self._said.get(url) != why.code:
            self._said[url] = why.code
            log.warning("peer %s is not taken: %s", url, why.message)

    def meet(self, peers: PeerTable, stopped: threading.Event) -> None:
        """Take all into the table of a node that runs with `--manual`; returns when that is done, or on `stopped`.

        A peer that is down or finds no room is tried again; one that is refused is not. Without `--manual`,
        `node.p2p.gossip.link_manager` does this.
        """
        wanted, pause = self.urls, FIRST_SECONDS
        while wanted:
            wanted = self._not_met(peers, wanted)
            if not wanted or stopped.wait(pause):
                return
            pause = min(2 * pause, MOST_SECONDS)

    def _not_met(self, peers: PeerTable, wanted: list[str]) -> list[str]:
        """Those of `wanted` to try again."""
        try:
            answers: list[PeerRow | PeerError] = peers.add_many(wanted)
        except StoreUnavailable as error:
            log.info("peers: %s", error.message)
            return wanted
        again = []
        for url, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, PeerRefused):
                self.refused(url, answer)
            if isinstance(answer, PeerError) and not answer.is_lasting:
                again.append(url)
        return again
