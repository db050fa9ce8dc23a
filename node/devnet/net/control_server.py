"""The supervisor's side of `control`: a Unix socket that only its user can reach, served from the supervisor's loop."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .control import MAX_LINE

PREFIX: Final = "moneyer-net-"
"""Of the folder that holds the socket."""
_MOST_CLIENTS: Final = 64
_LONGEST_FOLDER: Final = 70
"""Bytes: with our folder and the socket's name it stays below 104, which is the least that a system allows."""

Answer = Callable[[dict[str, Any]], None]
"""Sends the answer to one request; called once, now or later."""
Handler = Callable[[dict[str, Any], Answer], None]


class ControlServer:
    """Reads requests and hands each to `handle` with the function that answers it.

    The socket lies in a folder of mode 0700 of its own, because its path must be short (108 bytes) and nobody else may
    connect.
    """

    def __init__(self, selector: selectors.BaseSelector, handle: Handler) -> None:
        self._selector = selector
        self._handle = handle
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_folder_of_sockets()))
        self.path = str(self._folder / "control")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(_MOST_CLIENTS)
        self._listener.setblocking(False)
        self._clients: dict[socket.socket, bytes] = {}
        """What each has sent; in the order in which they came."""
        self._asked: set[socket.socket] = set()
        """Those whose request is whole, and who wait for its answer."""
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def descriptors(self) -> list[int]:
        """What a process that is forked from this one must close."""
        return [self._listener.fileno(), *(client.fileno() for client in self._clients)]

    def close(self) -> None:
        for client in list(self._clients):
            self._drop(client)
        self._selector.unregister(self._listener)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # it has gone, or no descriptor is left
            return
        if len(self._clients) >= _MOST_CLIENTS and not self._drop_idle():
            client.close()
            return
        client.setblocking(False)
        self._clients[client] = b""
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))

    def _drop_idle(self) -> bool:
        """Drop the client that has been connected longest without a whole request, if there is one."""
        idle = next((client for client in self._clients if client not in self._asked), None)
        if idle is not None:
            self._drop(idle)
        return idle is not None

    def _read(self, client: socket.socket) -> None:
        try:
            part = client.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        held = self._clients[client] + part
        self._clients[client] = held
        if not part or len(held) > MAX_LINE:
            self._drop(client)
        elif b"\n" in held:
            self._selector.unregister(client)  # one request a connection
            self._asked.add(client)
            self._take(client, held)

    def _take(self, client: socket.socket, line: bytes) -> None:
        def answer(content: dict[str, Any]) -> None:
            # A client that reads nothing has waited in vain: its answer may not hold up the network.
            with suppress(OSError):
                client.settimeout(1.0)
                client.sendall(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._drop(client)

        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            answer({"error": "bad_request", "message": "a request is one JSON object in one line"})
            return
        self._handle(request, answer)

    def _drop(self, client: socket.socket) -> None:
        if client in self._clients:
            del self._clients[client]
            self._asked.discard(client)
            with suppress(KeyError, ValueError):
                self._selector.unregister(client)
            client.close()


def _folder_of_sockets() -> str:
    """The folder of temporary files; where its path is too long for a socket's, the system's usual one."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= _LONGEST_FOLDER else "/tmp"  # noqa: S108 - mkdtemp makes one within


def remove_leftover(path: str) -> None:
    """Remove the socket of a supervisor that was killed, and its folder; nothing else, whatever the path is."""
    left = Path(path)
    with suppress(OSError, ValueError):
        if left.parent.name.startswith(PREFIX) and left.is_socket():
            left.unlink()
            left.parent.rmdir()
