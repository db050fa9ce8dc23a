"""Addresses of this machine: which ports are free, and how other machines of the local network reach it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress

from ..system.network import is_loopback

HIGHEST = 65535
"""The last port there is."""
_ELSEWHERE = "192.0.2.1"
"""A documentation address (RFC 5737): asked for the way there, the system gives our own address. Nothing is sent."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind here now. Tried by binding, which fails even where the other one shares its port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: old connections in TIME_WAIT are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_ports(first: int, count: int, host: str = "127.0.0.1") -> list[int]:
    """`count` ports from `first` on that are free; fewer where there are no more."""
    found: list[int] = []
    for port in range(first, HIGHEST + 1):
        if len(found) == count:
            break
        if is_free(port, host):
            found.append(port)
    return found


def taken(ports: Iterable[int], host: str = "127.0.0.1") -> list[int]:
    """Those of `ports` that some program holds."""
    return [port for port in ports if not is_free(port, host)]


def lan_address() -> str | None:
    """This machine's IPv4 address towards other machines; None where it has no network."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE, 9))
        address = str(probe.getsockname()[0])
        if not address.startswith(("127.", "0.")):
            return address
    return None


def join_line(host: str, port: int) -> str | None:
    """The command by which others join a node that listens on `host`; None where only this machine reaches it."""
    if is_loopback(host):
        return None
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        found = lan_address()
        if found is None:
            return None
        host = found
    return f"moneyer join http://[{host}]:{port}" if ":" in host else f"moneyer join http://{host}:{port}"
