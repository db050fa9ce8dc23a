"""A heavier chain from the peers: headers first, then bodies from several of them at once."""

from __future__ import annotations

import threading

from node.chain import Chain
from node.p2p.download import Download
from node.p2p.errors import PeerError
from node.p2p.peers import Peers
from node.p2p.progress import Meter, SyncProgress
from node.p2p.standing import Greeting
from node.p2p.survey import survey
from node.p2p.threads import OneAtATime, quick_turns
from node.store import blocks
from node.store.blocks import BlockRow


class Sync:
    def __init__(self, chain: Chain, peers: Peers) -> None:
        self._chain = chain
        self._peers = peers
        self._store = peers.store
        self._replacing = OneAtATime(self._replace_chain)
        self._turn = threading.Lock()  # two downloads of one chain at once would only be slower
        self.meter = Meter()

    @property
    def syncing(self) -> bool:
        """Whether a chain is being asked for now."""
        return self._replacing.running or self.meter.progress is not None

    @property
    def progress(self) -> SyncProgress | None:
        """How far the sync under way has come; None where there is none."""
        return self.meter.progress

    def replace_chain(self) -> bool:
        """Ask every peer now and take the valid chain with the most work; whether our tip changed.

        A peer that is down, slow or lying costs its own time-out and is marked down; then the next best is tried.
        """
        return self._replacing.run()

    def sync_with(self, peer: Greeting) -> bool:
        """Take what a peer has and we lack, as long as it outweighs ours; whether our tip changed.

        The peer shows the headers; bodies come from others too. One sync at a time: another caller waits.
        """
        with self._turn, quick_turns():
            self.meter.begin(self._tip().height, peer.hello.height)
            try:
                return self._sync_with(peer)
            finally:
                self.meter.end()

    def _replace_chain(self) -> bool:
        changed = False
        greetings = self._peers.greet_all()
        for peer in sorted(greetings, key=lambda greeting: greeting.hello.claimed_work, reverse=True):
            if peer.hello.claimed_work <= self._tip().work:
                break
            changed = self.sync_with(peer) or changed
        return changed

    def _tip(self) -> BlockRow:
        with self._store.read() as conn:
            return blocks.tip(conn)

    def _sync_with(self, peer: Greeting) -> bool:
        before = self._tip().block_hash
        try:
            while (plan := survey(self._store, peer, self.meter.headers)) is not None:
                if not Download(self._chain, self._peers, self.meter, peer, plan).run():
                    break
        except PeerError as error:
            self._peers.blame(peer.url, error)
        return self._tip().block_hash != before
