"""Facts about IP addresses and sockets that several rooms need: what is loopback, what is one address, how to shut."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


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


def shut(sock: socket.socket, how: int = socket.SHUT_RDWR) -> bool:
    """Shuts a socket down under the thread that uses it, which then sees its end; whether it was still open.

    The socket is not closed: its file number could be another file's by the time that thread looks again.
    """
    with suppress(OSError):  # the other side was quicker
        sock.shutdown(how)
        return True
    return False
