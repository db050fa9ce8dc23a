"""The peers that `--peer` names: read once, and what is wrong with one said once."""

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

# When a peer that failed is tried again: soon, then less and less often, and never given up.


FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 60.0
"""So that a peer that was gone for an hour is found within a minute of its return."""
REFUSED_SECONDS: Final = 600.0
"""Another coin, this node itself: that seldom changes."""
_MOST_KEPT: Final = 4_000


@dataclass(slots=True)
class _Failures:
    count: int
    retry_at: float
    is_fault: bool = False
    """Whether it did something wrong, and was not only away."""


class Backoff:
    """Times by `clock`, in seconds. Not for several threads at once."""

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
        # Drawn, so that the peers of a node that fell down don't all knock in the same instant.
        entry.retry_at = self._clock() + random.uniform(longest / 2, longest)  # noqa: S311
        self._failed[url] = entry
        if len(self._failed) > _MOST_KEPT:
            del self._failed[next(iter(self._failed))]

    def forget(self, url: str) -> None:
        self._failed.pop(url, None)

    def forget_absence(self, url: str) -> None:
        """The peer is there: that makes up for having been away, and for nothing else."""
        entry = self._failed.get(url)
        if entry is not None and not entry.is_fault:
            del self._failed[url]

    def retry_at(self, url: str) -> float:
        """0 for one that has not failed."""
        entry = self._failed.get(url)
        return entry.retry_at if entry else 0.0


log = logging.getLogger("moneyer.p2p")


class ConfiguredPeers:
    """`urls`: canonical, each once; one that is no URL is named in the log and left out."""

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
        """Tell the node's owner, unless that was the last thing said of this peer: it may be tried for ever."""
        if self._said.get(url) != why.code:
            self._said[url] = why.code
            log.warning("peer %s is not taken: %s", url, why.message)

    def meet(self, peers: PeerTable, stopped: threading.Event) -> None:
        """Have all in the table of a manual node: who is down or finds no room is tried again, who is refused is not.

        Returns when that is done, or on `stopped`; where links are kept, `node.p2p.gossip.link_manager` does this.
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
