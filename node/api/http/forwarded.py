"""Who calls: the address at the other end of the connection or, where that is a proxy's, the one that it tells of.

The one place that decides this; bans, limits, shares and logs ask it. `X-Forwarded-For` is believed only from addresses
that the node was told of (`--trusted-proxy`). Each proxy writes whom it speaks with at the list's end, so the list is
read from there: the first address that is no proxy's is the caller's, and what stands before it is the caller's own
invention. An entry that is no address ends the reading, too: then the caller is the proxy that passed it on.

What the header must not be mixed up with is the balancer's to drop: PEP 3333 has one name for `X-Forwarded-For` and
`X_Forwarded_For`, and of both the server hands over one (`docs/scale.md`).
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from ...system.network import Address, proxy_network, unmapped
from .guard import Environ

_HEADER: Final = "HTTP_X_FORWARDED_FOR"
_MOST_CHARACTERS: Final = 1_000
"""Of the list's end; what stands before is not looked at."""
_MOST_HOPS: Final = 10
"""Proxies that a request may have come through; behind as many, the last of them is the caller."""
_KNOWN_ADDRESSES: Final = 4_096

_ENTRY = re.compile(
    r"\[(?P<bracketed>[^\[\]]*:[^\[\]]*)\](?::[0-9]{1,5})?|(?P<with_port>[0-9.]+):[0-9]{1,5}|(?P<alone>[^\[\]]+)",
    re.ASCII,
)
"""An IPv6 address without brackets has no port: its colons are its own."""

log = logging.getLogger("moneyer.api")


class Callers:
    """`proxies`: as of `Config.trusted_proxies`. Raises ValueError with a sentence for one that is no address."""

    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        self._networks = tuple(map(proxy_network, proxies))
        self.is_proxy = lru_cache(_KNOWN_ADDRESSES)(self._is_proxy)
        """Whether an IP address is that of a proxy which is believed."""
        self._has_told = False

    def _is_proxy(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(
            found.version == network.version and found in network for network in self._networks
        )

    def of(self, environ: Environ) -> tuple[str, str]:
        """The caller's IP address, and the one at the other end of its connection: mostly the same."""
        hop: str = environ.get("REMOTE_ADDR") or ""
        listed: str | None = environ.get(_HEADER)
        if listed is None:
            return hop, hop
        if not self.is_proxy(hop):
            self._tell(hop)
            return hop, hop
        return self._behind(hop, listed), hop

    def _behind(self, hop: str, listed: str) -> str:
        """Who called, by the list that the proxy `hop` passed on."""
        entries = listed[-_MOST_CHARACTERS:].split(",")
        if len(listed) > _MOST_CHARACTERS:
            del entries[0]  # the end of one that was cut
        caller = hop
        for entry in entries[: -_MOST_HOPS - 1 : -1]:
            address = address_in(entry)
            if address is None:
                break
            caller = str(address)
            if not self.is_proxy(caller):
                break
        return caller

    def _tell(self, hop: str) -> None:
        if not self._has_told:  # once: whoever likes to can send it
            self._has_told = True
            log.info("X-Forwarded-For from %s is not believed: it is no --trusted-proxy (said once)", hop)


def address_in(entry: str) -> Address | None:
    """The IP address of one entry of the list, with a port or without (`192.0.2.7:80`, `[2001:db8::7]:80`).

    Without its zone, and IPv4 as IPv4. None where it is none (`unknown`, `_hidden`, a name).
    """
    found = _ENTRY.fullmatch(entry.strip(" \t"))
    return _address(found["bracketed"] or found["with_port"] or found["alone"]) if found else None


def _address(text: str) -> Address | None:
    try:
        return unmapped(ip_address(text.partition("%")[0]))
    except ValueError:
        return None
