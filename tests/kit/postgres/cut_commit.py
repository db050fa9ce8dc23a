"""A proxy in front of a PostgreSQL server that breaks a connection at a COMMIT."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_COMMIT = b"COMMIT"
_SHORT = 100
"""Bytes that a message of COMMIT has at most: a row may hold the word too."""


@contextmanager
def cut_at_commit(port: int, *, reaches: bool) -> Iterator[int]:
    """The port of a proxy on loopback. The first COMMIT breaks its connection; what comes later passes.

    `reaches`: the server gets it, and has done it, and only its answer is lost; else it never comes there.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server, suppress(OSError):
            other = {client: server, server: client}
            while True:
                for one in select.select(list(other), [], [])[0]:
                    part = one.recv(65_536)
                    is_commit = one is client and _COMMIT in part and len(part) < _SHORT and not is_over.is_set()
                    if is_commit:
                        is_over.set()
                    if not part or (is_commit and not reaches):
                        return
                    other[one].sendall(part)
                    if is_commit:
                        server.recv(65_536)
                        return

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
