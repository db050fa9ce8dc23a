"""Makes the requests of a node with `--lab` go as the conditions of their links say: cut, late, lost, slow.

Theory of operation. `Transport` asks here for each exchange: `begin` counts it as under way, `Exchange.send` waits as
long as the request would travel, `receive` as long as its answer, and `end` counts it out. A cut breaks what is under
way: it shuts the sockets and ends the waits. Requests that come in are counted by the caller's node_id, and refused
while the link with that node is cut, so that it does not matter which of the two ends is told of a cut first.

A message (a request or an answer, whatever its size) travels `latency_ms`, behind those before it on the same link and
in the same direction, `rate` bytes a second. One that is lost is sent again after RETRANSMIT_SECONDS, then after twice
as long, as TCP does it; after MOST_LOST in a row the request fails. No wait goes on beyond the request's deadline.

Weak: it shapes the messages of HTTP, not packets: connecting takes no time, a large message is lost as a whole or not
at all, and the requests of the two ends share no rate. A peer whose node_id is not known yet can't be told from others:
until it is, a node with such a link cut refuses all nodes that it does not know.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .errors import LinkCut, PeerTimeout, PeerUnreachable
from .link_conditions import PLAIN, LinkConditions, read_conditions, write_conditions

RETRANSMIT_SECONDS: Final = 0.2
"""Until a lost message is sent again: TCP's least time-out in Linux (TCP_RTO_MIN), doubled with each further loss."""
MOST_LOST: Final = 6
"""As often a message may be lost in a row before its request fails: twelve seconds have gone by then."""
HEAD_BYTES: Final = 200
"""Of a request or an answer beside its body, about: what its first line and its headers take."""


@dataclass(slots=True)
class _Link:
    """What is under way on one link."""

    free_at: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """When the last byte of what was sent has left, for requests and for answers (monotonic clock)."""
    under_way: set[Exchange] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Changed:
    """URLs of the links that a change of conditions has cut, and of those that it has healed."""

    cut: frozenset[str]
    healed: frozenset[str]


class ConditionedLinks:
    """The conditions of one node's links, and the exchanges that are under way on them. May be used by any thread.

    `node_ids`: gives the node_id of each URL, as far as the table of peers has it.
    """

    def __init__(self, path: Path, node_ids: Callable[[], Mapping[str, str]]) -> None:
        """Reads the file. Raises BadConditions."""
        self._path = path
        self._node_ids = node_ids
        self._replacing = threading.Lock()
        self._changed = threading.Condition()
        """Guards what follows; notified when an exchange ends."""
        self._conditions: Mapping[str, LinkConditions] = read_conditions(path)
        self._links: dict[str, _Link] = {}
        self._incoming: Counter[str] = Counter()
        """Requests that are worked on, by the node_id of their sender."""
        self._cut_ids: frozenset[str] = frozenset()
        self._known_ids: frozenset[str] | None = None
        """Nodes whose requests are taken; None: those of all that are not cut."""
        self._note(node_ids())

    @property
    def conditions(self) -> Mapping[str, LinkConditions]:
        """By URL, of the links that are not like any other."""
        return self._conditions

    def is_cut(self, url: str) -> bool:
        return self._conditions.get(url, PLAIN).is_cut

    def is_busy(self, url: str) -> bool:
        """Whether an exchange is under way on a link."""
        link = self._links.get(url)
        return link is not None and bool(link.under_way)

    def replace(self, conditions: Mapping[str, LinkConditions]) -> Changed:
        """Have these conditions in place of all others, kept in the file first; what is under way on a cut link breaks.

        Raises OSError or StoreUnavailable, and then nothing has changed.
        """
        with self._replacing:
            ids = self._node_ids()
            write_conditions(self._path, conditions)
            with self._changed:
                before, self._conditions = self._conditions, dict(conditions)
                self._note(ids)
                now_cut = {url for url, each in conditions.items() if each.is_cut}
                broken = [each for url in now_cut & self._links.keys() for each in self._links[url].under_way]
            for each in broken:
                each.break_off()
        was_cut = {url for url, each in before.items() if each.is_cut}
        return Changed(cut=frozenset(now_cut), healed=frozenset(was_cut - now_cut))

    def wait_until_quiet(self, seconds: float) -> bool:
        """Wait until nothing is under way on cut links, in either direction; whether that is so within `seconds`."""

        def is_quiet() -> bool:
            is_out = any(link.under_way for url, link in self._links.items() if self.is_cut(url))
            return not is_out and not any(self._refuses(node_id) for node_id in self._incoming)

        with self._changed:
            return self._changed.wait_for(is_quiet, seconds)

    def _note(self, ids: Mapping[str, str]) -> None:
        """Note who is at the other end of the cut links, as far as the table says. The caller holds the lock."""
        cut = {url for url, each in self._conditions.items() if each.is_cut}
        self._cut_ids = frozenset(ids[url] for url in cut if url in ids)
        is_unsure = any(url not in ids for url in cut)
        self._known_ids = frozenset(ids.values()) - self._cut_ids if is_unsure else None

    def _refuses(self, node_id: str) -> bool:
        return node_id in self._cut_ids or (self._known_ids is not None and node_id not in self._known_ids)

    @contextmanager
    def incoming(self, node_id: str) -> Iterator[None]:
        """While a request of that node is worked on. Raises LinkCut, StoreUnavailable."""
        known = self._known_ids
        # The table may know more by now. It is not read under the lock.
        ids = self._node_ids() if known is not None and node_id not in known else None
        with self._changed:
            if ids is not None:
                self._note(ids)
            if self._refuses(node_id):
                raise LinkCut
            self._incoming[node_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._incoming[node_id] -= 1
                if not self._incoming[node_id]:
                    del self._incoming[node_id]
                self._changed.notify_all()

    def begin(self, url: str, break_sockets: Callable[[], None]) -> Exchange:
        """An exchange with a peer begins; it must `end`. `break_sockets` is called by a cut. Raises LinkCut."""
        with self._changed:
            conditions = self._conditions.get(url, PLAIN)
            if conditions.is_cut:
                raise LinkCut
            exchange = Exchange(self, url, conditions, break_sockets)
            self._links.setdefault(url, _Link()).under_way.add(exchange)
            return exchange

    def end(self, exchange: Exchange) -> None:
        with self._changed:
            link = self._links[exchange.url]
            link.under_way.discard(exchange)
            now = time.monotonic()
            if not link.under_way and max(link.free_at) <= now:
                del self._links[exchange.url]
            self._changed.notify_all()

    def queue(self, url: str, direction: int, seconds: float) -> float:
        """Put a message that takes so long on the line behind those before it; seconds until its last byte has left."""
        with self._changed:
            free_at, now = self._links[url].free_at, time.monotonic()
            free_at[direction] = max(now, free_at[direction]) + seconds
            return free_at[direction] - now

    def take_back(self, url: str, direction: int, seconds: float) -> None:
        """That much of a message on the line is not sent any more."""
        with self._changed:
            self._links[url].free_at[direction] -= seconds


class Exchange:
    """One request to a peer and its answer, for the thread that makes it."""

    def __init__(
        self, links: ConditionedLinks, url: str, conditions: LinkConditions, break_sockets: Callable[[], None]
    ) -> None:
        self.url = url
        self._links = links
        self._conditions = conditions
        self._break_sockets = break_sockets
        self._broken = threading.Event()

    @property
    def is_cut(self) -> bool:
        """Whether the link was cut under it."""
        return self._broken.is_set()

    def break_off(self) -> None:
        """The link is cut: called by the thread that cuts it."""
        self._broken.set()
        self._break_sockets()

    def send(self, size: int, left: float) -> None:
        """Wait as long as the request of so many bytes travels. `left`: seconds until its deadline.

        Raises LinkCut, PeerTimeout, PeerUnreachable (it was lost again and again).
        """
        self._travel(0, size, left)

    def receive(self, size: int, left: float) -> None:
        """The same of the answer."""
        self._travel(1, size, left)

    def end(self) -> None:
        """It is over, well or not."""
        self._links.end(self)

    def _travel(self, direction: int, size: int, left: float) -> None:
        conditions = self._conditions
        if conditions.is_plain:
            return
        lost = _times_lost(conditions.loss)
        seconds = conditions.latency_ms / 1000 + RETRANSMIT_SECONDS * (2 ** min(lost, MOST_LOST) - 1)
        on_line = 0.0
        if conditions.rate is not None:
            on_line = (HEAD_BYTES + size) / conditions.rate
            seconds += self._links.queue(self.url, direction, on_line)
        if self._broken.wait(min(seconds, left)):
            raise LinkCut
        if seconds > left:
            self._links.take_back(self.url, direction, min(on_line, seconds - left))
            raise PeerTimeout("the peer did not answer in time: the link's conditions are slower than that")
        if lost >= MOST_LOST:
            raise PeerUnreachable(f"the link lost a message {MOST_LOST} times in a row")


def _times_lost(share: float) -> int:
    """How often in a row a message is lost, MOST_LOST at most."""
    lost = 0
    while lost < MOST_LOST and random.random() < share:  # noqa: S311
        lost += 1
    return lost
