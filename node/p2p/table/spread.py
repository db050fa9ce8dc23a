"""Spreads the peers that this node chooses over addresses, so that no single host has most of its outbound links.

One link an address, and two a group (a /24 of IPv4, a /64 of IPv6; on loopback every address is a group of its own), as
long as peers elsewhere are connected. Where one address, or one group, is all there is (a network on one machine, or
in one house), its nodes may have every place. What was connected before others could be had leaves when they come.

Bitcoin Core keeps outbound peers in different /16 groups for the same reason: to be misled by all of one's peers
must take many hosts (an eclipse attack).
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
_GROUP_BITS: Final = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a peer is. `address`: an IP address, or a name that was not looked up; `group`: its network."""

    address: str
    group: str


class Crowding(IntEnum):
    """What a further link would share with those that are there."""

    NOTHING = 0
    GROUP = 1
    ADDRESS = 2


@lru_cache(maxsize=4096)
def location_of(host: str) -> Location:
    """The spot of a peer's host, as its URL names it."""
    try:
        return _spot(ip_address(host))
    except ValueError:
        return Location(host, host)


def location_of_any(host: str, addresses: Collection[Address]) -> Location:
    """The same where the host's addresses are known: of a name with several the lowest, IPv4 first."""
    if not addresses:
        return location_of(host)
    return _spot(min(map(unmapped, addresses), key=lambda each: (each.version, int(each))))


def _spot(address: Address) -> Location:
    address = unmapped(address)
    if address.is_loopback:
        return Location(str(address), str(address))
    rest = address.max_prefixlen - _GROUP_BITS[address.version]
    return Location(str(address), f"{address.version}:{int(address) >> rest:x}")


class Spread:
    """The spots that are taken now."""

    def __init__(self, taken: Iterable[Location] = ()) -> None:
        self._addresses: Counter[str] = Counter()
        self._groups: Counter[str] = Counter()
        for spot in taken:
            self.take(spot)

    def take(self, spot: Location) -> None:
        self._addresses[spot.address] += 1
        self._groups[spot.group] += 1

    def crowding(self, spot: Location) -> Crowding:
        """What a link to `spot` would share."""
        if self._addresses[spot.address]:
            return Crowding.ADDRESS
        return Crowding.GROUP if self._groups[spot.group] >= EACH_GROUP else Crowding.NOTHING

    def allows(self, crowding: Crowding) -> bool:
        """Whether a link may share so much: where nothing else is connected."""
        if crowding is Crowding.ADDRESS:
            return len(+self._addresses) <= 1
        return crowding is Crowding.NOTHING or len(+self._groups) <= 1
