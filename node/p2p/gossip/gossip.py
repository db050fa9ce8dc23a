"""Keeps a node in step with its peers: the parts of gossip, started and stopped together, and called by the API."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ...chain.mempool import Mempool
from ...config import Config
from ...core import codec
from ...core.codec import sha256d
from ...core.types import HEADER_SIZE, Spend
from ...system.shares import Shares
from ..lan import FoundNode
from ..peer.errors import PeerError
from ..peer.link_conditions import LinkConditions
from ..peer.urls import PeerUrl
from ..sync.catchup import CatchUp
from ..sync.sync import Sync
from ..table.configured import ConfiguredPeers
from ..table.peer_table import PeerTable
from ..table.standing import Greeting
from .link_manager import LinkManager
from .links import Link, LinkSnapshot
from .manual_look import ManualLook
from .relay import Relay

WATCH_SECONDS: Final = 30.0
"""How long one look at the network counts: a page that is open looks more often."""

_CUT_SECONDS: Final = 3.0
"""How long to wait until what was under way on links that are cut has ended."""

log = logging.getLogger("moneyer.p2p")


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request."""

    node_id: str
    """As it says of itself; empty where it does not."""
    remote: str
    """The IP address that the request came from."""


class Gossip:
    """Relay, links and catch-up. With `--manual` there are none: the peers of `--peer` are added to the table once, and
    all in the table are asked for their tips while somebody looks at the network.

    It may be stopped and started again: then its parts are others, which know nothing of what was before.

    `clock`: seconds, for `LinkManager`.
    """

    def __init__(
        self,
        config: Config,
        mempool: Mempool,
        peers: PeerTable,
        sync: Sync,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.peers = peers
        self.mempool = mempool
        self._sync = sync
        self._config = config
        self._clock = clock
        self._configured = ConfiguredPeers(config)
        self._is_on = False
        self._watched_until = 0.0
        self._make_parts()

    def _make_parts(self) -> None:
        """Each has a thread, which runs once."""
        self.relay = Relay(self.peers.store)
        self._manager = LinkManager(self._config, self.peers, self._configured, self._make_link, self._clock)
        self._catch_up = CatchUp(self.peers, self._sync, self._greeted, self._caught_up)
        self._manual_look = ManualLook(self.peers) if self._config.manual else None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Raises StoreUnavailable: then it is to be stopped."""
        # Where nodes take turns, this one may have stood by for long, and what it saw at first is old.
        if self._stopped.is_set() or self._config.database_url is not None:
            self._make_parts()
        if self._manual_look is not None:
            meeting = (self.peers, self._stopped)
            threading.Thread(target=self._configured.meet, args=meeting, name="meet peers", daemon=True).start()
            threading.Thread(target=self._manual_look.run, name="look at peers", daemon=True).start()
            return
        self._is_on = True
        self.peers.on_change = self._manager.table_changed
        self.peers.on_delivery = self._manager.delivered
        self.relay.start()
        self._catch_up.start()
        self._manager.start()

    def stop(self) -> None:
        """Takes about a second at most: links that are in a request are not waited for."""
        self._stopped.set()
        if self._manual_look is not None:
            self._manual_look.stop()
        if self._is_on:
            self.peers.on_change = self.peers.on_delivery = None
            self._catch_up.stop()
            self._manager.stop()
            self.relay.stop()
            self._is_on = False

    def links(self) -> list[Link]:
        """All links, also those of peers that have not said hello yet."""
        return self._manager.links()

    @property
    def connected(self) -> int:
        """Peers that are connected now."""
        return sum(link.node_id is not None for link in self.links())

    @property
    def inbound(self) -> Shares:
        """The places for links that peers asked for."""
        return self._manager.inbound

    def is_peer(self, caller: Caller) -> bool:
        """Whether the sender is a connected peer: by its node_id, and from an address of that peer."""
        return bool(self._links_of(caller))

    def live(self) -> dict[str, LinkSnapshot]:
        """URL -> what is known now, for each connected peer."""
        if self._manual_look is not None:
            return dict(self._manual_look.now())
        return {link.url.url: link.now() for link in self.links() if link.node_id is not None}

    @property
    def is_watched(self) -> bool:
        """Whether somebody has looked at the network lately."""
        return time.monotonic() < self._watched_until

    def watch(self) -> None:
        """Somebody looks at the network: for WATCH_SECONDS peers are asked more often whom they are linked with."""
        if self._manual_look is not None:
            self._manual_look.look()
        was_watched, self._watched_until = self.is_watched, time.monotonic() + WATCH_SECONDS
        if not was_watched:
            for link in self.links():
                link.wake()

    # The API calls these before it looks at what was sent: once that is committed, links may send it on.

    def heard_block(self, caller: Caller, raw: bytes) -> None:
        """A peer sent this block, so it is not sent back."""
        for link in self._links_of(caller):
            link.has_blocks([sha256d(raw[:HEADER_SIZE])])

    def fetched(self, caller: Caller, hashes: list[bytes]) -> None:
        """A peer fetches these blocks here: they are not pushed to it as well, one by one."""
        for link in self._links_of(caller):
            link.has_blocks(hashes)

    def heard_transfers(self, caller: Caller, transfers: list[Spend]) -> None:
        """A peer sent these, so they are not sent back."""
        links = self._links_of(caller)
        if links:
            txids = [codec.txid(transfer) for transfer in transfers]
            for link in links:
                link.has_transfers(txids)

    def heard_orphan(self, caller: Caller) -> None:
        """A peer sent a block whose parent is not here, so it has blocks that this node lacks."""
        for link in self._links_of(caller):
            self._catch_up.want(link.url, link.peer_work)

    def delivered(self, caller: Caller) -> None:
        """What a peer sent was new and counts: a block of the main chain, or a transfer of the mempool."""
        for link in self._links_of(caller):
            self.peers.delivered(link.url.url)

    def _links_of(self, caller: Caller) -> list[Link]:
        if not caller.node_id or not self._is_on:
            return []
        return [link for link in self.links() if link.node_id == caller.node_id and link.calls_from(caller.remote)]

    def found(self, node: FoundNode) -> None:
        """`node.p2p.lan` found a node of this coin on the local network."""
        self._manager.seen(node.url, node.node_id)

    def set_conditions(self, conditions: Mapping[str, LinkConditions]) -> bool:
        """Have these conditions of links in place of all others, on a node with `--lab`.

        When it returns, nothing is under way any more on a link that is cut; False where that has not come about in
        time, though the conditions hold. Raises OSError or StoreUnavailable, and then nothing has changed.
        """
        links = self.peers.links
        assert links is not None  # noqa: S101 - the caller has seen that this is a laboratory
        changed = links.replace(conditions)
        ends_at = time.monotonic() + _CUT_SECONDS

        def left() -> float:
            return max(0.0, ends_at - time.monotonic())

        is_quiet = links.wait_until_quiet(left())
        is_quiet = self._manager.cut(changed.cut, left()) and is_quiet
        is_quiet = self._sync.wait_not_led_by(changed.cut, left()) and is_quiet
        self._manager.healed(changed.healed)
        return is_quiet

    def went_back(self) -> None:
        """The rows are those of a snapshot: forget what peers were known to have, and begin every link anew."""
        self._catch_up.forget()
        self._manager.went_back()
        self.relay.went_back()

    # `node.p2p.gossip.links.LinkEvents`, called in the links' threads

    def joined(self, link: Link, node_id: str) -> None:
        self._manager.joined(link, node_id)
        log.info("peer %s: connected", link.url)

    def ended(self, link: Link, problem: PeerError | None) -> None:
        self._manager.ended(link, problem)

    def behind(self, link: Link) -> None:
        self._catch_up.want(link.url, link.peer_work)

    def learned(self, link: Link, urls: list[str]) -> None:
        self._manager.learned(link, urls)

    def _make_link(self, url: PeerUrl, direction: str, is_probe: bool) -> Link:
        return Link(url, direction, self, is_probe=is_probe)

    def _greeted(self, greeting: Greeting) -> None:
        link = self._manager.find(greeting.url.url)
        if link is not None:
            link.heard(greeting)

    def _caught_up(self, url: PeerUrl, went_well: bool) -> None:
        link = self._manager.find(url.url)
        if link is None:
            return
        if went_well:
            link.synced()
        else:
            link.stop(is_fault=True)
