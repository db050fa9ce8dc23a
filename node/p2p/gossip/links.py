"""A link to one peer: a thread and a kept-alive connection of its own, so that no peer waits for another."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Protocol

from ...chain.mempool import AT_ONCE, Accepted, Mempool
from ...chain.pipeline import TreeBlock
from ...core import codec
from ...core.codec import unshow
from ...core.errors import RuleError
from ...core.types import Spend
from ...store.errors import StoreUnavailable
from ...store.unconfirmed import order
from ...system.network import Address, unmapped
from ..peer import wire
from ..peer.errors import BadAnswer, Banned, PeerError, PeerUnreachable, Refused
from ..peer.peer_client import HELLO_SECONDS
from ..peer.urls import PeerUrl, resolve
from ..table.offenders import NO_TRANSFER
from ..table.peer_table import PeerTable
from ..table.reach import url_towards
from ..table.standing import Greeting, is_banned
from .outbox import AGAIN_SECONDS, BlockOutbox, TransferOutbox
from .relay import Relay

HELLO_EVERY: Final = (10.0, 20.0)
"""Seconds between hellos, drawn anew each time so that the nodes of a network don't all ask at once."""
UNREACHABLE_EVERY: Final = (3.0, 5.0)
"""The same where the peer can't call this node, so that only asking shows what is new there."""
_NOTE_SECONDS: Final = 60.0
"""How often a peer's row is written if its height doesn't change."""
_ASK_PEERS_SECONDS: Final = 300.0
"""How often a peer is asked for URLs of others."""
_WATCHED_EVERY: Final = (4.0, 8.0)
"""How often a peer is asked for its links while somebody looks at the network (`LinkEvents.is_watched`)."""
_POOL_SECONDS: Final = 5.0
"""Between two requests for the mempool of a peer that can't call this node, a small one."""
_LARGE_POOL_SECONDS: Final = 60.0
"""The same for a large one."""
_SMALL_POOL: Final = 100_000
"""Bytes of a mempool that is still small."""
_TELL_SECONDS: Final = 30.0
"""How often a peer is told this node's URL until it takes it."""

log = logging.getLogger("moneyer.p2p")


@dataclass(frozen=True, slots=True)
class LinkSnapshot:
    """What is known of a connected peer now."""

    height: int
    work: int
    """Cumulative, as far as is known."""
    latency_ms: int
    """Of its last hello."""
    heard_at: int | None
    """Unix seconds: when it last answered or called."""
    node_id: str
    tip: bytes
    """Hash of its tip, as far as is known."""
    agent: str
    neighbours: tuple[wire.Neighbour, ...]
    """The nodes that it is linked with, as it said last."""


class LinkEvents(Protocol):
    """What a link uses, and where it reports what happens: `Gossip`. Called in the link's thread."""

    peers: PeerTable
    relay: Relay
    mempool: Mempool

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks at the network now."""

    def joined(self, link: Link, node_id: str) -> None:
        """The peer has said hello: sets the link's `node_id`. Raises Duplicate."""

    def ended(self, link: Link, problem: PeerError | None) -> None:
        """The link is over; `problem`: of the peer, if any."""

    def behind(self, link: Link) -> None:
        """The peer claims more work than this node has."""

    def learned(self, link: Link, urls: list[str]) -> None:
        """The peer told URLs of others, not checked yet."""


class Link:
    """One peer, from the first hello to the end.

    `direction`: who asked for the link (`node.p2p.table.standing`); `is_probe`: it says hello once and ends.
    """

    def __init__(self, url: PeerUrl, direction: str, events: LinkEvents, *, is_probe: bool = False) -> None:
        self.url = url
        self.direction = direction
        self.is_probe = is_probe
        self.node_id: str | None = None
        """The peer's, once it has said hello; None until then."""
        self.addresses: frozenset[Address] = frozenset()
        self.height = 0
        """As of the last hello, as is `tip`; `now` may know better."""
        self.tip = b""
        self.agent = ""
        self.neighbours: tuple[wire.Neighbour, ...] = ()
        self.latency_ms = 0
        self.deliveries = 0
        """How often the peer gave blocks or transfers that count."""
        self.heard_at: int | None = None
        """Unix seconds: when the peer last answered or called."""
        self.is_at_fault = False
        """Whether the link was ended for what the peer did."""
        self.started = time.monotonic()
        self._events = events
        self._peers = events.peers
        self._relay = events.relay
        self._client = events.peers.open_client(url)
        self._blocks = BlockOutbox(url, self._client, events.relay, events.peers.store)
        self._transfers = TransferOutbox(url, self._client, events.relay)
        self._told = False
        """Whether the peer has taken this node's URL, and so can call here."""
        self._pool_at = 0.0
        self._hello_at = self._noted_at = self._asked_peers_at = self._tell_at = self._look_at = 0.0
        self._incoming: Iterator[list[Spend]] | None = None
        """What is left to take in of the mempool that the peer sent."""
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"peer {url.host_port}", daemon=True)

    # called from other threads

    def start(self) -> None:
        self._thread.start()

    @property
    def is_stopped(self) -> bool:
        """Whether it has been told to end."""
        return self._stopped.is_set()

    def stop(self, *, is_fault: bool = False) -> None:
        """End after the request that is under way; not waited for. `is_fault`: for what the peer did."""
        self.is_at_fault = is_fault
        self._stopped.set()
        self._wake.set()

    def wake(self, reorganized: bool = False) -> None:
        """There is something new to send. After a reorg, transfers may have to be sent again."""
        if reorganized:
            self._transfers.known.clear()
        self._wake.set()

    @property
    def peer_work(self) -> int:
        """The work that the peer last claimed."""
        return self._blocks.peer_work

    def now(self) -> LinkSnapshot:
        """What is known of the peer now: a tip that it took or gave since the last hello counts too.

        Not one that it took as a side branch, nor one of equal work: it stands on its own, which it saw first.
        """
        tip = self._relay.tip
        is_in_step = tip.block_hash in self._blocks.known and tip.block_hash != self._blocks.beside
        if is_in_step and tip.work > self.peer_work:
            height, work, block_hash = tip.height, tip.work, tip.block_hash
        else:
            height, work, block_hash = self.height, self.peer_work, self.tip
        told = (self.agent, self.neighbours)
        return LinkSnapshot(height, work, self.latency_ms, self.heard_at, self.node_id or "", block_hash, *told)

    def has_blocks(self, hashes: list[bytes]) -> None:
        """The peer has these blocks: they are not sent to it."""
        self.heard_at = int(time.time())
        self._blocks.known.add(hashes)

    def has_transfers(self, txids: list[bytes]) -> None:
        self.heard_at = int(time.time())
        self._transfers.known.add(txids)

    def heard(self, greeting: Greeting) -> None:
        """A sync has greeted the peer, and will fetch what it has: its tip is not to be sent back."""
        self.has_blocks([unshow(greeting.hello.tip)])
        if greeting.hello.claimed_work >= self.peer_work:
            self.height, self.tip = greeting.hello.height, unshow(greeting.hello.tip)
            self._blocks.peer_work = greeting.hello.claimed_work

    def synced(self) -> None:
        """A sync has fetched the peer's chain: its mempool may hold transfers that are valid only now."""
        self._pool_at = 0.0
        self._wake.set()

    def calls_from(self, remote: str) -> bool:
        """Whether `remote`, an IP address, is the peer's."""
        try:
            return unmapped(ip_address(remote)) in self.addresses
        except ValueError:
            return False

    # the link's own thread

    def _run(self) -> None:
        problem: PeerError | None = None
        try:
            self._join()
            while not self._stopped.is_set() and not self.is_probe:
                self._wake.clear()
                self._work()
                self._wake.wait(max(0.0, self._next_at() - time.monotonic()))
        except PeerError as error:
            problem = error
        except StoreUnavailable as error:
            log.info("peer %s: %s", self.url, error.message)
        except Exception:
            log.exception("peer %s: a bug in the node", self.url)
        finally:
            self._relay.unsubscribe(self.wake)
            self._client.close()
            self._events.ended(self, problem)

    def _join(self) -> None:
        row = self._peers.find(self.url.url)
        if row is not None and is_banned(row, int(time.time())):
            raise Banned("this node has banned that peer for a while")
        self.addresses = frozenset(resolve(self.url.host, time.monotonic() + HELLO_SECONDS))
        tip = self._relay.tip
        greeting = self._peers.greet(self.url, self._client)
        if not self.is_probe:
            self._events.joined(
                self, greeting.hello.node_id
            )  # before it is recorded, for it may be a second URL of a peer
        self._peers.welcome(greeting, self.direction)
        if self.is_probe:
            return
        self._relay.subscribe(self.wake)
        self._noted_at = time.monotonic()
        self._learn(greeting, tip)
        self._plan_hello()

    def _work(self) -> None:
        """Do all that is due now."""
        try:
            while not self._stopped.is_set() and self._step():
                self.heard_at = int(time.time())
        except StoreUnavailable as error:
            log.info("peer %s: %s", self.url, error.message)
            self._stopped.wait(AGAIN_SECONDS)
            self._wake.set()

    def _step(self) -> bool:
        """Make the most urgent request that is due; False where there is none."""
        now = time.monotonic()
        if self._blocks.send(can_fetch=self._told):
            if self._blocks.is_unsure:
                self._hello_at = min(self._hello_at, now + AGAIN_SECONDS)
            return True
        if self._incoming is not None:
            return self._take_some(self._incoming)
        if now >= self._pool_at and not self.is_ahead:
            return self._ask_pool()
        if now >= self._transfers.not_before and self._transfers.send():
            return True
        if now >= self._tell_at:
            return self._tell_own_url()
        if now >= self._hello_at:
            return self._greet()
        if now >= self._asked_peers_at:
            return self._ask_peers()
        if self._events.is_watched and now >= self._look_at:
            return self._ask_links()
        return False

    def _next_at(self) -> float:
        """When something is due without being woken (monotonic clock)."""
        due = [self._hello_at, self._asked_peers_at, self._tell_at]
        if self._transfers.not_before > time.monotonic():
            due.append(self._transfers.not_before)
        if not self.is_ahead:
            due.append(self._pool_at)
        if self._events.is_watched:
            due.append(self._look_at)
        return min(due)

    @property
    def is_ahead(self) -> bool:
        """Whether the peer claims more work than this node has."""
        return self.peer_work > self._relay.tip.work

    # hello

    def _greet(self) -> bool:
        tip = self._relay.tip
        greeting = self._peers.greet(self.url, self._client)
        if greeting.hello.node_id != self.node_id:
            raise PeerUnreachable("another node answers there now")
        is_new = greeting.hello.height != self.height
        self._learn(greeting, tip)
        if is_new or time.monotonic() - self._noted_at > _NOTE_SECONDS:
            self._noted_at = time.monotonic()
            self._peers.note(greeting)
        self._plan_hello()
        return True

    def _plan_hello(self) -> None:
        self._hello_at = time.monotonic() + random.uniform(*(HELLO_EVERY if self._told else UNREACHABLE_EVERY))  # noqa: S311

    def _learn(self, greeting: Greeting, tip: TreeBlock) -> None:
        """Take in a hello. `tip`: this node's before the hello: what the peer sent since is not to be sent back."""
        hello = greeting.hello
        self.height, self.tip, self.agent = hello.height, unshow(hello.tip), hello.agent
        self.latency_ms, self.heard_at = greeting.latency_ms, int(time.time())
        self._blocks.peer_is_at(unshow(hello.tip), hello.claimed_work, tip)
        if self.is_ahead:
            self._events.behind(self)

    def _tell_own_url(self) -> bool:
        """Tell the peer this node's URL, so that it sends what is new without being asked."""
        own = next(filter(None, (url_towards(self._peers.config, each) for each in self.addresses)), None)
        self._tell_at = time.monotonic() + _TELL_SECONDS
        if own is not None:
            try:
                self._client.connect(own, self._peers.store.coin.chain_id, self._peers.node_id)
                self._told = True
                self._tell_at = float("inf")
                if self._pool_at:  # if 0, its mempool is still to be asked for once
                    self._pool_at = float("inf")
            except Refused as error:
                log.debug("peer %s did not take this node's URL: HTTP %d", self.url, error.status)
        self._plan_hello()
        return True

    def _ask_peers(self) -> bool:
        self._asked_peers_at = time.monotonic() + _ASK_PEERS_SECONDS
        self._events.learned(self, self._told_peers().peers)
        return True

    def _ask_links(self) -> bool:
        """The same for whoever looks at the network: what is learned is only shown."""
        self._told_peers()
        return True

    def _told_peers(self) -> wire.PeersAnswer:
        self._look_at = time.monotonic() + random.uniform(*_WATCHED_EVERY)  # noqa: S311
        answer = self._client.peers()
        self.neighbours = tuple(answer.links)
        return answer

    # the pool

    def _ask_pool(self) -> bool:
        """Fetch the peer's mempool. What is only in ours is sent as new transfers are."""
        raw = self._client.mempool()
        # A peer that can't call this node can't send transfers either, so it is asked again and again.
        again = _POOL_SECONDS if len(raw) < _SMALL_POOL else _LARGE_POOL_SECONDS
        self._pool_at = float("inf") if self._told else time.monotonic() + again
        self._incoming = wire.split_transfers(raw, AT_ONCE, self._peers.store.coin.rules)
        return True

    def _take_some(self, incoming: Iterator[list[Spend]]) -> bool:
        """Decode one part of the peer's mempool and take it in. Raises BadAnswer at what no node passes on."""
        part = next(incoming, None)
        if part is None:
            self._incoming = None
            return True
        transfers = {codec.txid(transfer): transfer for transfer in part}
        self._transfers.known.add(transfers)
        with self._peers.store.read() as conn:
            here = order.present(conn, list(transfers))
        new = [transfer for txid, transfer in transfers.items() if txid not in here]
        verdicts = self._events.mempool.accept_transfers(new) if new else []
        if any(isinstance(each, Accepted) and not each.known for each in verdicts):
            self._peers.delivered(self.url.url)
        if any(isinstance(each, RuleError) and each.code in NO_TRANSFER for each in verdicts):
            raise BadAnswer("the peer's pool has transfers that no node passes on")
        return True
