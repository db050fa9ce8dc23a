"""The peers that `--peer` names: read once, and what is wrong with one said once."""

from __future__ import annotations

import logging
import threading

from node.config import Config
from node.logs import plain_url
from node.p2p.backoff import FIRST_SECONDS, MOST_SECONDS
from node.p2p.errors import BadUrl, PeerError, PeerRefused
from node.p2p.peers import Peers
from node.p2p.urls import parse_peer_url
from node.store.errors import StoreUnavailable
from node.store.peers import PeerRow

log = logging.getLogger("moneyer.p2p")


class Configured:
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

    def meet(self, peers: Peers, stopped: threading.Event) -> None:
        """Have all in the table of a manual node: who is down or finds no room is tried again, who is refused is not.

        Returns when that is done, or on `stopped`; where links are kept, `node.p2p.keeper` does this.
        """
        wanted, pause = self.urls, FIRST_SECONDS
        while wanted:
            wanted = self._not_met(peers, wanted)
            if not wanted or stopped.wait(pause):
                return
            pause = min(2 * pause, MOST_SECONDS)

    def _not_met(self, peers: Peers, wanted: list[str]) -> list[str]:
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
