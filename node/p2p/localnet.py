"""The networks that this machine is on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Final

from node.p2p.errors import BadUrl
from node.p2p.urls import Address, PeerUrl, check_address

Interface = IPv4Interface | IPv6Interface
_MAX_INTERFACES: Final = 16


def local_networks(only: Sequence[str] | None = None) -> list[Interface]:
    """This machine's addresses with the networks they are on: all where peers may be, or those of `only`."""
    import ifaddr

    found: set[Interface] = set()
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            text = each.ip if isinstance(each.ip, str) else each.ip[0]
            here = ip_interface(f"{text.partition('%')[0]}/{each.network_prefix}")
            if text in only if only is not None else not here.ip.is_loopback:
                with suppress(BadUrl):
                    check_address(here.ip)
                    found.add(here)
    return sorted(found, key=lambda each: (each.version, each))[:_MAX_INTERFACES]


def multicast_addresses(networks: list[Interface]) -> list[str]:
    """The addresses to send and hear mDNS on: it runs over IPv4, what it tells may be either."""
    return [str(each.ip) for each in networks if each.version == 4]


def is_beyond_loopback(host: str) -> bool:
    """Whether other machines may reach what listens there; False for a name, which may stand for anything."""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return False


def reachable_url(addresses: Sequence[str], port: int | None, networks: list[Interface]) -> str | None:
    """The address to call: on a network of ours; rather not one that this machine has too (each has its docker0)."""
    own = {each.ip for each in networks}
    usable: list[Address] = []
    for text in addresses[: 4 * _MAX_INTERFACES]:
        with suppress(ValueError, BadUrl):
            address = ip_address(text.partition("%")[0])
            check_address(address)
            if any(address in each.network for each in networks if each.version == address.version):
                usable.append(address)
    if not usable or port is None or not 0 < port < 65536:
        return None
    return PeerUrl(str(min(usable, key=lambda each: (each in own, each.version, each))), port).url
