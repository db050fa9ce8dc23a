"""Shares of what is scarce: a number of places in all, a share for each address, and a reserve.

Every scarce place of a node (a thread that reads a body, an event stream, a miner's connection, …) has a `Bound` in
`BOUNDS`, and is held through a `Shares` of that bound. One address can hold no more than its share, so that it takes
nothing from callers elsewhere. The reserve is for peers in good standing and for health checks: callers that the node
itself calls trusted (`trusted=True`) may use the whole total, everybody else `total - reserve`.

Thread-safe. A caller that has to wait does so for at most `wait_seconds`; no more callers wait at once, in all and for
an address, than there are places, since each of them holds a thread too.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import ClassVar, Final

from node.core.errors import MoneyerError

_IPV6_SHARE_BITS: Final = 64
"""An IPv6 customer has a /64 at least, so a single address says nothing about whose it is."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How many places of one kind there are, and who may hold how many."""

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
    """A place that somebody holds, until `release` (which may be called more than once)."""

    __slots__ = ("_key", "_shares", "since", "trusted")

    def __init__(self, shares: Shares, key: str, trusted: bool) -> None:
        self._shares: Shares | None = shares
        self._key = key
        self.trusted = trusted
        self.since = monotonic()

    def release(self) -> None:
        shares, self._shares = self._shares, None
        if shares is not None:
            shares._release(self._key, self.trusted)


class Shares:
    """The places of one bound: who holds them now."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.refused = 0
        """Callers that were turned away since the start."""
        self._held: Counter[str] = Counter()
        self._open = 0
        """Places held by callers that are not trusted."""
        self._waiting: Counter[str] = Counter()
        self._changed = threading.Condition()

    @property
    def count(self) -> int:
        """Places held now."""
        with self._changed:
            return self._held.total()

    def held_by(self, address: str) -> int:
        """Places that `address` holds now."""
        with self._changed:
            return self._held[address_key(address)]

    def largest(self) -> tuple[str, int]:
        """The address (as `address_key` writes it) that holds most places, and how many; `("", 0)` if none does."""
        with self._changed:
            return max(self._held.items(), key=lambda item: item[1], default=("", 0))

    def take(self, address: str, *, trusted: bool = False, wait_seconds: float | None = None) -> Place:
        """A place for `address`, to be released by the caller. Raises NoPlace, after waiting where the bound says so.

        `trusted`: a peer in good standing or a health check, which may use the reserve. `wait_seconds`: in place of
        the bound's.
        """
        key = address_key(address)
        wait = self.bound.wait_seconds if wait_seconds is None else wait_seconds
        with self._changed:
            if not self._is_free(key, trusted) and wait > 0 and self._may_wait(key):
                self._waiting[key] += 1
                try:
                    self._changed.wait_for(lambda: self._is_free(key, trusted), wait)
                finally:
                    self._waiting[key] -= 1
                    if not self._waiting[key]:
                        del self._waiting[key]
            if not self._is_free(key, trusted):
                self.refused += 1
                raise NoPlace(self.bound, address, is_own_share=self._held[key] >= self.bound.each)
            self._held[key] += 1
            self._open += not trusted
        return Place(self, key, trusted)

    @contextmanager
    def hold(self, address: str, *, trusted: bool = False, wait_seconds: float | None = None) -> Iterator[Place]:
        """A place for as long as the `with` block runs. Raises NoPlace."""
        place = self.take(address, trusted=trusted, wait_seconds=wait_seconds)
        try:
            yield place
        finally:
            place.release()

    def _is_free(self, key: str, trusted: bool) -> bool:
        if self._held[key] >= self.bound.each:
            return False
        if trusted:
            return self._held.total() < self.bound.total
        return self._open < self.bound.total - self.bound.reserve and self._held.total() < self.bound.total

    def _may_wait(self, key: str) -> bool:
        return self._waiting[key] < self.bound.each and self._waiting.total() < self.bound.total

    def _release(self, key: str, trusted: bool) -> None:
        with self._changed:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
            self._open -= not trusted
            self._changed.notify_all()


def address_key(remote: str) -> str:
    """What an address is counted by: an IPv4 address as it is, an IPv6 address by its /64.

    An IPv4 address written as an IPv6 one counts as IPv4. Text that is no address counts as itself.
    """
    try:
        address = ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = int(address) >> (128 - _IPV6_SHARE_BITS) << (128 - _IPV6_SHARE_BITS)
    return f"{IPv6Address(network)}/{_IPV6_SHARE_BITS}"


STRATUM: Final = Bound(
    "Stratum places",
    "a miner's connection to `moneyer stratum`",
    total=1_000,
    each=250,
)
INBOUND_LINKS: Final = Bound("inbound links", "a peer that called this node", total=64, each=24, reserve=16)
OUTBOUND_LINKS: Final = Bound("outbound links", "a peer that this node called", total=8, each=8)
CALLBACKS: Final = Bound(
    "call-backs",
    "a caller of `/p2p/connect`, which the node calls back before it believes it",
    total=32,
    each=8,
    wait_seconds=1.0,
)

BOUNDS: Final = (STRATUM, INBOUND_LINKS, OUTBOUND_LINKS, CALLBACKS)
"""Every bound of a node and its tools. `docs/api.md` has the table, and a test holds it to this."""
