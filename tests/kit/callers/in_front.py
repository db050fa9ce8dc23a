"""A proxy in front of a node, which can lose a request, or its answer."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.kit.running import RunningNode


@contextmanager
def in_front(
    node: RunningNode, meddle: Callable[[bytes, Callable[[], None]], bool], *, instead: bytes = b""
) -> Iterator[str]:
    """The URL of a proxy. `meddle(request, forward)` is called for each request; False: the connection breaks then.

    `forward()`: the node gets the request, and its answer is lost. `instead`: what is answered before it breaks.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def forward(request: bytes, answer: Callable[[bytes], None]) -> None:
        with socket.create_connection(("127.0.0.1", node.port)) as behind:
            behind.sendall(request)
            while part := behind.recv(65_536):
                answer(part)

    def serve(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            request = b""
            while not _is_whole(request) and (part := sock.recv(65_536)):
                request += part
            if meddle(request, lambda: forward(request, lambda part: None)):
                forward(request, sock.sendall)
            else:
                sock.sendall(instead)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    return bool(end) and len(body) >= int(length[1] if length else 0)
