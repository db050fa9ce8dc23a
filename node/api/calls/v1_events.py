"""What happens on this node, as Server-Sent Events."""

from __future__ import annotations

import logging
from typing import Annotated, Final

from msgspec import Meta, Struct

from ...service import Node
from ...system.shares import EVENT_STREAMS, Place
from ..endpoint import Call, Streamed, Text, endpoint
from ..feed.feed import Behind, Feed

HEARTBEAT: Final = 10.0
"""After so many seconds of silence a comment is sent: a client that has gone is noticed, and proxies keep the line."""
_RETRY: Final = b"retry: 2000\n"
_EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

log = logging.getLogger("moneyer.api")


class EventQuery(Struct):
    last_event_id: Annotated[str, Meta(max_length=100)] | None = None
    """As the header Last-Event-ID, for a client that cannot send one."""


class Stream:
    """One client's events, from `join` on."""

    def __init__(self, feed: Feed, place: Place, last_event_id: str | None) -> None:
        self._feed = feed
        self._place = place
        self._first: bytes | None
        self._position, self._first = feed.join(last_event_id)
        self._open = True

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return _RETRY + (first or b"\n")
        try:
            found = self._feed.after(self._position, HEARTBEAT)
        except Behind:
            log.info("events: a client that was too slow is let go")
            raise StopIteration from None
        if found is None:
            raise StopIteration
        self._position, data = found
        return data or b":\n\n"

    def close(self) -> None:
        if self._open:
            self._open = False
            self._feed.leave()
            self._place.release()


@endpoint(
    "GET",
    "/v1/events",
    "What happens, as it happens: block, reorg, transaction, peer; reset where some of it is not told",
    reply=Text("Server-Sent Events: each with an id, and JSON as its data", _EVENT_STREAM),
    query=EventQuery,
    bound=None,  # its own, for as long as it lasts
)
def events(node: Node, call: Call[EventQuery, None]) -> Streamed:
    last = call.last_event_id if call.last_event_id is not None else call.query.last_event_id
    place = call.parts.flights.places.of(EVENT_STREAMS).take(call.remote)
    try:
        return Streamed(Stream(call.parts.feed, place, last), _EVENT_STREAM)
    except BaseException:
        place.release()
        raise
