"""Shares of what is scarce: a number of places in all, a share for each address, and a reserve.

Every scarce place of a node (a thread that reads a body, an event stream, a miner's connection, …) has a `Bound` in
`BOUNDS`, and is held through a `Shares` of that bound. One address can hold no more than its share, so that it takes
nothing from callers elsewhere. The reserve is for peers in good standing and for health checks: callers that the node
itself calls trusted (`trusted=True`) may use the whole total, everybody else `total - reserve`.

Thread-safe. A caller that has to wait does so for at most `wait_seconds`; how many wait at once is bounded too, in all
and for an address, since each of them holds a thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from queue import SimpleQueue
from time import monotonic
from typing import ClassVar, Final

from ..config import DEFAULT_OUTBOUND
from ..core.errors import MoneyerError
from .network import unmapped

_IPV6_SHARE_BITS: Final = 64
"""An IPv6 customer has a /64 at least, so a single address says nothing about whose it is."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How many places of one kind there are, and how many of them an address may hold."""

    name: str
    """As error messages, metrics and `docs/api.md` call the places: a plural noun."""
    about: str
    """What holds such a place, for `docs/api.md`."""
    total: int
    """Places in all, the reserve included."""
    each: int
    """Places that one address may hold (IPv6: one /64)."""
    reserve: int = 0
    """Of `total`, places for peers in good standing and health checks only."""
    wait_seconds: float = 0.0
    """How long a caller waits for a place before it is refused."""
    queue: int = 1
    """Callers that may wait, for each place; of one address, for each place of its share."""
    retry_seconds: int = 1
    """What `Retry-After` tells a caller that was refused."""


class NoPlace(MoneyerError):
    """No place is free for this caller: 503 with `Retry-After` in HTTP."""

    code: ClassVar[str] = "busy"

    def __init__(self, bound: Bound, address: str, *, is_own_share: bool) -> None:
        whose = f"you hold your share of {bound.each}" if is_own_share else f"all {bound.total} are taken"
        super().__init__(
            f"no place is free among the {bound.name} ({whose}): try again in {bound.retry_seconds} s",
            limit=bound.each if is_own_share else bound.total,
            what=bound.name,
        )
        self.retry_seconds = bound.retry_seconds


class Place:
    """A place that a caller holds, until `release` (which may be called more than once) or to the end of its `with`."""

    __slots__ = ("_key", "_shares", "trusted")

    def __init__(self, shares: Shares, key: str, trusted: bool) -> None:
        self._shares: Shares | None = shares
        self._key = key
        self.trusted = trusted

    def release(self) -> None:
        shares, self._shares = self._shares, None
        if shares is not None:
            shares._release(self._key, self.trusted)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.release()


class _Gate:
    """`with gate:` lets one thread in at a time, for work of microseconds that hundreds of threads do.

    A `threading.Lock` goes straight to a thread that sleeps at it, which owns it while it waits for the interpreter:
    some milliseconds for each thread that computes. Meanwhile all others find it taken and sleep too, so that the work
    is done a few dozen times a second only. Here only a thread that has the interpreter gets in. The order in which
    sleeping threads get in is undefined, so this is not for longer work.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._free.put(None)


class _Waiter:
    """A caller that waits for a place. `has_place`: one is its own, and counted."""

    __slots__ = ("_woken", "has_place")

    def __init__(self) -> None:
        self.has_place = False
        self._woken = threading.Lock()
        self._woken.acquire()

    def wait(self, seconds: float) -> None:
        """Until it is given a place, or for as long."""
        self._woken.acquire(timeout=seconds)

    def give_place(self) -> None:
        self.has_place = True
        self._woken.release()


class Shares:
    """The places of one bound, and which addresses hold them."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.refused = 0
        """Callers that were turned away since the start."""
        self.refused_at = float("-inf")
        """When the last one was, by the monotonic clock."""
        self._held: dict[str, int] = {}
        self._count = 0
        self._open = 0
        """Places held by callers that are not trusted."""
        self._waiting = 0
        self._queues: dict[tuple[str, bool], deque[_Waiter]] = {}
        """Callers that wait, by address and whether they are trusted: none can have a place now. The next one stands
        first."""
        self._lock = _Gate()

    @property
    def count(self) -> int:
        """Places held now."""
        return self._count

    @property
    def waiting(self) -> int:
        """Callers that wait for a place now."""
        return self._waiting

    def held_by(self, address: str) -> int:
        """Places that `address` holds now."""
        return self._held.get(address_key(address), 0)

    def largest(self) -> tuple[str, int]:
        """The address (as `address_key` writes it) that holds most places, and how many; `("", 0)` if none does."""
        with self._lock:
            return max(self._held.items(), key=lambda item: item[1], default=("", 0))

    def take(self, address: str, *, trusted: bool = False, wait_seconds: float | None = None) -> Place:
        """A place for `address`, to be released by the caller. Raises NoPlace, after waiting where the bound says so.

        `trusted`: a peer in good standing or a health check, which may use the reserve. `wait_seconds`: in place of
        the bound's.
        """
        key = address_key(address)
        seconds = self.bound.wait_seconds if wait_seconds is None else wait_seconds
        with self._lock:
            if self._is_free(key, trusted):
                self._count_in(key, trusted)
                return Place(self, key, trusted)
            if seconds <= 0 or not self._may_wait(key):
                raise self._refusal(key)
            waiter = _Waiter()
            self._queues.setdefault((key, trusted), deque()).append(waiter)
            self._waiting += 1
        waiter.wait(seconds)
        if not waiter.has_place:
            with self._lock:
                if not waiter.has_place:  # else it came in this very moment
                    self._leave_queue(key, trusted, waiter)
                    raise self._refusal(key)
        return Place(self, key, trusted)

    def _refusal(self, key: str) -> NoPlace:
        self.refused += 1
        self.refused_at = monotonic()
        return NoPlace(self.bound, key, is_own_share=self._held.get(key, 0) >= self.bound.each)

    @contextmanager
    def hold(self, address: str, *, trusted: bool = False, wait_seconds: float | None = None) -> Iterator[Place]:
        """A place for as long as the `with` block runs. Raises NoPlace."""
        with self.take(address, trusted=trusted, wait_seconds=wait_seconds) as place:
            yield place

    def _is_free(self, key: str, trusted: bool) -> bool:
        bound = self.bound
        if self._held.get(key, 0) >= bound.each or self._count >= bound.total:
            return False
        return trusted or self._open < bound.total - bound.reserve

    def _may_wait(self, key: str) -> bool:
        bound = self.bound
        wait_here = sum(len(self._queues.get((key, trusted), ())) for trusted in (False, True))
        return wait_here < bound.each * bound.queue and self._waiting < bound.total * bound.queue

    def _count_in(self, key: str, trusted: bool) -> None:
        self._held[key] = self._held.get(key, 0) + 1
        self._count += 1
        if not trusted:
            self._open += 1

    def _release(self, key: str, trusted: bool) -> None:
        with self._lock:
            left = self._held[key] - 1
            if left:
                self._held[key] = left
            else:
                del self._held[key]
            self._count -= 1
            if not trusted:
                self._open -= 1
            if self._queues:
                self._hand_over()

    def _hand_over(self) -> None:
        """Give free places to callers that wait, and wake these alone: else hundreds would wake, and wait in line for
        the interpreter. Addresses take turns.

        Nearly always one place is free. Where an untrusted caller's becomes free, there may be two: its address may
        have one more, which a trusted caller takes, and untrusted callers elsewhere one more.
        """
        while (free := next((whose for whose in self._queues if self._is_free(*whose)), None)) is not None:
            queue = self._queues.pop(free)
            waiter = queue.popleft()
            if queue:
                self._queues[free] = queue  # behind all others
            self._waiting -= 1
            self._count_in(*free)
            waiter.give_place()

    def _leave_queue(self, key: str, trusted: bool, waiter: _Waiter) -> None:
        queue = self._queues[key, trusted]
        queue.remove(waiter)
        if not queue:
            del self._queues[key, trusted]
        self._waiting -= 1


@lru_cache(maxsize=4_096)
def address_key(remote: str) -> str:
    """What an address is counted by: an IPv4 address as it is, an IPv6 address by its /64.

    An IPv4 address written as an IPv6 one counts as IPv4. Text that is no address counts as itself.
    """
    try:
        address = unmapped(ip_address(remote.partition("%")[0]))
    except ValueError:
        return remote
    if not isinstance(address, IPv6Address):
        return str(address)
    network = int(address) >> (128 - _IPV6_SHARE_BITS) << (128 - _IPV6_SHARE_BITS)
    return f"{IPv6Address(network)}/{_IPV6_SHARE_BITS}"


STRATUM: Final = Bound(
    "Stratum places",
    "a miner's connection to `moneyer stratum`",
    total=1_000,
    each=250,
)
INBOUND_LINKS: Final = Bound("inbound links", "a peer that called this node", total=64, each=24, reserve=16)
OUTBOUND_LINKS: Final = Bound(
    "outbound links",
    "a peer that this node called (`--outbound` may say another number). It chooses whom, so that no caller can take a "
    "place: one at an address and two in a network (/24, /64) as long as others answer; as many as there are at an "
    "address where nothing else is",
    total=DEFAULT_OUTBOUND,
    each=DEFAULT_OUTBOUND,
)
ORPHANS: Final = Bound(
    "orphans",
    "a block whose parent is not here yet, in 16 MB in all. The oldest goes: of an address that has its share, or of "
    "the one that holds most where all places are taken",
    total=100,
    each=60,
)
CONNECTIONS: Final = Bound(
    "connections",
    "a connection to the HTTP server, whatever it is used for; the newest ones over the share are ended (on Linux)",
    total=1_500,
    each=450,
)
REQUESTS: Final = Bound(
    "requests",
    "a request while the node looks what it wants and takes its body apart, where more than 16 are under way; none "
    "while it is received, waits or is worked on",
    total=8,
    each=2,
    wait_seconds=10.0,
    queue=56,
)
REFUSALS: Final = Bound(
    "refusals that are held back",
    "a request that found no place, until it is a second old; one more is told so at once",
    total=1_200,
    each=400,
)
SMALL_BODIES: Final = Bound(
    "small bodies",
    "a request body of at most 64 KiB, its length declared, that is being received",
    total=192,
    each=24,
    reserve=24,
    wait_seconds=1.0,
    queue=4,
)
LARGE_BODIES: Final = Bound(
    "large bodies",
    "any other request body that is being received",
    total=48,
    each=14,
    reserve=6,
    wait_seconds=2.0,
)
EVENT_STREAMS: Final = Bound("event streams", "a listener of `/v1/events`", total=128, each=40, retry_seconds=5)
LARGE_ANSWERS: Final = Bound(
    "large answers",
    "an answer of 256 KiB or more, until its client has taken it",
    total=30,
    each=8,
    reserve=6,
    wait_seconds=5.0,
    queue=2,
)
SHORT_READS: Final = Bound(
    "short reads",
    "a call that reads some rows, while the node works on it: one at a time of an address, since each wants the "
    "interpreter for itself, and two at once take longer than one after the other",
    total=4,
    each=1,
    reserve=1,
    wait_seconds=5.0,
    queue=68,
)
SHORT_READS_OF_SERVER: Final = replace(SHORT_READS, total=12, each=4, reserve=2, queue=17)
"""In its place where the database is a server's: there a read waits for answers most of its time (docs/scale.md)."""
WRITES: Final = Bound(
    "writes",
    "a call that changes something, or tries whether it could, until that is on the disk",
    total=120,
    each=36,
    reserve=12,
    wait_seconds=5.0,
)
LOOKS: Final = Bound(
    "looks at a transfer",
    "a transfer that came by itself, while the node looks whether it can be taken and whether its signature is right",
    total=6,
    each=2,
    wait_seconds=10.0,
    queue=18,
)
DEAR_READS: Final = Bound(
    "dear reads",
    "a page of blocks, transactions or the mempool, a whole block, a proof, or what a peer syncs from, while the node "
    "puts it together",
    total=12,
    each=3,
    reserve=3,
    wait_seconds=10.0,
    queue=8,
)
DELIVERIES: Final = Bound(
    "deliveries",
    "a block or a batch of transfers that was sent here, while the node checks it",
    total=24,
    each=7,
    reserve=3,
    wait_seconds=10.0,
    queue=3,
)
BLOCK_WAITS: Final = Bound(
    "waits for a block",
    "a caller of `/mine_block` (one more is told its job at once), or of `/add_transaction` for first coins",
    total=32,
    each=10,
)
CHAIN_CHECKS: Final = Bound(
    "waits for a check", "a caller of `/is_valid`", total=12, each=4, wait_seconds=30.0, queue=2
)
PEER_WAITS: Final = Bound(
    "waits for peers",
    "a call that asks other nodes: `/replace_chain`, `/connect_node`, `POST /v1/peers`",
    total=16,
    each=5,
    wait_seconds=5.0,
)
CALLBACKS: Final = Bound(
    "call-backs",
    "a caller of `/p2p/connect`, which the node calls back before it believes it",
    total=32,
    each=10,
    wait_seconds=3.0,
    queue=2,
)

HTTP_BOUNDS: Final = (
    REQUESTS,
    REFUSALS,
    SMALL_BODIES,
    LARGE_BODIES,
    EVENT_STREAMS,
    LARGE_ANSWERS,
    SHORT_READS,
    WRITES,
    LOOKS,
    DEAR_READS,
    DELIVERIES,
    BLOCK_WAITS,
    CHAIN_CHECKS,
    PEER_WAITS,
    CALLBACKS,
)
"""Places that a node's HTTP server counts by the caller's address."""

BOUNDS: Final = (CONNECTIONS, *HTTP_BOUNDS, INBOUND_LINKS, OUTBOUND_LINKS, ORPHANS, STRATUM)
"""Every bound of a node and its tools. `docs/api.md` has the table, and a test holds it to this."""

_READING: Final = (SHORT_READS, WRITES, DEAR_READS, DELIVERIES, CHAIN_CHECKS, PEER_WAITS, CALLBACKS)
_OF_THE_NODE: Final = 100
READERS: Final = sum(bound.total for bound in _READING) + _OF_THE_NODE
"""Connections that read the database, at most: one for each place that needs one, so that no caller waits for a
connection, and enough for the node's own threads (a link each, relay, feed, link manager)."""
