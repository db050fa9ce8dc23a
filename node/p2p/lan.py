"""Finds nodes of the same coin on the local network, by mDNS (RFC 6762) and DNS-SD (RFC 6763).

A node that listens beyond loopback answers for `_moneyer._tcp.local.` and looks for others of its coin. What it finds
is a hint like any other: a hello decides. A record is believed only if its address is on a network that this machine is
on too, so that nobody can make this node call elsewhere.

Threads: `discovery`, started and ended with the node, and those of zeroconf, which put the names that they hear into a
bounded queue. zeroconf is imported only where discovery is on.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from ..config import Config
from ..core.codec import show
from ..core.coin import Coin
from ..core.errors import MoneyerError
from ..store.errors import StoreUnavailable
from ..system.decoding import prepare
from ..system.network import Address, is_loopback
from .peer.errors import BadUrl
from .peer.urls import PeerUrl, check_address
from .peer.wire import PROTOCOL, NodeId

if TYPE_CHECKING:
    from zeroconf import ServiceBrowser, ServiceInfo, Zeroconf

SERVICE: Final = "_moneyer._tcp.local."
SHORT: Final = 16
"""Hex digits of the chain id in a record: enough to tell coins apart; the hello checks the whole id."""
MAX_FOUND: Final = 200
"""Nodes that are looked at in one go, or remembered; more is a flood."""
LOOK_SECONDS: Final = 15.0
"""How often this machine's addresses are compared: a laptop moves from one network to another."""
_MAX_NAME: Final = 200
"""Bytes of a coin's name in a record, whose texts hold 255 each."""
_RESOLVE_SECONDS: Final = 1.0
"""How long to wait for a node's records: a node sends all of them at once."""
_PACE_SECONDS: Final = 0.1
"""Pause between two nodes."""
_AGAIN_SECONDS: Final = 10.0
"""How often one node is passed on at most, however often it comes and goes."""
_STOP_SECONDS: Final = 1.5
"""How long `stop` waits for the goodbye to be sent."""
_MAX_INTERFACES: Final = 16
"""Addresses of this machine that are looked at."""

log = logging.getLogger("moneyer.p2p")

Interface = IPv4Interface | IPv6Interface
Names = queue.Queue[str | None]
"""Names of services to look at; None ends the wait for one."""


class NoDiscovery(MoneyerError):
    """The local network can't be searched; the message says why."""

    code = "no_discovery"


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A node as it describes itself, unchecked."""

    url: str
    """Canonical, on a network of this machine."""
    chain_id: str
    """The first SHORT hex digits."""
    node_id: str
    name: str
    symbol: str
    protocol: int


class _TxtRecord(msgspec.Struct):
    """The TXT record of a node."""

    chain_id: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{SHORT}}}$")]
    node_id: NodeId
    protocol: Annotated[int, Meta(ge=1, le=1_000_000)]
    name: Annotated[str, Meta(max_length=_MAX_NAME)] = ""
    symbol: Annotated[str, Meta(pattern="^[A-Z0-9]{0,12}$")] = ""


prepare(_TxtRecord)


class Discovery:
    """Makes this node known on the local network, and tells `found` of others of its coin (None: looks for none).

    `interfaces`: IPv4 addresses of this machine to work on; by default all but loopback.
    """

    def __init__(
        self,
        config: Config,
        coin: Coin,
        node_id: str,
        found: Callable[[FoundNode], None] | None,
        *,
        interfaces: Sequence[str] | None = None,
    ) -> None:
        self._config = config
        self._coin = coin
        self._node_id = node_id
        self._found = found
        self._only = interfaces
        self._names: Names = queue.Queue(MAX_FOUND)
        self._again_at: dict[str, float] = {}
        self._make_thread()

    def _make_thread(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="discovery", daemon=True)

    def start(self) -> None:
        """Start the thread, unless discovery is off or the node listens on loopback only. Also behind a `stop`."""
        if self._stopped.is_set():
            self._make_thread()
        if self._config.discovery and (self._only is not None or is_beyond_loopback(self._config.host)):
            self._thread.start()

    def stop(self) -> None:
        """Say goodbye, so that no node looks for this one any longer; takes about a second."""
        self._stopped.set()
        with suppress(queue.Full):
            self._names.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    @property
    def is_on(self) -> bool:
        return self._thread.is_alive()

    # the thread

    def _run(self, stopped: threading.Event) -> None:
        try:
            import zeroconf
        except ImportError:
            log.info("discovery: zeroconf is not installed, so nobody finds this node without its URL")
            return
        while not stopped.is_set():
            networks = self._networks()
            if multicast_addresses(networks):
                try:
                    self._live_on(networks, stopped)
                    continue
                except (OSError, RuntimeError, zeroconf.Error) as error:
                    log.info("discovery: this network does not carry mDNS (%s)", type(error).__name__)
                except StoreUnavailable as error:
                    log.info("discovery: %s", error.message)
                except Exception as error:  # whatever it is, the search goes on as long as this node runs
                    log.error("discovery: a bug in the node", exc_info=error)
            stopped.wait(LOOK_SECONDS)

    def _live_on(self, networks: list[Interface], stopped: threading.Event) -> None:
        """Answer and search until told to stop, or until this machine is on other networks."""
        from zeroconf import Zeroconf

        with Zeroconf(interfaces=multicast_addresses(networks)) as zero:
            service = self._service(networks)
            zero.register_service(service, allow_name_change=True)
            log.info("discovery: known on the local network as %s", service.get_name())
            if self._found is not None:
                _browse(zero, self._names)
            look_at = time.monotonic() + LOOK_SECONDS
            while not stopped.is_set():
                name = _next(self._names, look_at)
                if name is not None:
                    self._meet(zero, name, networks)
                    stopped.wait(_PACE_SECONDS)
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + LOOK_SECONDS
                    if self._networks() != networks:
                        return

    def _meet(self, zero: Zeroconf, name: str, networks: list[Interface]) -> None:
        found = _resolve(zero, name, networks, _RESOLVE_SECONDS)
        if found is None or self._found is None or found.node_id == self._node_id:
            return
        now = time.monotonic()
        if found.chain_id != self._short_id or now < self._again_at.get(found.url, 0.0):
            return
        if len(self._again_at) >= MAX_FOUND:
            del self._again_at[next(iter(self._again_at))]
        self._again_at[found.url] = now + _AGAIN_SECONDS
        self._found(found)

    def _networks(self) -> list[Interface]:
        """The networks on which this node can be called."""
        host = ip_address(self._config.host)
        found = local_networks(self._only)
        if host.is_unspecified or self._only is not None:
            return found
        return [each for each in found if each.ip == host or each.version < host.version]

    @property
    def _short_id(self) -> str:
        return show(self._coin.chain_id)[:SHORT]

    def _service(self, networks: list[Interface]) -> ServiceInfo:
        from zeroconf import ServiceInfo

        host = ip_address(self._config.host)
        told = [each.ip for each in networks if each.version == host.version or str(host) == "::"]
        text = {
            "chain_id": self._short_id,
            "name": self._coin.name.encode()[:_MAX_NAME].decode(errors="ignore"),
            "symbol": self._coin.symbol,
            "protocol": str(PROTOCOL),
            "node_id": self._node_id,
        }
        return ServiceInfo(
            SERVICE,
            f"{self._coin.symbol}-{self._node_id[:12]}.{SERVICE}",
            addresses=[each.packed for each in told],
            port=self._config.port,
            properties=text,
            server=f"moneyer-{self._node_id[:12]}.local.",
        )


def discover(seconds: float = 3.0, *, interfaces: Sequence[str] | None = None) -> list[FoundNode]:
    """Every node that answers on the local network within `seconds`, whatever its coin. Raises NoDiscovery."""
    try:
        import zeroconf
    except ImportError:
        raise NoDiscovery("nodes can't be found here without their URL: the package zeroconf is missing") from None
    networks = local_networks(interfaces)
    if not multicast_addresses(networks):
        raise NoDiscovery("this machine is on no network, so no other node can be found: give a node's URL")
    found: dict[str, FoundNode] = {}
    names: Names = queue.Queue(MAX_FOUND)
    ends_at = time.monotonic() + seconds
    try:
        with zeroconf.Zeroconf(interfaces=multicast_addresses(networks)) as zero:
            _browse(zero, names)
            while (left := ends_at - time.monotonic()) > 0 and len(found) < MAX_FOUND:
                name = _next(names, ends_at)
                each = _resolve(zero, name, networks, min(left, _RESOLVE_SECONDS)) if name is not None else None
                if each is not None:
                    found[each.url] = each
    except (OSError, RuntimeError, zeroconf.Error) as error:
        raise NoDiscovery(f"this network does not carry mDNS ({type(error).__name__}): give a node's URL") from None
    return list(found.values())


def _browse(zero: Zeroconf, names: Names) -> ServiceBrowser:
    """Puts the names of nodes that come, or change, into `names`; ends with `zero`."""
    from zeroconf import ServiceBrowser, ServiceStateChange

    def changed(*, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is not ServiceStateChange.Removed:
            with suppress(queue.Full):
                names.put_nowait(name)

    return ServiceBrowser(zero, SERVICE, handlers=[changed])


def _next(names: Names, until: float) -> str | None:
    """The next name; None if none came until then (monotonic clock), or if the queue was told to end."""
    with suppress(queue.Empty):
        return names.get(timeout=max(0.0, until - time.monotonic()))
    return None


def _resolve(zero: Zeroconf, name: str, networks: list[Interface], seconds: float) -> FoundNode | None:
    """Asks for a node's records; None where there are none, or none that this node can use."""
    from zeroconf import BadTypeInNameException

    with suppress(BadTypeInNameException):
        info = zero.get_service_info(SERVICE, name, timeout=max(1, round(seconds * 1000)))
        if info is not None:
            return read_record(info.properties, info.parsed_addresses(), info.port, networks)
    return None


def read_record(
    properties: dict[bytes, bytes | None], addresses: Sequence[str], port: int | None, networks: list[Interface]
) -> FoundNode | None:
    """Checks a node's TXT, A, AAAA and SRV records; None where they are not those of a node, or it can't be called."""
    try:
        text = {name.decode(): value.decode() for name, value in properties.items() if value is not None}
        held = msgspec.convert(text, _TxtRecord, strict=False)
    except (UnicodeDecodeError, msgspec.ValidationError):
        return None
    url = reachable_url(addresses, port, networks)
    if url is None:
        return None
    return FoundNode(url, held.chain_id, held.node_id, held.name, held.symbol, held.protocol)


def local_networks(only: Sequence[str] | None = None) -> list[Interface]:
    """This machine's addresses with their networks: all on which peers may be, or those of `only`."""
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
    """Whether other machines may reach what listens at an IP address; False for a name, which may mean anything."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return not is_loopback(host)


def reachable_url(addresses: Sequence[str], port: int | None, networks: list[Interface]) -> str | None:
    """The URL to call, on a network of this machine; rather not an address that this machine has too (as docker0's)."""
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
