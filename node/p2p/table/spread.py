"""Spreads outbound links over addresses, so that no single host has most of them.

One link to an address, and two to a group (a /24 of IPv4, a /64 of IPv6; on loopback every address is a group of its
own), as long as peers elsewhere are connected. Where one address or one group is all there is (a network on one
machine, or in one house), its nodes may have every link. Links that break the limit end when peers elsewhere come.

Bitcoin Core keeps outbound peers in different /16 groups for the same reason: an attacker must have many hosts to be
all of a node's peers (an eclipse attack).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from ...system.network import Address, unmapped

EACH_GROUP: Final = 2
"""Links to one group."""
_GROUP_BITS: Final = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a peer is, as far as limits care."""

    address: str
    """An IP address, or a name that was not looked up."""
    group: str
    """The network of the address."""


class Crowding(IntEnum):
    """What a further link would share with those that exist."""

    NOTHING = 0
    GROUP = 1
    ADDRESS = 2


@lru_cache(maxsize=4096)
def location_of(host: str) -> Location:
    """The location of a peer's host, as its URL names it."""
    try:
        return _location(ip_address(host))
    except ValueError:
        return Location(host, host)


def location_of_any(host: str, addresses: Collection[Address]) -> Location:
    """The same where the host's addresses are known: of several the lowest, IPv4 first."""
    if not addresses:
        return location_of(host)
    return _location(min(map(unmapped, addresses), key=lambda each: (each.version, int(each))))


def _location(address: Address) -> Location:
    address = unmapped(address)
    if address.is_loopback:
        return Location(str(address), str(address))
    rest = address.max_prefixlen - _GROUP_BITS[address.version]
    return Location(str(address), f"{address.version}:{int(address) >> rest:x}")


class Spread:
    """How many links there are to each address and group."""

    def __init__(self, taken: Iterable[Location] = ()) -> None:
        self._addresses: Counter[str] = Counter()
        self._groups: Counter[str] = Counter()
        for location in taken:
            self.take(location)

    def take(self, location: Location) -> None:
        self._addresses[location.address] += 1
        self._groups[location.group] += 1

    def crowding(self, location: Location) -> Crowding:
        """What a further link to `location` would share."""
        if self._addresses[location.address]:
            return Crowding.ADDRESS
        return Crowding.GROUP if self._groups[location.group] >= EACH_GROUP else Crowding.NOTHING

    def allows(self, crowding: Crowding) -> bool:
        """Whether a further link may share so much: only where all links are at one address, or in one group."""
        if crowding is Crowding.ADDRESS:
            return len(+self._addresses) <= 1
        return crowding is Crowding.NOTHING or len(+self._groups) <= 1
