"""Where other nodes can reach this one, and which addresses a peer may tell of."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address

from ...config import Config
from ...system.network import Address, unmapped
from ..peer.urls import PeerUrl, parse_peer_url


def own_url(config: Config) -> str | None:
    """The URL that this node tells of itself: that of `--announce`, else where it listens.

    None where it listens on every address. Raises BadUrl for a bad `announce`.
    """
    if config.announce is not None:
        return parse_peer_url(config.announce).url
    with suppress(ValueError):
        if ip_address(config.host).is_unspecified:
            return None
    return PeerUrl(config.host, config.port).url


def url_towards(config: Config, peer: Address) -> str | None:
    """The URL at which the node at address `peer` can call this one back; None where it can't.

    A node is called back only at the address that it calls from, and as an IP address.
    """
    if config.announce is not None:
        return parse_peer_url(config.announce).url
    try:
        host = ip_address("127.0.0.1" if config.host == "localhost" else config.host)
    except ValueError:
        return None
    if host.is_unspecified:
        source = _source_towards(peer)
        return PeerUrl(str(source), config.port).url if source is not None else None
    if host.is_loopback != peer.is_loopback or host.version != peer.version:
        return None
    return PeerUrl(str(host), config.port).url


def _source_towards(peer: Address) -> Address | None:
    """The address of this machine that the system would call `peer` from. Nothing is sent."""
    family = socket.AF_INET6 if peer.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(peer), 9))
            return ip_address(str(probe.getsockname()[0]).partition("%")[0])
    except (OSError, ValueError):
        return None


def may_tell(teller: Address, told: PeerUrl) -> bool:
    """Whether this node may call `told` because a peer at `teller` says so.

    A stranger must not make this node call into its own machine or network, or look up a name.
    """
    try:
        address = ip_address(told.host)
    except ValueError:
        return False
    return _reach(address) >= _reach(teller)


def _reach(address: Address) -> int:
    """0: this machine; 1: a private network; 2: anywhere."""
    address = unmapped(address)
    if address.is_loopback:
        return 0
    return 2 if address.is_global else 1
