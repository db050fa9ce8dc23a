"""A heavier chain from the peers: headers first, then bodies from several of them at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...chain.accept import Chain
from ...store import blocks
from ...store.blocks import BlockRow
from ...system.threads import OneAtATime, quick_turns
from ..peer.errors import PeerError
from ..peer.urls import PeerUrl
from ..table.peer_table import PeerTable
from ..table.standing import Greeting
from .download import Download
from .fairness import FairLock, TimeSlice
from .progress import SyncMeter, SyncProgress
from .survey import survey


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """`changed`: our tip; `was_cut`: the peer's time was up, and it may have more; `is_to_blame`: it did wrong."""

    changed: bool
    was_cut: bool
    is_to_blame: bool


@dataclass(frozen=True, slots=True)
class ReplaceOutcome:
    """What came of asking every peer. `changed`: our tip; `asked`, `answered`: peers."""

    changed: bool
    asked: int
    answered: int


class Sync:
    def __init__(self, chain: Chain, peers: PeerTable) -> None:
        self._chain = chain
        self._peers = peers
        self._store = peers.store
        self._replacing = OneAtATime(self._replace_chain)
        self._leading = FairLock()  # two downloads of one chain at once would only be slower
        self.meter = SyncMeter()

    @property
    def syncing(self) -> bool:
        """Whether a chain is being asked for now."""
        return self.meter.syncing

    @property
    def progress(self) -> SyncProgress | None:
        """How far the sync under way has come; None where there is none."""
        return self.meter.progress

    def replace_chain(self) -> bool:
        """Ask every peer now and take the valid chain with the most work; whether our tip changed.

        A peer that is down, slow or lying costs its own time-out and is marked down; then the next best is tried.
        """
        return self.ask_everyone().changed

    def ask_everyone(self) -> ReplaceOutcome:
        """`replace_chain`, and how many peers were asked."""
        return self._replacing.run()

    def sync_with(self, peer: Greeting, others_wait: Callable[[], bool]) -> SyncOutcome:
        """Take what a peer has and we lack, as long as it outweighs ours.

        The peer shows the headers; bodies come from others too. One sync at a time: another caller waits. While one
        does, or `others_wait`, the peer has SLICE_SECONDS.
        """
        turn = TimeSlice(lambda: self._leading.others_wait or others_wait())
        with self._leading.turn(), quick_turns():
            self.meter.begin(self._tip().height, peer.hello.height)
            try:
                changed, is_to_blame = self._sync_with(peer, turn)
                return SyncOutcome(changed, turn.was_cut, is_to_blame)
            finally:
                self.meter.end()

    def _replace_chain(self) -> ReplaceOutcome:
        with self.meter.asking():
            return self._ask_and_replace()

    def _ask_and_replace(self) -> ReplaceOutcome:
        changed = False
        answers = self._peers.ask_all()
        greetings = [answer for answer in answers if isinstance(answer, Greeting)]
        line = deque(sorted(greetings, key=lambda greeting: greeting.hello.claimed_work, reverse=True))

        def is_wanted(greeting: Greeting) -> bool:
            return greeting.hello.claimed_work > self._tip().work

        def others_wait(is_slow: bool) -> bool:
            return is_slow or any(map(is_wanted, line))

        slow: set[PeerUrl] = set()
        while line:
            peer = line.popleft()
            if is_wanted(peer):
                synced = self.sync_with(peer, partial(others_wait, peer.url in slow))
                changed = synced.changed or changed
                if synced.was_cut and synced.changed:  # else its chain is for another call, which goes on from there
                    slow.add(peer.url)
                    line.append(peer)
        return ReplaceOutcome(changed, len(answers), len(greetings))

    def _tip(self) -> BlockRow:
        with self._store.read() as conn:
            return blocks.tip(conn)

    def _sync_with(self, peer: Greeting, turn: TimeSlice) -> tuple[bool, bool]:
        """Whether our tip changed, and whether the peer was blamed."""
        before, is_to_blame = self._tip().block_hash, False
        try:
            while (plan := survey(self._store, peer, self.meter.headers, turn.others_wait)) is not None:
                turn.begin()
                download = Download(self._chain, self._peers, self.meter, peer, plan, turn)
                goes_on = download.run()
                is_to_blame = download.is_lead_to_blame
                if not goes_on:
                    break
                if plan.is_short:
                    turn.shorten()
                if turn.is_over:
                    break
        except PeerError as error:
            self._peers.blame(peer.url, error)
            is_to_blame = True
        return self._tip().block_hash != before, is_to_blame
