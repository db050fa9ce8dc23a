"""The feed of events: one thread that waits for commits, and a ring of the latest events that all clients read."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from secrets import token_hex
from time import monotonic
from typing import Final

from sqlalchemy import Connection

from ...chain.tip_follower import TipFollower, TipMove
from ...service import Node
from ...store.errors import StoreUnavailable
from ..http.errors import NotNow
from ..shapes.fields import encode
from .changes import RESET, Event, Pool, Table, move_events, reset

MAX_EVENTS: Final = 4_096
MAX_BYTES: Final = 4_000_000
"""What the ring holds at most."""
LINGER: Final = 120.0
"""Seconds for which events are still gathered when the last client has gone: it may come back for them."""
_PART: Final = 65_536
"""Bytes that a client is given at once, about."""
_LOOK: Final = 5.0
_PAUSE: Final = 0.02
_IDLE_PAUSE: Final = 0.25
"""Between two looks: commits that come faster are looked at together."""
WENT_BACK: Final = "the node went back to a snapshot"
_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})", re.ASCII)

log = logging.getLogger("moneyer.api")


class Behind(Exception):
    """The client was so slow that events it has not had are gone."""


class Feed:
    """The events of one node. `ring`: how many are kept."""

    def __init__(self, node: Node, ring: int = MAX_EVENTS) -> None:
        self._store = node.store
        self._coin = node.coin
        self._boot = token_hex(4)  # numbers begin anew with each process
        self._step = threading.Lock()  # guards what was last seen: _follower and _followers
        self._follower = TipFollower(node.store)
        self._followers: tuple[Pool, Table] | None = None
        self._stumbled = False
        self._trouble = ""
        """What was said to the log of the looks that fail now."""
        self._news = threading.Condition()  # guards what follows
        self._ring: deque[bytes] = deque()
        self._most = ring
        self._bytes = 0
        self._last = 0
        self._clients = 0
        self._idle_since = monotonic()
        self._closed = False
        self._listeners: list[Callable[[TipMove], None]] = []
        self.dropped = 0
        """Clients let go because they were too slow."""

    @property
    def clients(self) -> int:
        return self._clients

    def on_move(self, listener: Callable[[TipMove], None]) -> None:
        """Have every move of the tip told, in the feed's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def close(self) -> None:
        """End every stream."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._store.wake()

    def join(self, last_event_id: str | None) -> tuple[int, bytes]:
        """Adds a client: the position that it begins at, and what it is sent first. It must `leave`.

        Raises NotNow (the node is stopping), StoreUnavailable.
        """
        with self._news:
            if self._closed:
                raise NotNow("the node is stopping")
            self._clients += 1
        try:
            with self._step:
                if self._followers is None:
                    self._begin()
                try:
                    self._look()  # a new client starts from the current state; the past is not sent as events
                except BaseException:
                    self._stumbled = True  # some of it may have been read and not told
                    raise
                return self._position(last_event_id)
        except BaseException:
            self.leave()
            raise

    def went_back(self) -> None:
        """The rows are those of a snapshot: clients are told to read again, whether or not the tip is another one."""
        with self._step:
            self._look(WENT_BACK)

    def leave(self) -> None:
        with self._news:
            self._clients -= 1
            self._idle_since = monotonic()

    def after(self, position: int, seconds: float) -> tuple[int, bytes] | None:
        """Events behind `position`, waiting up to `seconds` for one: the new position, and the bytes (none: empty).

        None when the feed is closed. Raises Behind.
        """
        with self._news:
            self._news.wait_for(lambda: self._closed or self._last > position, seconds)
            if self._closed:
                return None
            skip = position - (self._last - len(self._ring))
            if skip < 0:
                self.dropped += 1
                raise Behind
            parts, size = [], 0
            for data in islice(self._ring, skip, None):
                parts.append(data)
                size += len(data)
                if size >= _PART:
                    break
            return position + len(parts), b"".join(parts)

    def _position(self, last_event_id: str | None) -> tuple[int, bytes]:
        with self._news:
            first, last = self._last - len(self._ring), self._last
            if last_event_id is None:
                return last, b"id: %s\n\n" % self._id(last)
            match = _ID.fullmatch(last_event_id)
            if match and match[1] == self._boot and first <= int(match[2]) <= last:
                return int(match[2]), b""
        event = reset(self._follower.tip, "the events behind that Last-Event-ID are not kept any more")
        return last, self._render(last, (RESET, event))

    def _id(self, number: int) -> bytes:
        return f"{self._boot}-{number}".encode()

    def _render(self, number: int, event: Event) -> bytes:
        kind, content = event
        # JSON has no line break in it, whatever stands in a memo: nothing can pose as another event.
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (self._id(number), kind.encode(), encode(content))

    def _begin(self) -> None:
        """The first client listens: from here on mempool and peers are followed too."""
        with self._store.read() as conn:
            followers = Pool(conn, self._coin), Table(conn)
        with self._news:
            self._last += 1  # no client's last event: one from before this cannot be answered with what came since
        self._followers = followers

    def _rest(self) -> None:
        """Follow the tip alone again, where no client has listened for a while."""
        with self._news:
            if self._clients or monotonic() - self._idle_since < LINGER:
                return
            self._ring.clear()
            self._bytes = 0
            self._followers = None

    def _run(self) -> None:
        pause = threading.Event()
        while not self._closed:
            try:
                is_new = self._follower.wait(_LOOK)
                with self._step:
                    if is_new or self._stumbled:
                        self._look()
                    if self._followers:
                        self._rest()
            except StoreUnavailable as error:
                self._stumble(error.message, pause)
            except Exception as error:  # any bug: clients must hear of it, and the next look may go well
                log.error("events: a mistake of the node", exc_info=error)
                self._stumble(type(error).__name__, pause)
            pause.wait(_PAUSE if self._followers else _IDLE_PAUSE)

    def _stumble(self, why: str, pause: threading.Event) -> None:
        if why != self._trouble:  # said once, not at every look: a server may be away for hours
            self._trouble = why
            log.warning("events: %s; looking again", why)
        self._stumbled = True
        pause.wait(_LOOK)

    def _look(self, reason: str | None = None) -> None:
        """Tell what is new. `reason`: why clients are to read again what they keep."""
        with self._follower.look() as (conn, move):
            if self._stumbled:
                reason = reason or "the database could not be read for a while"
            if move is not None and move.is_restored:
                reason = WENT_BACK
            news: list[Event] = []
            if reason is None:
                news += self._events(conn, move)
            elif self._followers is not None:
                self._followers = Pool(conn, self._coin), Table(conn)
                tip = move.new if move is not None else self._follower.tip
                news.append((RESET, reset(tip, reason)))
        self._stumbled = False
        if self._trouble:
            self._trouble = ""
            log.info("events: all well again")
        if move is not None:
            for listener in self._listeners:
                listener(move)
        if news:
            self._publish(news)

    def _events(self, conn: Connection, move: TipMove | None) -> Iterator[Event]:
        if self._followers is None:
            return
        if move is not None:
            yield from move_events(conn, self._coin, move)
        for follower in self._followers:
            yield from follower.events(conn)

    def _publish(self, news: list[Event]) -> None:
        with self._news:
            for event in news:
                self._last += 1
                data = self._render(self._last, event)
                self._ring.append(data)
                self._bytes += len(data)
            while len(self._ring) > self._most or self._bytes > MAX_BYTES:
                self._bytes -= len(self._ring.popleft())
            self._news.notify_all()
