"""Reads the URLs of peers, `http://host:port` and nothing else, and connects to those whose address may be a peer's.

A URL may come from a stranger. So a name is looked up and its addresses are checked in the same step that connects:
a second look-up could give another address (DNS rebinding).
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from ...system.network import Address, unmapped
from .errors import BadUrl, PeerError, PeerTimeout, PeerUnreachable

MAX_URL: Final = 200
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_HTTP_PORT: Final = 80
_NODE_PORT: Final = 5001
_MAX_ADDRESSES: Final = 4

_FORBIDDEN_V4: Final = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # "this network"; 0.0.0.0 reaches this machine on Linux
        "100.100.100.200/32",  # a cloud's metadata service
        "168.63.129.16/32",  # another's
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "192.0.0.0/24",  # IETF protocol assignments; metadata at .192
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_FORBIDDEN_V6: Final = tuple(
    IPv6Network(net)
    for net in (
        "64:ff9b::/32",  # NAT64: an IPv4 address in disguise
        "100::/64",  # discard
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fd00:ec2::/32",  # a cloud's metadata service
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, deprecated
        "ff00::/8",  # multicast
    )
)
_RESERVED_V6: Final = IPv6Network("::/8")
_LOCALHOST: Final[set[Address]] = {IPv4Address("127.0.0.1"), IPv6Address("::1")}


@dataclass(frozen=True, slots=True)
class PeerUrl:
    host: str
    """A lower-case name, or an IP address without brackets."""
    port: int

    @property
    def host_port(self) -> str:
        """As `GET /v1/peers` and `/connect_node` name a peer."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host_port}"

    def __str__(self) -> str:
        return self.url


@lru_cache(maxsize=4_096)  # each reading of the table of peers parses all of its URLs
def parse_peer_url(text: str) -> PeerUrl:
    """Parses a peer's URL, or `HOST:PORT`, into its canonical form: the only parser of such text.

    No port means 80 in a URL, and 5001 where there is no scheme either. A name is not looked up here: `connect` does,
    and checks every address. Raises BadUrl with a sentence that says what is wrong.
    """
    if not text or len(text) > MAX_URL:
        raise BadUrl(f"a peer's URL has 1 to {MAX_URL} characters, like http://127.0.0.1:5002")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadUrl("a peer's URL is plain ASCII without spaces, like http://127.0.0.1:5002")
    usual_port = _HTTP_PORT
    if "://" not in text:
        text, usual_port = f"http://{text}", _NODE_PORT
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadUrl("that is no URL; write http://HOST:PORT, an IPv6 address in [brackets]") from None
    if parts.scheme != "http":
        raise BadUrl("a peer's URL begins with http://")
    if "@" in parts.netloc:
        raise BadUrl("a peer's URL carries no user name or password")
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise BadUrl("a peer's URL ends behind the port: no path, query or fragment")
    if parts.netloc.endswith(":") or port == 0:
        raise BadUrl("a peer's port is 1 to 65535")
    host = (parts.hostname or "").lower()
    return PeerUrl(_canonical_host(host, bracketed="[" in parts.netloc), port or usual_port)


def canonical_urls(texts: Iterable[str]) -> list[str]:
    """The canonical forms of those texts that are URLs of peers."""
    urls = []
    for text in texts:
        with suppress(BadUrl):
            urls.append(parse_peer_url(text).url)
    return urls


def _canonical_host(host: str, *, bracketed: bool) -> str:
    if bracketed or _looks_like_ipv4(host):
        try:
            address = ip_address(host)
        except ValueError:
            raise BadUrl("that is no IP address; IPv4 as 192.168.1.20, IPv6 in [brackets]") from None
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise BadUrl("an address with a zone (%…) is link-local, and no peer's")
        check_address(address)
        return str(address)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl("that is no host name")
    return host


def _looks_like_ipv4(host: str) -> bool:
    """Whether the last label is a number: resolvers read 127.1, 2130706433 and 0x7f.1 as addresses."""
    last = host.rsplit(".", 1)[-1]
    return last.isdigit() or bool(re.fullmatch(r"0x[0-9a-f]*", last))


def check_address(address: Address) -> None:
    """Raises BadUrl for an address that can't be a peer's. Loopback and private ones can: most coins live there."""
    address = unmapped(address)
    if isinstance(address, IPv4Address):
        forbidden = any(address in net for net in _FORBIDDEN_V4)
    else:
        forbidden = any(address in net for net in _FORBIDDEN_V6) or (
            address in _RESERVED_V6 and not address.is_loopback
        )
    if forbidden:
        raise BadUrl(
            "that address is link-local, multicast, reserved or a metadata service, and no peer's; "
            "give the address that the node listens on"
        )


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """Connects a TCP socket to a checked address. `deadline`: for all of it, on the monotonic clock.

    Raises BadUrl (an address that can't be a peer's), PeerUnreachable, PeerTimeout.
    """
    failure: OSError | None = None
    for address in resolve(host, deadline)[:_MAX_ADDRESSES]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            sock = socket.create_connection((str(address), port), timeout=left)
        except TimeoutError:
            continue
        except OSError as error:
            failure = error
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    if failure is None:
        raise PeerTimeout("the peer did not answer in time")
    raise PeerUnreachable("nothing answers at that address; is the node running, and is the port right?")


def is_same_place(one: PeerUrl, other: PeerUrl, deadline: float) -> bool:
    """Whether two URLs lead to one port of one address, however they spell it. `deadline`: on the monotonic clock."""
    if one.port != other.port or one == other:
        return one == other

    def places(host: str) -> set[Address]:
        found = set(map(unmapped, resolve(host, deadline)))
        return found | _LOCALHOST if found & _LOCALHOST else found  # one loopback, in IPv4 and in IPv6

    try:
        return bool(places(one.host) & places(other.host))
    except PeerError:
        return False


def resolve(host: str, deadline: float) -> list[Address]:
    """Looks up all addresses of `host` and checks each: one that is forbidden forbids the name.

    `deadline`: on the monotonic clock. Raises BadUrl, PeerUnreachable, PeerTimeout.
    """
    try:
        addresses = [ip_address(host)]
    except ValueError:
        addresses = _look_up(host, deadline)
    for address in addresses:
        check_address(address)
    return addresses


def _look_up(host: str, deadline: float) -> list[Address]:
    # getaddrinfo takes no time limit and can't be interrupted; a thread left behind ends by the resolver's time-out.
    found: list[Address] = []
    done = threading.Event()

    def ask() -> None:
        try:
            for *_, sockaddr in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
                address = ip_address(str(sockaddr[0]).partition("%")[0])
                if address not in found:
                    found.append(address)
        except (OSError, ValueError, UnicodeError):
            found.clear()
        done.set()

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    if not done.wait(max(0.0, deadline - time.monotonic())):
        raise PeerTimeout("the peer's name did not resolve in time")
    if not found:
        raise PeerUnreachable("the peer's name does not resolve; is it spelled right?")
    return found
