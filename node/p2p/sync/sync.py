"""Fetches a chain with more work from peers: headers from one, then blocks from several at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from ...chain.accept import Chain
from ...store import blocks
from ...store.blocks import BlockRow
from ...system.threads import OneAtATime, quick_turns
from ..peer.errors import LinkCut, PeerError
from ..peer.urls import PeerUrl
from ..table.peer_table import PeerTable
from ..table.standing import Greeting
from .download import Download
from .fairness import FairLock, TimeSlice
from .progress import SyncMeter, SyncProgress
from .survey import survey


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What came of a sync that one peer led."""

    changed: bool
    """Whether this node's tip is another one now."""
    was_cut: bool
    """Whether the peer's time slice ended first: it may have more blocks."""
    is_to_blame: bool
    """Whether the peer was marked down for what it did."""
    is_cut_off: bool = False
    """Whether the link with it was cut, for an experiment: a new one has nothing to do with this sync."""


@dataclass(frozen=True, slots=True)
class ReplaceOutcome:
    """What came of asking every peer."""

    changed: bool
    """Whether this node's tip is another one now."""
    asked: int
    """Peers that were asked."""
    answered: int
    """Peers that said hello."""


class Sync:
    """The one place where chains are fetched. Any thread may call it; syncs run one at a time, in the order of asking.

    `meter` tells how far the sync under way has come.
    """

    def __init__(self, chain: Chain, peers: PeerTable) -> None:
        self._chain = chain
        self._peers = peers
        self._store = peers.store
        self._replacing = OneAtATime(self._replace_chain)
        self._ended = threading.Condition()
        self._leader: str | None = None
        """URL of the peer that leads the sync under way."""
        self._slice: TimeSlice | None = None
        """Of that peer."""
        self._leading = FairLock()  # two downloads of one chain at once would only be slower
        self.meter = SyncMeter()

    @property
    def syncing(self) -> bool:
        """Whether chains are compared or fetched now."""
        return self.meter.syncing

    @property
    def progress(self) -> SyncProgress | None:
        """How far the sync under way has come; None where there is none."""
        return self.meter.progress

    def replace_chain(self) -> bool:
        """Ask every peer now and take the valid chain with the most work; whether this node's tip changed.

        A peer that is down, slow or lying costs its own time-out and is marked down; then the next best is tried.
        """
        return self.ask_everyone().changed

    def ask_everyone(self) -> ReplaceOutcome:
        """`replace_chain`, with the number of peers. Callers that come during a run share the next one."""
        return self._replacing.run()

    def sync_with(self, peer: Greeting, others_wait: Callable[[], bool]) -> SyncOutcome:
        """Fetch a peer's chain while it has more work than this node's. Raises StoreUnavailable.

        The peer shows the headers; other peers deliver blocks too. One sync at a time: another caller waits. While one
        does, or `others_wait` says so, the peer has SLICE_SECONDS.
        """
        time_slice = TimeSlice(lambda: self._leading.others_wait or others_wait())
        with self._leading.hold(), quick_turns():
            self.meter.begin(self._tip().height, peer.hello.height)
            self._leader, self._slice = peer.url.url, time_slice
            try:
                return self._sync_with(peer, time_slice)
            finally:
                self.meter.end()
                with self._ended:
                    self._leader = self._slice = None
                    self._ended.notify_all()

    def cut_short(self) -> None:
        """End the time of the peer that leads a sync now: it ends as soon as `others_wait` of `sync_with` says so."""
        if (time_slice := self._slice) is not None:
            time_slice.end()

    def wait_not_led_by(self, urls: Collection[str], seconds: float) -> bool:
        """Wait until no sync is under way that one of these peers leads; whether that is so within `seconds`."""
        with self._ended:
            return self._ended.wait_for(lambda: self._leader not in urls, seconds)

    def _replace_chain(self) -> ReplaceOutcome:
        with self.meter.asking():
            return self._ask_and_replace()

    def _ask_and_replace(self) -> ReplaceOutcome:
        changed = False
        answers = self._peers.ask_all()
        greetings = [answer for answer in answers if isinstance(answer, Greeting)]
        queue = deque(sorted(greetings, key=lambda greeting: greeting.hello.claimed_work, reverse=True))

        def is_wanted(greeting: Greeting) -> bool:
            return greeting.hello.claimed_work > self._tip().work

        def others_wait(is_slow: bool) -> bool:
            return is_slow or any(map(is_wanted, queue))

        slow: set[PeerUrl] = set()
        while queue:
            peer = queue.popleft()
            if is_wanted(peer):
                synced = self.sync_with(peer, partial(others_wait, peer.url in slow))
                changed = synced.changed or changed
                if synced.was_cut and synced.changed:  # else it made no progress: a later call may ask it again
                    slow.add(peer.url)
                    queue.append(peer)
        return ReplaceOutcome(changed, len(answers), len(greetings))

    def _tip(self) -> BlockRow:
        with self._store.read() as conn:
            return blocks.tip(conn)

    def _sync_with(self, peer: Greeting, time_slice: TimeSlice) -> SyncOutcome:
        before, is_to_blame, is_cut_off = self._tip().block_hash, False, False
        try:
            while (plan := survey(self._store, peer, self.meter.headers, time_slice.others_wait)) is not None:
                time_slice.begin()
                download = Download(self._chain, self._peers, self.meter, peer, plan, time_slice)
                goes_on = download.run()
                is_to_blame, is_cut_off = download.is_lead_to_blame, download.is_cut_off
                if not goes_on:
                    break
                if plan.is_short:
                    time_slice.end()
                if time_slice.is_over:
                    break
        except LinkCut:
            is_cut_off = True
        except PeerError as error:
            self._peers.blame(peer.url, error)
            is_to_blame = True
        return SyncOutcome(self._tip().block_hash != before, time_slice.was_cut, is_to_blame, is_cut_off)
