"""Requests under way: how many, what each waits for, and an end for those that wait for their client too long.

The server has no time limit on a body, nor on a client that reads nothing, and such a request holds a thread. It
closes by itself what sends no whole head within five seconds, so a connection that lives longer has a request on it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum
from time import monotonic, sleep
from typing import Final

from prometheus_client import Histogram

from ...system.shares import (
    LARGE_ANSWERS,
    LARGE_BODIES,
    REFUSALS,
    REQUESTS,
    SHORT_READS,
    SMALL_BODIES,
    WRITES,
    NoPlace,
    Place,
    Shares,
)
from .connections import (
    can_see,
    closing_all,
    connections_of,
    has_unsent,
    is_at_rest,
    plain_address,
    received,
    shut_all,
    taken,
)
from .doorkeeper import Places
from .errors import CallerGone, Incomplete, NotNow, TooSlow
from .guard import JSON_LIMIT
from .large import LARGE_SECONDS, Chunks, Large

DEADLINE: Final = 20.0
"""Seconds for a whole body, and for a client to take what it was sent."""
LEAST_RATE: Final = 1_000
"""Bytes a second that a body has to come at, once it has taken `GRACE`."""
GRACE: Final = 5.0
_RATE_SECONDS: Final = 3.0
"""For so long a connection is watched before its body is called too slow."""
SMALL_BODY: Final = JSON_LIMIT
"""A body that says that it is no longer than this waits for no larger one."""
REFUSAL_SECONDS: Final = 1.0
"""A request that found no place is told so once it is as old as this. Told at once, callers that ask again at once are
refused thousands of times a second, and nobody else gets the interpreter."""
_WAITED: Final = 0.25
"""A caller that waited longer for its place than this may have gone meanwhile."""
_REST: Final = 6.0
"""A connection may have been at rest for this long (the server's five seconds) before its request came."""
FEW: Final = 16
"""Requests under way that need no turns: to wait for one, and to be woken, takes as long as a short answer."""
_LOOK: Final = 1.0
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
"""Bounds of the buckets in which the times of answers are counted."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})

log = logging.getLogger("moneyer.api")


class Phase(Enum):
    """What a request waits for."""

    NODE = "node"
    """The node itself."""
    BODY = "body"
    """Its client, which is to send the rest."""
    CLIENT = "client"
    """Its client, which is to take what a stream has for it."""
    REFUSED = "refused"
    """The time to be told that it found no place."""


class Flight:
    """One request. `since`: when its phase began. `remote`: who made it; `hop`: at the other end of its connection."""

    __slots__ = ("_turn", "began", "hop", "is_cut", "large", "large_place", "phase", "remote", "since", "trusted")

    def __init__(self, remote: str, hop: str | None = None) -> None:
        self.remote = remote
        self.hop = remote if hop is None else hop
        self.trusted = False
        """Whether it may use reserves: a peer in good standing, or a look at the node's health."""
        self.large_place: Place | None = None
        self._turn: Place | None = None
        self.phase = Phase.NODE
        self.began = self.since = monotonic()
        self.is_cut = False
        self.large: Large | None = None

    def enter(self, phase: Phase) -> None:
        # Old phase, new time: a moment in which nothing can seem overdue.
        self.since = monotonic()
        self.phase = phase

    def begin_turn(self, requests: Shares) -> None:
        """Wait for a place among the requests that are computed now. Raises NoPlace."""
        self._turn = requests.take(self.remote)

    def end_turn(self) -> None:
        """Give that place back: the request is answered, or waits for something else."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()


_CHEAP: Final = (SHORT_READS.name, WRITES.name)


class Flights:
    """The requests under way of one node.

    `port`: that it listens on; `of_server`: as of `Places`; the others are seconds, shorter in tests.
    """

    def __init__(
        self,
        port: int,
        deadline: float = DEADLINE,
        large_seconds: float = LARGE_SECONDS,
        grace: float = GRACE,
        *,
        of_server: bool = False,
    ) -> None:
        self.places = Places(of_server=of_server)
        self.requests = self.places.of(REQUESTS)
        self._refusals = self.places.of(REFUSALS)
        self._small = self.places.of(SMALL_BODIES)
        self._others = self.places.of(LARGE_BODIES)
        self._port = port
        self._grace = grace
        self._seen: dict[int, tuple[float, int]] = {}
        """Of connections that a body may come on: when they were looked at first, and what had come by then."""
        self._deadline = deadline
        self._large_seconds = large_seconds
        self._pause = min(_LOOK, deadline / 4)
        self._rest = min(_REST, deadline / 3)
        self._flights: set[Flight] = set()
        self._changed = threading.Condition()
        self._scan_at: float | None = None
        self._wanted = False
        self._thread: threading.Thread | None = None
        self._looking = threading.Lock()
        """Held during a look for a caller: one at a time."""
        self.seconds = Histogram(
            "moneyer_request_seconds",
            "Time to answer, by endpoint (as /openapi.json names it) and class of status; streams are not in it.",
            ("method", "endpoint", "status"),
            buckets=_SECONDS,
            registry=None,
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}
        """Its parts by their labels: to look one up by `labels` takes longer."""
        self.cut = 0
        """Connections that were ended for their client's slowness."""
        self.abandoned = 0
        """Requests that were not worked on, for their callers had gone."""

    def begin(self, remote: str, hop: str | None = None) -> Flight:
        """A request from the IP address `remote` has come, on a connection with `hop`: a proxy's, or the same."""
        flight = Flight(remote, hop)
        self._flights.add(flight)
        return flight

    def begin_turn(self, flight: Flight) -> None:
        """`Flight.begin_turn`, where more than `FEW` are under way. Raises NoPlace."""
        if len(self._flights) > FEW:
            flight.begin_turn(self.requests)

    def end(self, flight: Flight) -> None:
        """Its answer is with the server; its places are free."""
        flight.end_turn()
        self._flights.discard(flight)
        if flight.large_place is not None:
            flight.large_place.release()

    def answered(self, flight: Flight, method: str, endpoint: str, status: int) -> float:
        """Count a request whose answer stands; the seconds that this took. `endpoint`: its path, empty where none is.

        What a refusal was held back for is not counted.
        """
        seconds = (flight.since if flight.phase is Phase.REFUSED else monotonic()) - flight.began
        # A caller's own words never become labels: there is no end to them.
        key = (method if method in _METHODS else "other", endpoint or "none", status // 100)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self.seconds.labels(*key[:2], f"{key[2]}xx")
        child.observe(seconds)
        return seconds

    @property
    def count(self) -> int:
        """Requests under way, streams too."""
        return len(self._flights)

    @property
    def bodies(self) -> int:
        """Bodies that are being read."""
        return self._small.count + self._others.count

    @contextmanager
    def reading(self, flight: Flight, declared: int | None = None) -> Iterator[None]:
        """While a body is read. Raises NoPlace where too many are, TooSlow where this one was given up.

        `declared`: its length, where it is known, so that `Incomplete` tells one that was cut off from a whole one.
        """
        shares = self._others if declared is None or declared > SMALL_BODY else self._small
        flight.end_turn()
        place = shares.take(flight.remote, trusted=flight.trusted)
        may_be_short = declared is None
        try:
            flight.enter(Phase.BODY)
            self.watch()
            yield
        except Incomplete:
            may_be_short = True
            raise
        finally:
            flight.enter(Phase.NODE)
            place.release()
            if flight.is_cut and may_be_short:  # whatever came of it: it may look like a whole one
                raise TooSlow(
                    f"the body did not come in time: send it whole within {self._deadline:.0f} seconds, at "
                    f"{LEAST_RATE} bytes a second or more",
                    expected=f"at most {self._deadline:.0f} s",
                ) from None

    def work(self, flight: Flight, shares: Shares) -> Place:
        """The place in which the node works on a request, to be released with it. Raises NoPlace, CallerGone."""
        flight.end_turn()
        asked = monotonic()
        place = shares.take(flight.remote, trusted=flight.trusted)
        # The call of a few rows costs less than a look at who made it.
        if shares.bound.name not in _CHEAP and monotonic() - asked > _WAITED:
            try:
                self.check_caller(flight)
            except CallerGone:
                place.release()
                raise
        return place

    def hold_back(self, flight: Flight) -> None:
        """Sleep until a request that is refused a place is `REFUSAL_SECONDS` old.

        It holds a thread meanwhile, also where its client has gone; `_refusals` bounds how many do.
        """
        flight.end_turn()
        flight.enter(Phase.REFUSED)
        left = flight.began + REFUSAL_SECONDS - monotonic()
        if left > 0:
            with suppress(NoPlace), self._refusals.hold(flight.remote):
                sleep(left)

    def check_caller(self, flight: Flight) -> None:
        """Raises CallerGone where nobody waits for the answer any more, as far as that can be known.

        The server closes a connection as soon as its client has, but does not say which. Nothing is sent on a
        connection while its answer is awaited, so one on which something was sent since this request came is not this
        request's; where that holds for every connection of the address, the caller is gone. A look goes over all that
        is open here, so there is one at a time: a caller that comes meanwhile is taken to be there.
        """
        if not can_see() or not self._looking.acquire(blocking=False):
            return
        try:
            age = monotonic() - flight.since
            with closing(connections_of(self._port, plain_address(flight.hop))) as connections:
                for each in connections:
                    with closing(each):
                        if is_at_rest(each, age - _WAITED):
                            return
        finally:
            self._looking.release()
        self.abandoned += 1
        raise CallerGone("the caller has gone")

    def expect_large(self, flight: Flight) -> None:
        """Take the place of a large answer before it is put together. Raises NoPlace."""
        if flight.large_place is None:
            flight.large_place = self.places.of(LARGE_ANSWERS).take(flight.remote, trusted=flight.trusted)

    def in_pieces(self, flight: Flight, content: bytes) -> Large:
        """A large answer, to be sent by an `Outgoing`. Raises NoPlace where it is one too many."""
        self.expect_large(flight)
        large = flight.large = Large(content, self._large_seconds)
        self.watch()
        return large

    def sent(self) -> None:
        """Have the watcher look, in time, whether the client takes what was handed over to the server for it."""
        if self._scan_at is None:
            self._scan_at = monotonic() + self._deadline
        with suppress(NotNow):  # the next one tries again
            self.watch()

    def watch(self) -> None:
        """Watch clients until no request waits for one. Raises NotNow where no thread can be had."""
        if self._wanted and self._is_watched():
            return
        with self._changed:
            self._wanted = True
            if not self._is_watched():
                thread = threading.Thread(target=self._run, name="slow-clients", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    raise NotNow("the node is short of threads: try again") from None
                self._thread = thread
            self._changed.notify()

    def _is_watched(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._changed:
                while not self._wanted:
                    self._changed.wait()
            # Nearly all are over at once: one look for many of them.
            pause.wait(self._pause)
            try:
                self._look()
            except Exception:
                log.error("a look for slow clients failed; there will be another", exc_info=True)
                self._wanted = True
                pause.wait(_LOOK)

    def _look(self) -> None:
        self._wanted = False  # before the look: a request that comes after it sets it again
        due = min(self._due(), default=None)
        if due is None:
            return
        self._wanted = True
        if due <= monotonic():
            self._cut_slow()
            self._cut_overdue()
            self._cut_late()
            self._cut_deaf()

    def _due(self) -> Iterator[float]:
        for flight in self._reading():
            yield flight.since + min(self._grace, self._deadline)
        for _, large in self._sending():
            yield large.look_at
        if self._scan_at is not None:
            yield self._scan_at

    def _reading(self) -> list[Flight]:
        return [flight for flight in list(self._flights) if flight.phase is Phase.BODY]

    def _sending(self) -> list[tuple[str, Large]]:
        return [(flight.hop, flight.large) for flight in list(self._flights) if flight.large is not None]

    def _cut_slow(self) -> None:
        """End bodies that come at less than `LEAST_RATE`."""
        now = monotonic()
        before, self._seen = self._seen, {}
        for hop in {flight.hop for flight in self._reading() if flight.since <= now - self._grace}:
            old = [flight for flight in list(self._flights) if flight.hop == hop]
            old = [flight for flight in old if flight.since <= now - self._grace + self._rest]
            # Where the node itself lets some connection wait, one that nothing comes on may be that one.
            is_sure = not any(flight.phase is Phase.NODE for flight in old)
            with closing_all(connections_of(self._port, plain_address(hop))) as connections:
                slow = []
                for each in connections:
                    if not is_at_rest(each, self._grace):
                        continue
                    inode, count = received(each)
                    since, had = before.get(inode, (now, count))
                    if now - since < _RATE_SECONDS:
                        self._seen[inode] = since, had
                    elif count - had < LEAST_RATE * (now - since) and (is_sure or count > had):
                        slow.append(each)
                for flight in old if slow else ():
                    flight.is_cut = flight.is_cut or flight.phase is Phase.BODY
                self._note(shut_all(slow, socket.SHUT_RD), hop)

    def _cut_overdue(self) -> None:
        """End bodies that are late."""
        limit = monotonic() - self._deadline
        for hop in {flight.hop for flight in self._reading() if flight.since <= limit}:
            from_it = [flight for flight in list(self._flights) if flight.hop == hop]
            flights = [flight for flight in from_it if flight.since <= limit + self._rest]
            # The kernel does not know which connection is which request's: work of ours that lasts comes first.
            if any(flight.phase is Phase.NODE for flight in flights):
                continue
            for flight in flights:
                flight.is_cut = flight.phase is Phase.BODY
            with closing_all(connections_of(self._port, plain_address(hop))) as connections:
                late = [each for each in connections if is_at_rest(each, self._deadline)]
                # Only this side is closed: a client that sends slowly is still told so.
                self._note(shut_all(late, socket.SHUT_RD), hop)

    def _cut_late(self) -> None:
        """End connections whose client takes a large answer too slowly."""
        ended: set[int] = set()
        for hop, large in self._sending():
            if large.look_at > monotonic():
                continue
            before, large.taken = large.taken or {}, {}
            large.look_at = monotonic() + self._large_seconds
            with closing_all(connections_of(self._port, plain_address(hop))) as connections:
                late = []
                for each in connections:
                    inode, count = taken(each)
                    large.taken[inode] = count
                    if inode in ended or inode not in before or not has_unsent(each):
                        continue
                    # Which of its client's connections it goes out on isn't known; on that one less was taken since.
                    if count - before[inode] < large.size:
                        late.append(each)
                        ended.add(inode)
                self._note(shut_all(late, socket.SHUT_RDWR), f"{hop}, which takes a large answer too slowly")

    def _cut_deaf(self) -> None:
        """End connections whose client takes nothing of what is there for it."""
        if self._scan_at is None or self._scan_at > monotonic():
            return
        self._scan_at = None  # before the look: a stream that sends after it sets it again
        with closing_all(connections_of(self._port)) as connections:
            waiting = [each for each in connections if has_unsent(each)]
            deaf = [each for each in waiting if is_at_rest(each, self._deadline)]
            self._note(shut_all(deaf, socket.SHUT_RDWR), "clients that read nothing")
        if len(deaf) < len(waiting):
            self._scan_at = monotonic() + self._deadline / 4

    def _note(self, cut: int, whose: str) -> None:
        if cut:
            self.cut += cut
            log.info("connections ended, too slow: %d of %s", cut, whose)


class Outgoing:
    """A stream on its way to its client, as the server iterates over it; it holds one of the server's threads."""

    def __init__(self, chunks: Chunks, flights: Flights, flight: Flight) -> None:
        self._chunks = chunks
        self._flights = flights
        self._flight = flight

    def __iter__(self) -> Outgoing:
        return self

    def __next__(self) -> bytes:
        self._flight.enter(Phase.NODE)
        chunk = next(self._chunks)
        # Until it is asked for the next one, the server hands this one over.
        self._flight.enter(Phase.CLIENT)
        self._flights.sent()
        return chunk

    def close(self) -> None:
        self._flights.end(self._flight)
        self._chunks.close()
