"""A client of `/v1/events` that does what a browser's EventSource does, and nothing for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.kit.waiting import wait_until


@dataclass(frozen=True)
class Event:
    id: str
    kind: str
    data: Any


@dataclass
class Listener:
    """What has been heard, in order. `ended`: the node closed the stream."""

    status: int
    headers: Mapping[str, str]
    events: list[Event] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    """Every line as it came."""
    last_id: str = ""
    ended: bool = False

    def of(self, kind: str) -> list[Any]:
        return [event.data for event in self.events if event.kind == kind]

    def wait_for(self, kind: str, count: int = 1, timeout: float = 15) -> list[Any]:
        """The data of the events of a kind, once there are `count`."""
        wait_until(lambda: len(self.of(kind)) >= count, timeout, f"{count} events {kind}")
        return self.of(kind)

    def read(self, response: http.client.HTTPResponse) -> None:
        kind, data = "message", list[str]()
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            while line := response.readline():
                self.lines.append(line)
                name, _, value = line.decode().rstrip("\n").partition(":")
                value = value.removeprefix(" ")
                if name == "id":
                    self.last_id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif not line.strip():
                    if data:
                        self.events.append(Event(self.last_id, kind, json.loads("\n".join(data))))
                    kind, data = "message", []
        self.ended = True


@contextlib.contextmanager
def listening(port: int, last_event_id: str | None = None, query: str = "") -> Iterator[Listener]:
    """A listener whose stream has begun (or was refused: see `status`); its connection is closed behind the block."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    connection.request("GET", f"/v1/events{query}", headers=headers)
    sock = connection.sock
    response = connection.getresponse()
    listener = Listener(response.status, {name.lower(): value for name, value in response.getheaders()})
    thread = threading.Thread(target=listener.read, args=(response,), daemon=True)
    thread.start()
    try:
        wait_until(lambda: listener.last_id or listener.ended, 15, "the stream to begin")
        yield listener
    finally:
        with contextlib.suppress(OSError):
            sock.shutdown(2)
        thread.join(10)
        response.close()
        connection.close()
