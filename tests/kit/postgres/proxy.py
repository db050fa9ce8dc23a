"""A wire between a node and its server that a test can cut, at the very COMMIT that it names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from tests.kit.postgres.cluster import ROLE, PostgresServer
from tests.kit.system.ports import free_port

Moment = Literal["before", "after"]
"""Before the server has heard COMMIT, or after it has answered, which the client then never hears."""
_COMMIT = b"COMMIT\0"
_READY = ord("Z")
"""The server's message that ends the answer to a query."""


class Wire:
    """A port of loopback that leads to a server's, for any number of connections. A context manager."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._planned: tuple[Moment, Callable[[], object]] | None = None
        self._left = 0
        """COMMITs that are let through before it."""
        self.was_cut = threading.Event()
        """Set once a planned cut has come about."""
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def url(self, database: str) -> str:
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}?sslmode=disable&gssencmode=disable"

    def cut_at_commit(self, moment: Moment, then: Callable[[], object] = lambda: None, *, skip: int = 0) -> None:
        """The next COMMIT but `skip` loses its connection. `then`: what befalls behind that, before the client
        notices."""
        self.was_cut.clear()
        with self._lock:
            self._planned, self._left = (moment, then), skip

    def planned(self) -> tuple[Moment, Callable[[], object]] | None:
        """What befalls the COMMIT that has just been read, if anything."""
        with self._lock:
            if self._planned is None or self._left:
                self._left -= self._planned is not None
                return None
            planned, self._planned = self._planned, None
            return planned

    def cut(self) -> None:
        """Every connection, now."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server.port), 5)
            except OSError:  # it is down: so are we
                client.close()
                continue
            server.settimeout(None)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()

    def forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._client, self._server = client, server
        self._then: Callable[[], object] | None = None
        """Set where the server's next answer is to be lost."""
        self._is_losing = False

    def start(self) -> None:
        for pump in (self._upwards, self._downwards):
            threading.Thread(target=self._run, args=(pump,), name="wire", daemon=True).start()

    def cut(self) -> None:
        for each in (self._client, self._server):
            _end(each)
        self._wire.forget(self)

    def _run(self, pump: Callable[[], None]) -> None:
        with suppress(OSError, EOFError):
            pump()
        if not self._is_losing:
            self.cut()

    def _upwards(self) -> None:
        first = _exactly(self._client, 4)  # a connection's first message has no kind
        self._server.sendall(first + _exactly(self._client, int.from_bytes(first) - 4))
        while True:
            kind, body = _message(self._client)
            planned = self._wire.planned() if kind == ord("Q") and body == _COMMIT else None
            if planned is not None and planned[0] == "before":
                self._lose(planned[1])
                return
            if planned is not None:
                self._then = planned[1]
            self._server.sendall(bytes([kind]) + (len(body) + 4).to_bytes(4) + body)

    def _downwards(self) -> None:
        while True:
            kind, body = _message(self._server)
            if self._then is None:
                self._client.sendall(bytes([kind]) + (len(body) + 4).to_bytes(4) + body)
            elif kind == _READY:
                self._lose(self._then)
                return

    def _lose(self, then: Callable[[], object]) -> None:
        self._is_losing = True
        _end(self._server)
        then()
        self._wire.was_cut.set()
        self.cut()


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _message(source: socket.socket) -> tuple[int, bytes]:
    head = _exactly(source, 5)
    return head[0], _exactly(source, int.from_bytes(head[1:]) - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


@contextmanager
def wire_to(server: PostgresServer) -> Iterator[Wire]:
    wire = Wire(server)
    try:
        yield wire
    finally:
        wire.close()
