"""A small peer that tells the truth about a chain, or lies in any way that a test wants.

`PeerServer(honest(chain))` is a whole peer; replace a route to make it lie. A route takes the request's body and
gives an `Answer`, or a function that writes whatever it likes to the socket.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, cast

from moneyer.node.core import codec
from moneyer.node.core.codec import show, unshow
from moneyer.node.core.types import Block
from moneyer.node.p2p.peer import wire
from tests.kit.chains import ChainBuilder
from tests.kit.system.ports import free_port

OCTETS = "application/octet-stream"
HELLO = "GET /p2p/hello"
"""The route that every node is asked first."""
BLOCKS = "POST /p2p/blocks"


@dataclass(frozen=True)
class Answer:
    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Wire = Callable[[BinaryIO, threading.Event], object]
"""Writes raw bytes until done or until the event says that the server is closing."""
Route = Callable[[bytes], Answer | Wire]


class PeerServer:
    """Serves `routes` ("GET /p2p/hello": route) on a free port of loopback; remembers what it was asked."""

    def __init__(self, routes: dict[str, Route], host: str = "127.0.0.1") -> None:
        self.host = host
        self.routes = routes
        self.asked: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.written = 0
        self.closing = threading.Event()
        self.sockets: list[socket.socket] = []
        # Of this process's own ports: one that is closed is not another test's a moment later.
        self._server = _QuietServer((host, free_port()), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def bodies(self, path: str) -> list[bytes]:
        """The bodies of the requests to a path, in order."""
        return [body for asked, body in self.asked if asked.endswith(path)]

    def hashes_asked(self) -> list[str]:
        """Every block hash that was asked for."""
        return [each for body in self.bodies("/p2p/blocks") for each in json.loads(body)["hashes"]]

    def close(self) -> None:
        """End it as a process ends: kept-alive connections break too."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


Serve = Callable[..., PeerServer]
"""`serve(routes, host=…)`: an address of loopback."""


class _QuietServer(ThreadingHTTPServer):
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that hang up, as they should when a peer lies."""


def _handler(peer: PeerServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            peer.connections += 1
            peer.sockets.append(self.connection)

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            peer.asked.append((f"{self.command} {self.path}", body))
            peer.headers.append(dict(self.headers))
            route = peer.routes.get(f"{self.command} {self.path}")
            answer = route(body) if route else Answer(b"{}", 404)
            with suppress(OSError):
                if isinstance(answer, Answer):
                    self._answer(answer)
                else:
                    self.close_connection = True
                    answer(cast(BinaryIO, _Counting(self.wfile, peer)), peer.closing)

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = _serve  # noqa: N815 - the names that http.server looks for

    return Handler


class _Counting:
    """A file that counts the bytes written to it."""

    def __init__(self, file: Any, peer: PeerServer) -> None:
        self._file = file
        self._peer = peer

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._peer.written += len(data)
        return len(data)


# what an honest peer says


def hello_of(chain: ChainBuilder, **changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "protocol": 1,
        "chain_id": show(chain.coin.chain_id),
        "node_id": f"peer-{chain.name}".replace(" ", "-").ljust(8, "-"),
        "agent": "moneyer-test/1",
        "height": chain.height,
        "tip": show(chain.tip_hash),
        "work": f"{chain.work:064x}",
        "url": None,
    }
    if chain.coin.rules != 1:
        said["rules"] = chain.coin.rules
    return {**said, **changes}


def as_json(value: Any) -> Route:
    body = json.dumps(value).encode()
    return lambda _: Answer(body)


def as_bytes(body: bytes, status: int = 200, **headers: str) -> Route:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(body, status, headers=named)


def raw_headers(blocks: Sequence[Block]) -> list[bytes]:
    return [codec.encode_header(block.header) for block in blocks]


def honest(chain: ChainBuilder, *, headers_each: int = wire.MAX_HEADERS, **hello: Any) -> dict[str, Route]:
    """The routes of a peer that has `chain`. `headers_each`: in one answer; `hello`: fields of its hello to change."""
    heights = {codec.block_hash(block.header): height for height, block in enumerate(chain.blocks)}
    bodies = {codec.block_hash(block.header): codec.encode_block(block) for block in chain.blocks}
    said = as_json(hello_of(chain, **hello))

    def headers(body: bytes) -> Answer:
        locator = [unshow(text) for text in json.loads(body)["locator"]]
        start = next((heights[each] for each in locator if each in heights), 0)
        found = raw_headers(chain.blocks[start + 1 : start + 1 + headers_each])
        return Answer(b"".join(found), kind=OCTETS)

    def blocks(body: bytes) -> Answer:
        asked = [unshow(text) for text in json.loads(body)["hashes"]]
        return Answer(wire.frame_blocks(bodies.get(each) for each in asked), kind=OCTETS)

    return {"GET /p2p/hello": said, "POST /p2p/headers": headers, "POST /p2p/blocks": blocks}


class Gate:
    """Lets a peer serve so many blocks, and then none until the test allows more."""

    def __init__(self, route: Route, open_to: int) -> None:
        self._route = route
        self._changed = threading.Condition()
        self._left = open_to

    def open(self, more: int) -> None:
        with self._changed:
            self._left += more
            self._changed.notify_all()

    def serve(self, body: bytes) -> Answer:
        """Cuts an answer when the allowed blocks are used up, after one at least, as the protocol allows."""
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0, 60)
            asked = json.loads(body)["hashes"][: self._left]
            self._left -= len(asked)
        answer = self._route(json.dumps({"hashes": asked}).encode())
        assert isinstance(answer, Answer)
        return answer


# lies without end


def drip(data: Iterator[bytes] | bytes, every: float = 0.05) -> Wire:
    """Sends one byte (or item) after the other, more slowly than any client waits."""

    def write(out: BinaryIO, closing: threading.Event) -> None:
        for item in data if not isinstance(data, bytes) else (bytes([byte]) for byte in data):
            out.write(item)
            if closing.wait(every):
                return

    return write


def flood(head: bytes, piece: bytes) -> Wire:
    """Sends `head`, then `piece` without end."""

    def write(out: BinaryIO, closing: threading.Event) -> None:
        out.write(head)
        while not closing.is_set():
            out.write(piece)

    return write
