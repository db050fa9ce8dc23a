"""One stream of events: a connection to `/v1/events`, parsed as the standard says.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import NoAnswer
from .transport import DEADLINE, shut

if TYPE_CHECKING:
    from .transport import Transport

MAX_LINE = 262_144
"""Bytes of a line, and of all lines of an event; the longest that a node sends, a transfer with its memo, has some
2,000."""
MAX_LINES = 1_000
"""Of one event, comments too; a node sends three."""
SILENCE = 35.0
"""Seconds without a byte after which the connection counts as cut: a node sends something every 10."""
_MAX_REFUSAL = 65_536
_LONGEST_ID = 100
_RETRY, _LEAST_RETRY, _MOST_RETRY = 2.0, 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: block, reorg, transaction, peer, or reset (something is not told: read again what you keep).

    `data`: as `docs/api.md` describes it. `id`: what `Client.events(last_event_id=…)` goes on behind.
    """

    kind: str
    data: dict[str, Any]
    id: str


class Stream:
    """`open` it, then take its events until the node ends it. Another thread may `abort` it."""

    def __init__(self, transport: Transport, last_event_id: str | None) -> None:
        self._transport = transport
        self._connection = transport.connection(DEADLINE)
        self._answer: http.client.HTTPResponse | None = None
        self.last_id = last_event_id
        self.retry = _RETRY
        """Seconds at most between two tries to come back; the node's own wish, within bounds."""

    @property
    def is_open(self) -> bool:
        """Whether the node has accepted it."""
        return self._answer is not None

    def open(self) -> None:
        """Connect, and wait for the answer's head, within DEADLINE in all. Raises NoAnswer, Refused."""
        # A time-out of a socket is between two bytes.
        timer = threading.Timer(DEADLINE, shut, (self._connection,))
        timer.daemon = True
        timer.start()
        try:
            answer = self._ask()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._transport.explained(error) from None
        finally:
            timer.cancel()
        self._answer = answer

    def _ask(self) -> http.client.HTTPResponse:
        connection, end = self._connection, time.monotonic() + DEADLINE
        connection.connect()
        connection.sock.settimeout(max(0.1, end - time.monotonic()))
        headers = {**self._transport.headers(has_body=False), "Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        connection.request("GET", "/v1/events", headers=headers)
        sock = connection.sock  # http.client forgets it: the answer ends with the connection
        answer = connection.getresponse()
        connection.sock = sock
        if answer.status != 200:
            self._transport.read(answer.status, answer.read(_MAX_REFUSAL))
        if answer.headers.get_content_type() != "text/event-stream":
            raise self._transport.nonsense()
        sock.settimeout(SILENCE)
        return answer

    def abort(self) -> None:
        """End it from another thread; harmless at any time."""
        shut(self._connection)

    def close(self) -> None:
        self._connection.close()
        if self._answer is not None:
            self._answer.close()

    def __iter__(self) -> Iterator[Event]:
        """The events until the stream ends, for whatever reason. Raises NoAnswer for bytes that no node sends."""
        kind, data, last_id = "message", list[str](), self.last_id
        lines = size = 0  # of the event that is under way
        for name, value in self._fields():
            lines, size = lines + 1, size + len(value)
            if lines > MAX_LINES or size > MAX_LINE:
                raise NoAnswer(f"{self._transport.url} sent an event without an end")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                last_id = value[:_LONGEST_ID]
            elif name == "retry" and value.isdecimal() and value.isascii():
                self.retry = min(max(int(value[:9]) / 1000, _LEAST_RETRY), _MOST_RETRY)
            elif not name:
                self.last_id = last_id
                if data:
                    yield Event(kind, self._decoded(data), last_id or "")
                kind, data, lines, size = "message", [], 0, 0

    def _decoded(self, data: list[str]) -> dict[str, Any]:
        try:
            decoded = json.loads("\n".join(data))
        except (ValueError, RecursionError):
            raise self._transport.nonsense() from None
        if not isinstance(decoded, dict):
            raise self._transport.nonsense()
        return decoded

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Name and value of each line; two empty strings for an empty one. A comment has no name, and one value."""
        while self._answer is not None:
            try:
                line = self._answer.readline(MAX_LINE + 1)
            except (OSError, ValueError, http.client.HTTPException):
                return
            if not line.endswith(b"\n"):
                if len(line) > MAX_LINE:
                    raise NoAnswer(f"{self._transport.url} sent a line without an end")
                return  # cut in the middle: what it was comes again
            text = line.rstrip(b"\r\n").decode("utf-8", "replace")
            name, _, value = text.partition(":")
            yield (name, value.removeprefix(" ")) if name or not text else (":", "")
