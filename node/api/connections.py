"""This process's own TCP connections, as the kernel knows them: the server hands out none of its sockets.

Where a system offers no such look (all but Linux), there is nothing to see here and nobody is cut off.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from struct import unpack_from
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")
_LAST_DATA_SENT: Final = 44
"""Where `tcpi_last_data_sent` (u32, milliseconds) stands in `struct tcp_info` of linux/tcp.h."""


def connections_of(port: int, remote: str) -> Iterator[socket.socket]:
    """Connections that came in on `port` from `remote` (as `plain_address` spells it); each is the caller's to close."""
    for descriptor in _descriptors():
        with suppress(OSError):
            # A duplicate: the number itself may be another connection's a moment later.
            duplicate = os.dup(descriptor)
            if not stat.S_ISSOCK(os.fstat(duplicate).st_mode):
                os.close(duplicate)
                continue
            connection = socket.socket(fileno=duplicate)
            if _is_from(connection, port, remote):
                yield connection
            else:
                connection.close()


def _descriptors() -> list[int]:
    try:
        return [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    except OSError:
        return []


def _is_from(connection: socket.socket, port: int, remote: str) -> bool:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        return connection.getsockname()[1] == port and plain_address(connection.getpeername()[0]) == remote
    except OSError:  # it listens, or is closed
        return False


def plain_address(address: str) -> str:
    """One spelling for an IP address: no zone, and IPv4 as IPv4."""
    try:
        plain = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = plain.ipv4_mapped if isinstance(plain, IPv6Address) else None
    return str(mapped or plain)


def is_at_rest(connection: socket.socket, seconds: float) -> bool:
    """Whether nothing has been sent on it for `seconds` (if never, since it was made)."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (AttributeError, OSError):
        return False
    return len(info) >= _LAST_DATA_SENT + 4 and unpack_from("=I", info, _LAST_DATA_SENT)[0] >= seconds * 1000
