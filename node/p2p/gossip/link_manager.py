"""Decides which peers this node is linked with: a few of its own choice, those that asked for it, the rest in reserve.

Every link is one that this node opens: a peer that asks (`/p2p/connect`, direction `inbound`) is called back.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from ...config import Config
from ...store.errors import StoreUnavailable
from ...store.peers import PeerRow
from ...system.shares import INBOUND_LINKS, NoPlace, Place, Shares
from ..peer.errors import BadUrl, Duplicate, LinkCut, PeerError, PeerRefused
from ..peer.urls import PeerUrl, parse_peer_url
from ..table.configured import Backoff, ConfiguredPeers
from ..table.peer_table import PeerTable
from ..table.reach import may_tell
from ..table.spread import Crowding, Spread, location_of, location_of_any
from ..table.standing import CONNECTED, INBOUND, OUTBOUND, is_banned, limit_key, rank
from .links import Link

MAX_INBOUND: Final = INBOUND_LINKS.total
"""Links that peers asked for."""
MAX_INBOUND_EACH: Final = 4
"""The same to one address beyond this machine (`node.p2p.table.standing.limit_key`)."""
MAX_LEARNED: Final = 200
"""URLs that peers told and that were not tried yet."""
_LEARNED_EACH: Final = 50
"""Of them, those taken from one answer."""
_PROBE_SECONDS: Final = 60.0
"""How often one of them is called, to see whether a node is there."""
_TRIAL_SECONDS: Final = 600.0
"""How often a peer that is not connected gets the place of one that is, so that none keeps its place for good."""
_MOST_USEFUL: Final = 1_000
"""URLs of peers that delivered, as many as are remembered."""
_LASTED_SECONDS: Final = 30.0
"""A link that lasted so long makes up for the peer's absence before."""
_IDLE_SECONDS: Final = 30.0
"""Longest pause between two rounds."""
_BUG_SECONDS: Final = 2.0
"""Pause after an unexpected error."""
_LEAST_PAUSE: Final = 0.05
_SERVED_SECONDS: Final = 15.0
"""How long to wait until this node's own server answers."""

log = logging.getLogger("moneyer.p2p")

MakeLink = Callable[[PeerUrl, str, bool], Link]
"""(url, direction, is_probe) -> a link that is not started yet."""


class LinkManager:
    """One thread that chooses peers and starts their links; each link then runs in a thread of its own.

    The links' threads call `joined`, `ended` and `learned`; those of requests and of the local network `table_changed`,
    `delivered` and `seen`. `clock`: seconds, by which peers are tried again.
    """

    def __init__(
        self,
        config: Config,
        peers: PeerTable,
        configured: ConfiguredPeers,
        make_link: MakeLink,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._config = config
        self._peers = peers
        self.make_link = make_link
        self._configured = configured
        self._links: dict[str, Link] = {}
        self._learned: dict[str, None] = {}
        self._removed: set[str] = set()
        self._backoff = Backoff(clock)
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self.inbound = Shares(INBOUND_LINKS)
        """The places for links that peers asked for."""
        self._places: dict[Link, Place] = {}
        self._useful: dict[str, None] = {}
        """URLs of peers that gave blocks or transfers that count: they may use the reserve of places."""
        self.probe_at = clock() + _PROBE_SECONDS
        """When a peer that was only told of is called next, on the clock."""
        self._trial_at = clock() + _TRIAL_SECONDS
        self._trial: str | None = None
        """The URL that gets the next place."""
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)

    def start(self) -> None:
        self._forget_old_connections()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Links end after the request that they are in, and are not waited for."""
        self._stopped.set()
        self._wake.set()
        # First: the thread may be in a read of a database that does not answer, and another node may have the turn.
        self._stop_links()
        if self._thread.is_alive():
            self._thread.join()
        self._stop_links()  # those that were started meanwhile; no more are now

    def _stop_links(self) -> None:
        for link in self.links():
            link.stop()

    def links(self) -> list[Link]:
        """All links, also those whose peer has not said hello yet."""
        with self._lock:
            return list(self._links.values())

    def find(self, url: str) -> Link | None:
        with self._lock:
            return self._links.get(url)

    # called from other threads

    def table_changed(self, url: str) -> None:
        """Someone added or removed a peer."""
        is_there = self._peers.find(url) is not None
        with self._lock:
            if is_there:
                self._removed.discard(url)
                self._backoff.forget(url)
            else:
                self._removed.add(url)
                self._learned.pop(url, None)
            link = self._links.get(url)
        if link is not None and not is_there:
            link.stop()
        self._wake.set()

    def joined(self, link: Link, node_id: str) -> None:
        """A link's peer has said hello. Raises Duplicate where the same node is connected by another URL."""
        with self._lock:
            for other in self._links.values():
                # By its address too: a stranger must not keep a node out by taking its node_id.
                if other.node_id == node_id and other.url.port == link.url.port and other.addresses & link.addresses:
                    raise Duplicate(f"that is the node that is connected as {other.url}")
            link.node_id = node_id
        self._wake.set()  # links at crowded addresses may have to end now

    def delivered(self, url: str) -> None:
        """A peer gave blocks or transfers that count."""
        with self._lock:
            self._useful[url] = None
            if len(self._useful) > _MOST_USEFUL:
                del self._useful[next(iter(self._useful))]
            if (link := self._links.get(url)) is not None:
                link.deliveries += 1

    def ended(self, link: Link, problem: PeerError | None) -> None:
        """A link is over: record what the peer did, and when to try it again."""
        lasted = time.monotonic() - link.started > _LASTED_SECONDS
        url = link.url.url
        try:
            if isinstance(problem, Duplicate):
                self._peers.forget_double(url)
            elif problem is not None and not isinstance(problem, LinkCut):
                self._peers.blame(link.url, problem)
            elif not self._stopped.is_set():
                self._peers.rest([url])
        except StoreUnavailable as error:
            log.info("peer %s: %s", url, error.message)
        finally:  # whatever went wrong, the URL must be free for another link
            with self._lock:
                if self._links.get(url) is link:
                    del self._links[url]
                    self._ended.notify_all()
                if (place := self._places.pop(link, None)) is not None:
                    place.release()
                if link.deliveries:
                    self._backoff.forget(url)
                elif lasted:
                    self._backoff.forget_absence(url)
                if (problem is not None or link.is_at_fault) and not self._peers.is_cut(url):
                    is_fault = link.is_at_fault or (problem is not None and problem.penalty > PeerError.penalty)
                    is_refusal = problem is not None and problem.is_lasting
                    self._backoff.failed(url, is_refusal=is_refusal, is_fault=is_fault)
        if isinstance(problem, PeerRefused) and url in self._configured.urls:
            self._configured.refused(url, problem)
        self._wake.set()

    def cut(self, urls: Collection[str], seconds: float) -> bool:
        """Links with these peers were cut: they end now. Whether all have ended within so many seconds."""
        with self._lock:
            ending = [self._links[url] for url in urls if url in self._links]
        for link in ending:
            link.stop()
        with self._ended:
            return self._ended.wait_for(lambda: not any(url in self._links for url in urls), seconds)

    def healed(self, urls: Collection[str]) -> None:
        """Links with these peers are no longer cut: they are tried at once."""
        with self._lock:
            for url in urls:
                self._backoff.forget(url)
        self._wake.set()

    def went_back(self) -> None:
        """The rows are those of a snapshot: every link begins anew, since it remembers what its peer has."""
        in_table = {row.url for row in self._peers.listed()}
        with self._lock:
            self._learned.clear()
            self._removed -= in_table
            self._backoff = Backoff(self._clock)
            links = list(self._links.values())
        for link in links:
            link.stop()
        self._wake.set()

    def learned(self, link: Link, urls: list[str]) -> None:
        """A peer told URLs of others: they are tried when there is room."""
        if self._config.only_peers:
            return
        told = []
        for text in random.sample(urls, min(len(urls), _LEARNED_EACH)):
            with suppress(BadUrl):
                url = parse_peer_url(text)
                if all(may_tell(address, url) for address in link.addresses):
                    told.append(url.url)
        in_table = {row.url for row in self._peers.listed()}
        with self._lock:
            for each in told:
                is_new = each not in in_table and each not in self._links and each not in self._removed
                if is_new and not self._backoff.retry_at(each):
                    self.remember(each)
        self._wake.set()

    def seen(self, url: str, node_id: str) -> None:
        """A node of this coin was found on the local network: it is there now, so it is tried at once."""
        if not self._peers.is_admitted(url):
            return
        is_known = self._peers.find(url) is not None
        with self._lock:
            if url in self._removed or any(link.node_id == node_id for link in self._links.values()):
                return
            if not is_known and url not in self._links:
                self.remember(url)
            self._backoff.forget_absence(url)
        self._wake.set()

    def remember(self, url: str) -> None:
        """Add a URL that was told. A full list drops a random one, so that no peer fills it for good."""
        if url not in self._learned and len(self._learned) >= MAX_LEARNED:
            del self._learned[random.choice(list(self._learned))]  # noqa: S311
        self._learned[url] = None

    # the manager's own thread

    def _run(self) -> None:
        self._wait_until_served()
        # Behind the first answers, and before anybody waits for a call.
        from ..peer import connection  # noqa: F401

        while not self._stopped.is_set():
            self._wake.clear()
            pause = _IDLE_SECONDS
            try:
                pause = self.connect()
            except StoreUnavailable as error:
                log.info("links: %s", error.message)
            except Exception:  # no thread to be had, say; without this thread no peer would be connected again
                log.exception("links: a bug in the node")
                pause = _BUG_SECONDS
            self._wake.wait(max(_LEAST_PAUSE, pause))

    def _wait_until_served(self) -> None:
        """Wait until this node's server answers: peers call back as soon as they are called."""
        ends_at = time.monotonic() + _SERVED_SECONDS
        own = urlsplit(self._config.local_url)
        while not self._stopped.is_set() and time.monotonic() < ends_at:
            try:
                socket.create_connection((own.hostname, own.port), timeout=1).close()
                return
            except OSError:
                self._stopped.wait(_LEAST_PAUSE)

    def _forget_old_connections(self) -> None:
        """Put in reserve what the table still calls connected from the last run; before anyone can ask."""
        with suppress(StoreUnavailable):
            if old := [row.url for row in self._peers.listed() if row.state == CONNECTED]:
                self._peers.rest(old)

    def connect(self) -> float:
        """One round: end links to make room, start those that are due; the seconds until the next is due."""
        rows = self._peers.listed()
        now = self._clock()
        with self._lock:
            self._make_room(now)
            wanted = self._choose(rows)
            due = [each for each in wanted if self._backoff.retry_at(each[0]) <= now]
            probe = self._choose_probe(now)
            later = [self._backoff.retry_at(url) - now for url, _ in wanted if self._backoff.retry_at(url) > now]
            busy = {*self._links, *(url for url, _ in wanted)}
        # Peers that the owner adds count as connected at once; those that find no place are in reserve.
        if idle := [row.url for row in rows if row.state == CONNECTED and row.url not in busy]:
            self._peers.rest(idle)
        for url, direction in due:
            self._begin(url, direction, is_probe=False)
        if probe is not None:
            self._begin(probe, OUTBOUND, is_probe=True)
        if self._learned and self._config.outbound:
            later.append(self.probe_at - now)
        if self._config.outbound:
            later.append(max(0.0, self._trial_at - now))
        return min([_IDLE_SECONDS, *later])

    def _begin(self, url: str, direction: str, *, is_probe: bool) -> None:
        """Start a link; one that can't be started is removed again, and tried later."""
        place = None
        try:
            peer = parse_peer_url(url)
            if direction == INBOUND:  # before the link is made: many find no place, and a link costs a client
                place = self.inbound.take(peer.host, trusted=url in self._useful)
            link = self.make_link(peer, direction, is_probe)
            with self._lock:
                self._learned.pop(url, None)
                if self._trial == url:
                    self._trial = None
                if url in self._removed or url in self._links:  # since it was chosen
                    return
                if place is not None:
                    self._places[link], place = place, None
                self._links[url] = link
            link.start()
        except NoPlace:
            return
        except Exception:
            with self._lock:
                if (failed := self._links.pop(url, None)) is not None and failed in self._places:
                    self._places.pop(failed).release()
                self._backoff.failed(url)
            raise
        finally:
            if place is not None:
                place.release()

    def _choose(self, rows: list[PeerRow]) -> list[tuple[str, str]]:
        """(url, direction) of the peers to connect, due or not: configured ones always, others as there is room."""
        now = int(time.time())
        fit = [row for row in rows if not is_banned(row, now) and not self._peers.is_cut(row.url)]
        # Peers of equal rank come in random order, or all nodes would choose the same ones.
        random.shuffle(fit)
        fit.sort(key=lambda row: rank(row, now))
        configured = [url for url in self._always if url not in self._removed and not self._peers.is_cut(url)]
        if self._config.only_peers:
            return [(url, OUTBOUND) for url in configured if url not in self._links]
        known = [row.url for row in fit if row.direction == OUTBOUND]
        # A peer that was told may have asked for a link since: then its row counts, and not the URL that was told.
        in_table = {row.url for row in rows}
        told = (url for url in self._learned if url not in in_table and not self._peers.is_cut(url))
        others = [*known, *told]
        if self._trial in others:
            others.insert(0, self._trial)
        inbound = [row.url for row in fit if row.direction == INBOUND and row.url not in configured]
        chosen = [url for url in configured if url not in self._links]
        chosen += self._choose_outbound(chosen, [url for url in dict.fromkeys(others) if url not in configured])
        return [*((url, OUTBOUND) for url in chosen), *((url, INBOUND) for url in self._choose_inbound(inbound))]

    @property
    def _always(self) -> list[str]:
        """URLs to be linked with whatever their number: of --peer, and of a closed node those that its owner added."""
        if not self._config.only_peers:
            return self._configured.urls
        return list(dict.fromkeys([*self._configured.urls, *self._peers.added]))

    def _choose_outbound(self, configured: Sequence[str], candidates: Sequence[str]) -> list[str]:
        """Those of the candidates, best first, that fit into the free places (`node.p2p.table.spread`)."""
        links = [link for link in self._links.values() if link.direction == OUTBOUND and not link.is_probe]
        room, clock = self._config.outbound - len(links) - len(configured), self._clock()
        spread = Spread(location_of_any(link.url.host, link.addresses) for link in links)
        for url in configured:
            if self._backoff.retry_at(url) <= clock:
                spread.take(location_of(parse_peer_url(url).host))
        chosen: list[str] = []
        left = [(url, location_of(parse_peer_url(url).host)) for url in candidates if url not in self._links]
        for level in Crowding:
            skipped = []
            for url, location in left:
                crowding = spread.crowding(location)
                if room <= 0 or crowding > level or not spread.allows(crowding):
                    skipped.append((url, location))
                    continue
                chosen.append(url)
                if self._backoff.retry_at(url) <= clock:  # one that isn't due holds no place
                    room -= 1
                    spread.take(location)
            left = skipped
        return chosen

    def _choose_inbound(self, candidates: Sequence[str]) -> list[str]:
        """Those of the candidates, best first, that may be called; `_begin` sees whether there is a place."""
        keys = Counter(limit_key(link.url.host) for link in self._links.values() if link.direction == INBOUND)
        chosen = []
        for url in candidates:
            key = limit_key(parse_peer_url(url).host)
            if url in self._links or (key is not None and keys[key] >= MAX_INBOUND_EACH):
                continue
            chosen.append(url)
            keys[key] += self._backoff.retry_at(url) <= self._clock()
        return chosen

    def _make_room(self, now: float) -> None:
        """End links that share an address or a group while peers elsewhere are connected; and every _TRIAL_SECONDS one
        more, for a peer that was not tried yet."""
        links = [link for link in self._links.values() if link.direction == OUTBOUND and link.node_id is not None]
        locations = {link: location_of_any(link.url.host, link.addresses) for link in links}
        everywhere, spread = Spread(locations.values()), Spread()
        always = self._always
        links.sort(key=lambda link: (link.url.url not in always, -link.deliveries, link.started))
        spare = []
        for link in links:
            crowding = spread.crowding(locations[link])
            if link.url.url in always:
                spread.take(locations[link])
            elif not everywhere.allows(crowding):
                link.stop()
            else:
                spread.take(locations[link])
                spare.append(link)
        if now >= self._trial_at:
            self._trial_at = now + _TRIAL_SECONDS
            new = [url for url in self._learned if url not in self._links and not self._peers.is_cut(url)]
            fresh = [
                url for url in new if everywhere.crowding(location_of(parse_peer_url(url).host)) is Crowding.NOTHING
            ]
            if fresh and spare and len(links) >= self._config.outbound:
                self._trial = random.choice(fresh)  # noqa: S311
                spare[-1].stop()

    def _choose_probe(self, now: float) -> str | None:
        """Every _PROBE_SECONDS a URL that was told, to call once: so the reserve is of nodes that are there."""
        if not self._learned or now < self.probe_at or not self._config.outbound:
            return None
        self.probe_at = now + _PROBE_SECONDS
        held = Spread(location_of(link.url.host) for link in self._links.values())
        new = [url for url in self._learned if url not in self._links and not self._peers.is_cut(url)]
        return min(new, key=lambda url: held.crowding(location_of(parse_peer_url(url).host)), default=None)
