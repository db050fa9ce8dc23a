"""How other machines of the local network name this one."""

from __future__ import annotations

import socket
from contextlib import suppress

_ELSEWHERE = "192.0.2.1"
"""A documentation address (RFC 5737): asked for the way there, the system names our own address. Nothing is sent."""


def lan_address() -> str | None:
    """This machine's IPv4 address towards other machines; None where it has no network."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE, 9))
        address = str(probe.getsockname()[0])
        if not address.startswith(("127.", "0.")):
            return address
    return None


def join_line(host: str, port: int) -> str | None:
    """What to paste into a chat, for a node that listens on `host`; None where only this machine reaches it."""
    if host in ("127.0.0.1", "::1", "localhost"):
        return None
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        found = lan_address()
        if found is None:
            return None
        host = found
    return f"moneyer join http://[{host}]:{port}" if ":" in host else f"moneyer join http://{host}:{port}"
