"""The peers that this node knows: asked in parallel, believed after a hello, scored, bounded in number."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from sqlalchemy import Connection

from node.config import Config
from node.core.hashing import show
from node.p2p.client import PeerClient
from node.p2p.errors import Banned, IsSelf, OtherCoin, PeerError, PeerRefused, TableFull
from node.p2p.threads import in_threads
from node.p2p.urls import PeerUrl, parse_host_port, parse_peer_url
from node.p2p.wire import Hello
from node.store import meta
from node.store import peers as table
from node.store.engine import Store
from node.store.peers import PeerRow

CONNECTED, DOWN, REFUSED, RESERVE = "connected", "down", "refused", "reserve"
"""States: said hello when last asked; did not, or misbehaved; another coin or worse; never asked."""
OUTBOUND, INBOUND = "outbound", "inbound"
"""Who asked for it first: this node, or the peer by `/p2p/connect`."""

MAX_PEERS: Final = 1000
MAX_ASKED: Final = 64
"""Peers asked at once, the best first; the rest are in reserve."""
BEST_SCORE: Final = 100
_SCORE_BACK: Final = 10
_BAN_PENALTY: Final = 20
"""Errors that cost this much can end in a ban; being away or slow never does, so that a peer is found again."""
BAN_SECONDS: Final = 3600

log = logging.getLogger("moneyer.p2p")


@dataclass(frozen=True, slots=True)
class Greeting:
    """A peer that has just said hello and is one of ours."""

    url: PeerUrl
    client: PeerClient
    hello: Hello
    latency_ms: int


class Peers:
    """`deadline`: total seconds of every request, in place of each call's own (for tests)."""

    def __init__(self, store: Store, config: Config, *, deadline: float | None = None) -> None:
        self.store = store
        self._config = config
        self._deadline = deadline
        self._clients: OrderedDict[str, PeerClient] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def node_id(self) -> str:
        with self.store.read() as conn:
            return meta.node_id(conn)

    @cached_property
    def _chain_id(self) -> str:
        return show(self.store.coin.chain_id)

    def add(self, url: str, *, inbound: bool = False) -> PeerRow:
        """Take a peer in after a hello. Raises PeerError with the reason: bad_url, unreachable, other_coin, self, …

        `inbound`: the peer itself asks (`/p2p/connect`), which lifts no ban. This node's owner does.
        """
        result = self.add_many([url], inbound=inbound)[0]
        if isinstance(result, PeerError):
            raise result
        return result

    def add_many(self, urls: Sequence[str], *, inbound: bool = False) -> list[PeerRow | PeerError]:
        """`add` for each, all asked at once; what came of it, in order. At most MAX_PEERS URLs."""
        now = int(time.time())
        banned = {row.url for row in self.listed() if _is_banned(row, now)} if inbound else set[str]()
        answers = in_threads(lambda url: self._try_new(url, banned), urls[:MAX_PEERS], MAX_ASKED)
        direction = INBOUND if inbound else OUTBOUND
        results = self.store.write(lambda conn: _take_in(conn, answers, direction, int(time.time())))
        for result in results:
            if isinstance(result, PeerRow):
                log.info("peer %s joined, height %d", result.url, result.height)
        full = TableFull(f"no more than {MAX_PEERS} peers are taken at once")
        return [*results, *(full for _ in urls[MAX_PEERS:])]

    def listed(self) -> list[PeerRow]:
        """Every peer, in the order in which they were added."""
        with self.store.read() as conn:
            return table.listed(conn)

    def remove(self, host_port: str) -> bool:
        """Forget a peer by HOST:PORT or URL; whether it was there. Raises BadUrl."""
        url = parse_host_port(host_port).url
        with self._lock:
            client = self._clients.pop(url, None)
        if client is not None:
            client.close()
        return self.store.write(lambda conn: table.remove(conn, url))

    def greet_all(self) -> list[Greeting]:
        """Say hello to the MAX_ASKED best peers at once; those that answered as they should. All of it is recorded."""
        now = int(time.time())
        rows = sorted((row for row in self.listed() if not _is_banned(row, now)), key=_rank)[:MAX_ASKED]
        answers = in_threads(lambda row: self._try(parse_peer_url(row.url)), rows, MAX_ASKED)
        self._record({row.url: answer for row, answer in zip(rows, answers, strict=True)})
        return [answer for answer in answers if isinstance(answer, Greeting)]

    def blame(self, url: PeerUrl, error: PeerError) -> None:
        """Mark a peer down for what it did."""
        self._record({url.url: error})

    def client(self, url: PeerUrl) -> PeerClient:
        """The kept-alive client of a peer; the ones used longest ago are closed."""
        with self._lock:
            client = self._clients.pop(url.url, None)
            if client is None:
                client = PeerClient(url, self._deadline, max_block_bytes=self.store.coin.max_block_bytes)
            self._clients[url.url] = client
            dropped = self._clients.popitem(last=False)[1] if len(self._clients) > 2 * MAX_ASKED else None
        if dropped is not None:
            dropped.close()
        return client

    def close(self) -> None:
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def greet(self, url: PeerUrl) -> Greeting:
        """Say hello and check that it is a node of this coin and not this node. Raises PeerError; records nothing."""
        client = self.client(url)
        started = time.monotonic()
        hello = client.hello()
        latency_ms = round((time.monotonic() - started) * 1000)
        if hello.chain_id != self._chain_id:
            coin = self.store.coin
            raise OtherCoin(
                f"that node runs another coin: its chain is {hello.chain_id}, this node's is {self._chain_id} "
                f"({coin.name}); only nodes started with the same coin.toml can be peers",
                expected=self._chain_id,
                found=hello.chain_id,
            )
        if hello.node_id == self.node_id:
            raise IsSelf("that is this node itself; give another node's URL")
        return Greeting(url, client, hello, latency_ms)

    def _try_new(self, text: str, banned: Collection[str]) -> Greeting | PeerError:
        try:
            url = parse_peer_url(text)
            if url.url in banned:
                raise Banned("this node has banned that peer for a while")
            return self.greet(url)
        except PeerError as error:
            return error

    def _try(self, url: PeerUrl) -> Greeting | PeerError:
        try:
            return self.greet(url)
        except PeerError as error:
            return error

    def _record(self, answers: dict[str, Greeting | PeerError]) -> None:
        now = int(time.time())

        def job(conn: Connection) -> None:
            # Only those that are still there: one that was removed meanwhile stays removed.
            rows = [row for row in table.listed(conn) if row.url in answers]
            for row in rows:
                table.save(conn, _after(row, answers[row.url], now))

        for url, answer in answers.items():
            if isinstance(answer, PeerError):
                log.info("peer %s: %s", url, answer.code)
        if answers:
            self.store.write(job)


def _take_in(
    conn: Connection, answers: Sequence[Greeting | PeerError], direction: str, now: int
) -> list[PeerRow | PeerError]:
    """The rows of new or known peers, saved; or why not."""
    rows = {row.url: row for row in table.listed(conn)}
    results: list[PeerRow | PeerError] = []
    for answer in answers:
        if isinstance(answer, PeerError):
            results.append(answer)
            continue
        url = answer.url.url
        if url not in rows and len(rows) >= MAX_PEERS:
            spare = [row for row in rows.values() if row.state != CONNECTED]
            if not spare:
                results.append(TableFull(f"this node knows {MAX_PEERS} peers that answer, and takes no more"))
                continue
            worst = max(spare, key=_rank).url
            table.remove(conn, worst)
            del rows[worst]
        row = _after(rows.get(url) or _blank(url, direction, now), answer, now)
        table.save(conn, row)
        rows[url] = row
        results.append(row)
    return results


def _blank(url: str, direction: str, added_at: int) -> PeerRow:
    return PeerRow(
        url=url,
        node_id=None,
        state=RESERVE,
        height=0,
        work=0,
        agent="",
        direction=direction,
        added_at=added_at,
        last_seen=None,
        latency_ms=None,
        score=BEST_SCORE,
        banned_until=None,
    )


def _after(row: PeerRow, answer: Greeting | PeerError, now: int) -> PeerRow:
    """The row once the peer has answered, or failed."""
    if isinstance(answer, Greeting):
        hello = answer.hello
        return replace(
            row,
            node_id=hello.node_id,
            state=CONNECTED,
            height=hello.height,
            work=hello.claimed_work,
            agent=hello.agent,
            last_seen=now,
            latency_ms=answer.latency_ms,
            score=min(BEST_SCORE, row.score + _SCORE_BACK),
            banned_until=None,
        )
    state = REFUSED if isinstance(answer, PeerRefused) else DOWN
    score = row.score - answer.penalty
    if score > 0:
        return replace(row, state=state, score=score)
    if answer.penalty < _BAN_PENALTY:
        return replace(row, state=state, score=1)
    return replace(row, state=state, score=BEST_SCORE // 2, banned_until=now + BAN_SECONDS)


def _is_banned(row: PeerRow, now: int) -> bool:
    return row.banned_until is not None and row.banned_until > now


def _rank(row: PeerRow) -> tuple[bool, int, int]:
    """Best first: those that answered last time, then by score, then by when they were seen."""
    return (row.state != CONNECTED, -row.score, -(row.last_seen or 0))
