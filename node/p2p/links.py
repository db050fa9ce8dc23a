"""A connected peer: a thread and a kept-alive connection of its own, so that no peer waits for another."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from ipaddress import ip_address
from typing import Final, Protocol

from node.core import codec
from node.core.hashing import unshow
from node.core.types import HASH_SIZE, Transfer
from node.mempool import Mempool
from node.p2p.client import HELLO_SECONDS
from node.p2p.errors import Banned, PeerError, PeerUnreachable, Refused
from node.p2p.known import Known
from node.p2p.peers import Peers
from node.p2p.reach import url_towards
from node.p2p.relay import Relay
from node.p2p.standing import Greeting, is_banned
from node.p2p.urls import Address, PeerUrl, resolve
from node.store import arrivals, blocks
from node.store.blocks import BlockRow
from node.store.errors import StoreUnavailable

HELLO_EVERY: Final = (10.0, 20.0)
"""Seconds between hellos, drawn anew each time so that a network doesn't beat in time."""
UNREACHABLE_EVERY: Final = (3.0, 5.0)
"""The same where the peer can't call this node: nobody else tells us what is new there."""
_NOTE_SECONDS: Final = 60.0
_ASK_PEERS_SECONDS: Final = 300.0
_POOL_SECONDS: Final = 15.0
_TELL_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 1.0
_TAKEN_AT_ONCE: Final = 250
_KNOWN_BLOCKS: Final = 2_000
_KNOWN_TRANSFERS: Final = 8_192
_MAX_PUSHED: Final = 288
"""Blocks at most that are pushed to a peer which can't fetch them here: deeper forks it would not take."""

log = logging.getLogger("moneyer.p2p")


class Hub(Protocol):
    """What a link works with, and whom it tells."""

    peers: Peers
    relay: Relay
    mempool: Mempool

    def joined(self, link: Link) -> None:
        """The peer is connected. Raises Duplicate."""

    def ended(self, link: Link, problem: PeerError | None) -> None: ...

    def behind(self, link: Link) -> None:
        """The peer has more work than we."""

    def learned(self, link: Link, urls: list[str]) -> None: ...


class Link:
    """`direction`: who asked for it first. `is_probe`: only a hello, to see whether there is a node of ours."""

    def __init__(self, url: PeerUrl, direction: str, hub: Hub, *, is_probe: bool = False) -> None:
        self.url = url
        self.direction = direction
        self.is_probe = is_probe
        self.node_id: str | None = None
        """Once it has joined."""
        self.addresses: frozenset[Address] = frozenset()
        self.peer_work = 0
        self.height = 0
        self.is_at_fault = False
        self.started = time.monotonic()
        self._hub = hub
        self._peers = hub.peers
        self._relay = hub.relay
        self._client = hub.peers.open_client(url)
        self._blocks = Known(_KNOWN_BLOCKS)
        self._transfers = Known(_KNOWN_TRANSFERS)
        self._told = False
        """Whether the peer knows where to call us."""
        self._offered: bytes | None = None
        self._cursor = 0
        self._pool_at = 0.0
        self._hello_at = self._transfers_at = self._noted_at = self._asked_peers_at = self._tell_at = 0.0
        self._incoming: deque[Transfer] = deque()
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"peer {url.host_port}", daemon=True)

    # called from other threads

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, is_fault: bool = False) -> None:
        """Ends once the request that is under way is over; nobody waits for it. `is_fault`: of the peer's, recorded."""
        self.is_at_fault = is_fault
        self._stopped.set()
        self._wake.set()

    def wake(self, reorganized: bool = False) -> None:
        """There is something new. After a reorg transfers may have to be told again."""
        if reorganized:
            self._transfers.clear()
        self._wake.set()

    def has_blocks(self, hashes: list[bytes]) -> None:
        """The peer has shown that it has these."""
        self._blocks.add(hashes)

    def has_transfers(self, txids: list[bytes]) -> None:
        self._transfers.add(txids)

    def synced(self, greeting: Greeting) -> None:
        """What the peer had and we lacked was fetched; its pool may hold what only applies now."""
        self.has_blocks([unshow(greeting.hello.tip)])
        self._pool_at = 0.0
        self._wake.set()

    def calls_from(self, remote: str) -> bool:
        """Whether `remote`, an IP address, is the peer's."""
        try:
            address = ip_address(remote)
        except ValueError:
            return False
        return (getattr(address, "ipv4_mapped", None) or address) in self.addresses

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
            log.exception("peer %s: a fault of this node", self.url)
        finally:
            self._relay_off()
            self._client.close()
            self._hub.ended(self, problem)

    def _relay_off(self) -> None:
        if self.node_id is not None and not self.is_probe:
            self._relay.unsubscribe(self.wake)

    def _join(self) -> None:
        row = self._peers.find(self.url.url)
        if row is not None and is_banned(row, int(time.time())):
            raise Banned("this node has banned that peer for a while")
        self.addresses = frozenset(resolve(self.url.host, time.monotonic() + HELLO_SECONDS))
        tip = self._relay.tip
        greeting = self._peers.greet(self.url, self._client)
        self._peers.welcome(greeting, self.direction)
        if self.is_probe:
            return
        self.node_id = greeting.hello.node_id
        self._relay.subscribe(self.wake)
        self._noted_at = time.monotonic()
        self._hub.joined(self)
        self._learn(greeting, tip)
        self._plan_hello()

    def _work(self) -> None:
        """All that there is to do now."""
        try:
            while not self._stopped.is_set() and self._step():
                pass
        except StoreUnavailable as error:
            log.info("peer %s: %s", self.url, error.message)
            self._stopped.wait(_AGAIN_SECONDS)
            self._wake.set()

    def _step(self) -> bool:
        """One request, the most urgent; False where there is nothing to do."""
        now = time.monotonic()
        if self._send_blocks():
            return True
        if self._incoming:
            return self._take_some()
        if now >= self._pool_at and not self.is_ahead:
            return self._ask_pool()
        if now >= self._transfers_at and self._send_transfers():
            return True
        if now >= self._tell_at:
            return self._tell_own_url()
        if now >= self._hello_at:
            return self._greet()
        if now >= self._asked_peers_at:
            return self._ask_peers()
        return False

    def _next_at(self) -> float:
        """When there is something to do by itself (monotonic clock)."""
        due = [self._hello_at, self._asked_peers_at, self._tell_at]
        if self._transfers_at > time.monotonic():
            due.append(self._transfers_at)
        if not self.is_ahead:
            due.append(self._pool_at)
        return min(due)

    @property
    def is_ahead(self) -> bool:
        """Whether the peer has more work than we."""
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

    def _learn(self, greeting: Greeting, tip: BlockRow) -> None:
        """`tip`: ours, before the peer was asked: what it may have sent us since is not to be sent back."""
        hello = greeting.hello
        self._blocks.add([unshow(hello.tip)])
        self.peer_work, self.height = hello.claimed_work, hello.height
        if self.is_ahead:
            self._hub.behind(self)
        elif self.peer_work < tip.work:
            # Whatever it was told before: it does not stand on our tip.
            self._blocks.discard(tip.block_hash)
            self._offered = None

    def _tell_own_url(self) -> bool:
        """Have the peer call this node back, so that it tells us what is new without being asked."""
        own = url_towards(self._peers.config, next(iter(self.addresses)))
        self._tell_at = time.monotonic() + _TELL_SECONDS
        if own is not None:
            try:
                self._client.connect(own, self._peers.store.coin.chain_id, self._peers.node_id)
                self._told = True
                self._tell_at = float("inf")
            except Refused as error:
                log.debug("peer %s did not take this node's URL: HTTP %d", self.url, error.status)
        self._plan_hello()
        return True

    def _ask_peers(self) -> bool:
        self._asked_peers_at = time.monotonic() + _ASK_PEERS_SECONDS
        self._hub.learned(self, self._client.peers())
        return True

    # blocks

    def _send_blocks(self) -> bool:
        tip = self._relay.tip
        if tip.block_hash in self._blocks or tip.block_hash == self._offered or self.peer_work >= tip.work:
            return False
        self._offered = tip.block_hash
        self._push(self._relay.path(self._blocks.__contains__), is_last_try=self._told)
        return True

    def _push(self, path: list[bytes], *, is_last_try: bool) -> None:
        """Blocks, oldest first, as far as the peer takes them."""
        for block_hash in path:
            raw = self._relay.raw_block(block_hash)
            if raw is None or self._stopped.is_set():
                return
            if block_hash in self._blocks:
                continue  # it came from the peer itself meanwhile
            try:
                status = self._client.push_block(raw)
            except Refused as error:
                self._block_refused(block_hash, error)
                return
            if status == "orphan":
                self._lacks_parents(is_last_try)
                return
            self._blocks.add([block_hash])

    def _block_refused(self, block_hash: bytes, error: Refused) -> None:
        if error.rule is not None:
            log.info("peer %s refused a block: %s", self.url, error.rule)
            self._blocks.add([block_hash])
        else:
            self._offered = None
        self._hello_at = min(self._hello_at, time.monotonic() + _AGAIN_SECONDS)

    def _lacks_parents(self, is_last_try: bool) -> None:
        if is_last_try:
            # It knows where to find us and comes for the rest; a hello shows how far it is.
            self._hello_at = min(self._hello_at, time.monotonic() + _AGAIN_SECONDS)
            return
        with self._peers.store.read() as conn:
            locator = blocks.locator(conn)
        headers = self._client.headers(locator)
        if headers:
            self._blocks.add([headers[0][4 : 4 + HASH_SIZE]])
        self._push(self._relay.path(self._blocks.__contains__, _MAX_PUSHED), is_last_try=True)

    # transfers

    def _send_transfers(self) -> bool:
        batch = self._relay.arrived_after(self._cursor)
        if not batch:
            return False
        wanted = [each for each in batch if each.txid not in self._transfers]
        if wanted:
            try:
                self._client.push_raw_transactions(b"".join(each.raw for each in wanted))
            except Refused as error:
                if error.status in (429, 503):
                    self._transfers_at = time.monotonic() + _AGAIN_SECONDS
                    return False
                log.info("peer %s refused transfers: HTTP %d", self.url, error.status)
            self._transfers.add(each.txid for each in wanted)
        self._cursor = batch[-1].arrived
        return True

    def _ask_pool(self) -> bool:
        """What the peer's pool has and ours lacks is taken in; the rest of ours goes to it as what is new does."""
        # Who can't call us can't tell us either: then it is asked again and again.
        self._pool_at = time.monotonic() + (float("inf") if self._told else _POOL_SECONDS)
        transfers = {codec.txid(transfer): transfer for transfer in self._client.mempool()}
        self._transfers.add(transfers)
        with self._peers.store.read() as conn:
            here = arrivals.present(conn, list(transfers))
        self._incoming.extend(transfer for txid, transfer in transfers.items() if txid not in here)
        return True

    def _take_some(self) -> bool:
        some = [self._incoming.popleft() for _ in range(min(_TAKEN_AT_ONCE, len(self._incoming)))]
        self._hub.mempool.accept_transfers(some)
        return True
