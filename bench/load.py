"""A load generator in a process of its own: raw sockets, kept alive, one request at a time on each.

`python -m bench.load PORT CONNECTIONS SECONDS PATH` asks for PATH again and again, of several (spaces between them)
for each in turn; with `--bodies FILE`, of JSON bodies, one a line, each is posted once, with `--again` they are posted
over and over. `--header "Name: value"` goes with every request. One JSON line tells what came back; latencies in
milliseconds.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Any

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Connection:
    """One kept-alive connection, and the request that is under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received: list[bytes] = []
        self._missing = 0
        """Bytes of the body that are still to come, once its head is here."""
        self.body = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._received, self._missing = [], 0
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The status, once the whole answer is here; `body` is its body then."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise ConnectionError(f"the server closed a connection behind {self._received!r}")
        self._received.append(chunk)
        self._missing -= len(chunk)
        if self._missing > 0:  # a long body is put together once, at its end
            return None
        received = b"".join(self._received)
        head, separator, body = received.partition(_HEAD_END)
        if not separator:
            return None
        at = head.lower().index(_LENGTH) + len(_LENGTH)
        length = int(head[at:].split(b"\r\n", 1)[0])
        self._received, self._missing = [received], length - len(body)
        if self._missing > 0:
            return None
        self.body = body
        return int(head[9:12])


def get_request(port: int, path: str, headers: Sequence[str] = ()) -> bytes:
    return f"GET {path} HTTP/1.1\r\n{_lines(port, headers)}\r\n".encode()


def post_request(port: int, path: str, body: bytes, headers: Sequence[str] = ()) -> bytes:
    head = f"POST {path} HTTP/1.1\r\n{_lines(port, headers)}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _lines(port: int, headers: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in (f"Host: 127.0.0.1:{port}", *headers))


def drive(port: int, connections: int, seconds: float, requests: Iterator[bytes]) -> dict[str, Any]:
    """Keep `connections` busy until the requests or the seconds run out."""
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        start = time.perf_counter()
        for request in (next(requests) for _ in range(connections)):
            connection = Connection(port)
            connection.send(request)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        busy = connections
        while busy:
            for key, _ in selector.select(10):
                connection = key.data
                status = connection.receive()
                if status is None:
                    continue
                now = time.perf_counter()
                statuses[status] += 1
                latencies.append(now - connection.sent_at)
                following = next(requests, None) if now - start < seconds else None
                if following is None:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    busy -= 1
                else:
                    connection.send(following)
        took = time.perf_counter() - start
    cuts = quantiles(latencies, n=100)
    rate = len(latencies) / took
    return {"rate": rate, "statuses": dict(statuses), "p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3}


def run(
    port: int,
    connections: int,
    seconds: float,
    path: str,
    bodies: Path | None = None,
    *,
    again: bool = False,
    headers: Sequence[str] = (),
) -> dict[str, Any]:
    """The same from another process; `statuses` by their text. Raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.load", str(port), str(connections), str(seconds), path]
    command += [*(["--bodies", str(bodies)] if bodies else []), *(["--again"] if again else [])]
    command += [option for line in headers for option in ("--header", line)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=seconds + 60)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("path")
    parser.add_argument("--bodies", type=Path)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--header", action="append", default=[])
    asked = parser.parse_args()
    if asked.bodies:
        lines = asked.bodies.read_bytes().splitlines()
        posts = [post_request(asked.port, asked.path, line, asked.header) for line in lines]
        requests = cycle(posts) if asked.again else iter(posts)
    else:
        requests = cycle([get_request(asked.port, each, asked.header) for each in asked.path.split()])
    print(json.dumps(drive(asked.port, asked.connections, asked.seconds, requests)))


if __name__ == "__main__":
    main()
