"""The table of peers: added after a hello, asked in parallel, scored, bounded in number.

The rows are in the database (`node.store.peers`); how they change is in `standing`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from sqlalchemy import Connection

from ...config import Config
from ...core.codec import show
from ...store import meta
from ...store import peers as table
from ...store.engine import Store
from ...store.peers import PeerRow
from ...system.threads import in_threads
from ..peer.conditioned import ConditionedLinks
from ..peer.errors import Banned, IsSelf, LinkCut, NotAdmitted, OtherCoin, OtherRules, PeerError, TableFull
from ..peer.peer_client import PeerClient
from ..peer.urls import PeerUrl, canonical_urls, is_same_place, parse_peer_url
from .offenders import Offenders
from .standing import (
    BAN_PENALTY,
    BEST_SCORE,
    CONNECTED,
    INBOUND,
    MAX_PEERS,
    OUTBOUND,
    RESERVE,
    Greeting,
    after,
    credited,
    is_banned,
    rank,
    take_in,
)

MAX_ASKED: Final = 64
"""Peers asked at once, the best first."""

_LOOK_UP_SECONDS: Final = 5.0
"""For looking up the names of two URLs that may lead to one node."""

log = logging.getLogger("moneyer.p2p")


class PeerTable:
    """May be used by several threads.

    `deadline`: total seconds of every request, in place of each call's own (for tests).
    """

    def __init__(self, store: Store, config: Config, *, deadline: float | None = None) -> None:
        """Raises BadConditions for what `DATA/links.json` says, with `--lab`."""
        self.store = store
        self.config = config
        self.links = ConditionedLinks(config.links_file, self._node_ids) if config.lab else None
        """The conditions of the links of a node of an experiment."""
        self._added: dict[str, None] = {}
        """URLs that this node's owner added since its start."""
        self._deadline = deadline
        self._clients: OrderedDict[str, PeerClient] = OrderedDict()
        self._lock = threading.Lock()
        self.offenders = Offenders()
        self.on_change: Callable[[str], None] | None = None
        """Told the URL of a peer that someone added or removed."""
        self.on_delivery: Callable[[str], None] | None = None
        """Told the URL of a peer that gave blocks or transfers that count."""

    @cached_property
    def node_id(self) -> str:
        with self.store.read() as conn:
            return meta.node_id(conn)

    def _node_ids(self) -> dict[str, str]:
        return {row.url: row.node_id for row in self.listed() if row.node_id is not None}

    def is_cut(self, url: str) -> bool:
        """Whether the link with a peer is cut for an experiment."""
        return self.links is not None and self.links.is_cut(url)

    @property
    def added(self) -> tuple[str, ...]:
        """URLs that this node's owner added since its start, each once."""
        return tuple(self._added)

    def is_admitted(self, url: str) -> bool:
        """Whether this node may link with a URL: with `--only-peers` those alone that its owner names."""
        if not self.config.only_peers or url in self._added or url in self._named:
            return True
        ends_at = time.monotonic() + _LOOK_UP_SECONDS
        named = map(parse_peer_url, (*self._named, *self._added))
        return any(is_same_place(each, parse_peer_url(url), ends_at) for each in named)

    @cached_property
    def _named(self) -> frozenset[str]:
        """The URLs of `--peer`."""
        return frozenset(canonical_urls(self.config.peers))

    @cached_property
    def _chain_id(self) -> str:
        return show(self.store.coin.chain_id)

    def add(self, url: str, *, inbound: bool = False) -> PeerRow:
        """Take a peer into the table after a hello. Raises PeerError: bad_url, unreachable, other_coin, self, …

        `inbound`: the peer itself asks (`/p2p/connect`), so it is put in reserve and a ban holds. Where this node's
        owner asks, it counts as connected and its ban is lifted.
        """
        result = self.add_many([url], inbound=inbound)[0]
        if isinstance(result, PeerError):
            raise result
        return result

    def add_many(self, urls: Sequence[str], *, inbound: bool = False) -> list[PeerRow | PeerError]:
        """`add` for each, all asked at once: the rows, or why not, in order. At most MAX_PEERS URLs.

        One node is one peer: another URL of a node that is in the table gives that one's row.
        """
        now = int(time.time())
        banned = {row.url for row in self.listed() if is_banned(row, now)} if inbound else set[str]()
        answers = in_threads(lambda url: self._try(url, banned, is_inbound=inbound), urls[:MAX_PEERS], MAX_ASKED)
        known_as = self._known_as(answers)

        def job(conn: Connection) -> list[PeerRow | PeerError]:
            direction = INBOUND if inbound else OUTBOUND
            return take_in(conn, answers, direction, int(time.time()), is_linked=not inbound, known_as=known_as)

        results = self.store.write(job)
        for result in results:
            if isinstance(result, PeerRow):
                log.info("peer %s joined, height %d", result.url, result.height)
                if not inbound:
                    self._added[result.url] = None
                    self.offenders.forgive(parse_peer_url(result.url).host)
                self._tell(result.url)
        full = TableFull(f"no more than {MAX_PEERS} peers are taken at once")
        return [*results, *(full for _ in urls[MAX_PEERS:])]

    def _known_as(self, answers: Sequence[Greeting | PeerError]) -> dict[str, str]:
        """URL -> the URL by which the same node is in the table, for those of `answers` that are there by another URL.

        The same node_id is not enough, for a node says it of itself: a stranger could keep a node out by taking its
        node_id. So both URLs must lead to one port of one address too.
        """
        urls: dict[str, list[str]] = {}
        for row in self.listed():
            if row.node_id is not None:
                urls.setdefault(row.node_id, []).append(row.url)
        known_as: dict[str, str] = {}
        for answer in answers:
            if isinstance(answer, Greeting):
                url, ends_at = answer.url, time.monotonic() + _LOOK_UP_SECONDS
                known = urls.setdefault(answer.hello.node_id, [])
                twin = next((each for each in known if is_same_place(parse_peer_url(each), url, ends_at)), url.url)
                if twin != url.url and url.url not in known:
                    known_as[url.url] = twin
                else:
                    known.append(url.url)
        return known_as

    def listed(self) -> list[PeerRow]:
        """Every peer, in the order in which they were added."""
        with self.store.read() as conn:
            return table.listed(conn)

    def remove(self, host_port: str) -> bool:
        """Remove a peer by HOST:PORT or URL, in any spelling; whether it was there. Raises BadUrl."""
        url = parse_peer_url(host_port)
        if self._forget(url.url):
            return True
        ends_at = time.monotonic() + _LOOK_UP_SECONDS
        near = next((row.url for row in self.listed() if is_same_place(parse_peer_url(row.url), url, ends_at)), None)
        return near is not None and self._forget(near)

    def _forget(self, url: str) -> bool:
        """Remove a URL and tell `on_change`; whether it was there."""
        self._added.pop(url, None)
        was_there = self.forget_double(url)
        self._tell(url)
        return was_there

    def forget_double(self, url: str) -> bool:
        """Remove a second URL of a connected node, without telling `on_change`; whether it was there."""
        with self._lock:
            client = self._clients.pop(url, None)
        if client is not None:
            client.close()
        return self.store.write(lambda conn: table.remove(conn, url))

    def _tell(self, url: str) -> None:
        if (tell := self.on_change) is not None:  # once: gossip takes it away when the node stops
            tell(url)

    def find(self, url: str) -> PeerRow | None:
        with self.store.read() as conn:
            return table.get(conn, url)

    def welcome(self, greeting: Greeting, direction: str) -> PeerRow:
        """Record a peer that has just said hello as connected. Raises TableFull."""
        result = self.store.write(lambda conn: take_in(conn, [greeting], direction, int(time.time())))[0]
        if isinstance(result, PeerError):
            raise result
        return result

    def note(self, greeting: Greeting) -> None:
        """Record what a known peer says now."""
        self._record({greeting.url.url: greeting})

    def rest(self, urls: Collection[str]) -> None:
        """Put connected peers in reserve: their links ended, and they did nothing wrong."""

        def job(conn: Connection) -> None:
            for row in table.listed(conn):
                if row.url in urls and row.state == CONNECTED:
                    table.save(conn, replace(row, state=RESERVE))

        self.store.write(job)

    def greet_all(self) -> list[Greeting]:
        """Say hello to the MAX_ASKED best peers at once and record the outcomes; the peers that answered well."""
        return [answer for answer in self.ask_all() if isinstance(answer, Greeting)]

    def ask_all(self) -> list[Greeting | PeerError]:
        """`greet_all`, with the errors of the others."""
        now = int(time.time())
        fit = (
            row
            for row in self.listed()
            if not is_banned(row, now) and self.is_admitted(row.url) and not self.is_cut(row.url)
        )
        rows = sorted(fit, key=rank)[:MAX_ASKED]
        answers = in_threads(lambda row: self._try(row.url), rows, MAX_ASKED)
        self._record({row.url: answer for row, answer in zip(rows, answers, strict=True)})
        return answers

    def delivered(self, url: str) -> None:
        """A peer gave blocks or transfers that count: only this gives points back to it."""
        row = self.find(url)
        if row is not None and row.score < BEST_SCORE:
            self.store.write(lambda conn: _credit(conn, url))
        if (tell := self.on_delivery) is not None:
            tell(url)

    def blame(self, url: PeerUrl, error: PeerError) -> None:
        """Take points from a peer for an error, and ban it where none are left. Nobody is to blame for a link that is
        cut."""
        if isinstance(error, LinkCut):
            return
        self._record({url.url: error})

    def client(self, url: PeerUrl) -> PeerClient:
        """The shared client of a peer, kept alive; those used longest ago are closed."""
        with self._lock:
            client = self._clients.pop(url.url, None)
            if client is None:
                client = self.open_client(url)
            self._clients[url.url] = client
            dropped = self._clients.popitem(last=False)[1] if len(self._clients) > 2 * MAX_ASKED else None
        if dropped is not None:
            dropped.close()
        return client

    def open_client(self, url: PeerUrl) -> PeerClient:
        """A client for the caller alone, who closes it."""
        return PeerClient(
            url,
            self._deadline,
            max_block_bytes=self.store.coin.max_block_bytes,
            node_id=self.node_id,
            links=self.links,
        )

    def close(self) -> None:
        """End the connections that are kept to peers."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def greet(self, url: PeerUrl, client: PeerClient | None = None) -> Greeting:
        """Say hello and check that it is a node of this coin and not this node. Raises PeerError; records nothing."""
        client = client or self.client(url)
        started = time.monotonic()
        hello = client.hello()
        latency_ms = round((time.monotonic() - started) * 1000)
        own_rules = self.store.coin.rules
        if hello.rules != own_rules:
            raise OtherRules(
                f"that node judges blocks by rules {hello.rules}, this node by rules {own_rules}: a coin keeps its "
                "rules, so a node of other rules runs another coin and can't be a peer",
                expected=own_rules,
                found=hello.rules,
            )
        if hello.chain_id != self._chain_id:
            coin = self.store.coin
            raise OtherCoin(
                f"that node runs another coin: its coin is {hello.symbol or 'not named'} (chain {hello.chain_id}), "
                f"this node's is {coin.symbol} ({coin.name}, chain {self._chain_id}); only nodes started with the same "
                "coin.toml can be peers",
                expected=self._chain_id,
                found=hello.chain_id,
            )
        if hello.node_id == self.node_id:
            raise IsSelf("that is this node itself; give another node's URL")
        return Greeting(url, client, hello, latency_ms)

    def _try(self, text: str, banned: Collection[str] = (), *, is_inbound: bool = False) -> Greeting | PeerError:
        try:
            url = parse_peer_url(text)
            if is_inbound and not self.is_admitted(url.url):
                raise NotAdmitted
            if url.url in banned:
                raise Banned("this node has banned that peer for a while")
            return self.greet(url)
        except PeerError as error:
            return error

    def _record(self, answers: dict[str, Greeting | PeerError]) -> None:
        now = int(time.time())

        def job(conn: Connection) -> list[PeerRow]:
            # Only rows that are still there: a peer that was removed meanwhile stays removed.
            rows = [after(row, answers[row.url], now) for row in table.listed(conn) if row.url in answers]
            for row in rows:
                table.save(conn, row)
            return rows

        for url, answer in answers.items():
            if isinstance(answer, PeerError):
                level = logging.WARNING if answer.penalty >= BAN_PENALTY else logging.INFO
                if isinstance(answer, IsSelf):  # a peer may well tell this node its own address
                    level = logging.DEBUG
                log.log(level, "peer %s: %s", url, answer.message)
        if answers:
            for row in self.store.write(job):
                if is_banned(row, now):
                    self.offenders.banned(parse_peer_url(row.url).host)


def _credit(conn: Connection, url: str) -> None:
    row = table.get(conn, url)
    # A peer that was blamed during the same download is down by now: it gets no points for what it gave before.
    if row is not None and row.state == CONNECTED:
        table.save(conn, credited(row))
