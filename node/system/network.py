"""Facts about IP addresses and sockets that several rooms need: what is loopback, what is one address, how to shut."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_WIDEST_PROXIES: Final = {4: 8, 6: 16}
"""Bits that a network of proxies has to name at least, by IP's version."""
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def unmapped(address: Address) -> Address:
    """Returns an IPv4 address that is written as an IPv6 one (`::ffff:127.0.0.1`) as IPv4, any other as it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_loopback(host: str) -> bool:
    """Whether `host` means this machine only: an IP address of loopback, or the name `localhost`.

    False for any other name, which may stand for anything: no name is looked up.
    """
    if host == "localhost":
        return True
    try:
        return unmapped(ip_address(host)).is_loopback
    except ValueError:
        return False


def proxy_network(text: str) -> Network:
    """The network of a trusted proxy: an IP address, or a network in CIDR (`10.0.0.0/24`); a mapped one is IPv4's.

    Raises ValueError, with a sentence. A network so wide that it holds strangers is refused: whoever is in it can call
    in anybody's name, so that no ban and no limit would be worth anything.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text[:100]} is no IP address, and no network such as 10.0.0.0/24") from None
    address, is_network, _ = text.partition("/")
    if is_network and ip_address(address) != network.network_address:
        raise ValueError(f"{text[:100]} is an address with the size of a network: give {address}, or {network}")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = IPv4Network((int(unmapped(network.network_address)), network.prefixlen - _MAPPED.prefixlen))
    if network.prefixlen < _WIDEST_PROXIES[network.version]:
        raise ValueError(
            f"{text[:100]} is so wide that strangers are in it, who could call in anybody's name: name the proxy's "
            f"address, or a network of /{_WIDEST_PROXIES[network.version]} or narrower"
        )
    return network


def shut(sock: socket.socket, how: int = socket.SHUT_RDWR) -> bool:
    """Shuts a socket down under the thread that uses it, which then sees its end; whether it was still open.

    The socket is not closed: its file number could be another file's by the time that thread looks again.
    """
    with suppress(OSError):  # the other side was quicker
        sock.shutdown(how)
        return True
    return False
