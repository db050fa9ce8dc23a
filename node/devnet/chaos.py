"""A bad network on one machine, for tests and for teaching: a TCP proxy before a node that cuts, delays and drips.

Start the node with `--announce` the proxy's URL and give that URL to the others. Nodes name themselves in each request,
so the first request on a connection says which node it is from, and the proxy can cut off some nodes only.

    proxy = Proxy(5001)               # the node listens on 5001
    proxy.delay = 0.2                 # seconds before each piece: a slow line
    proxy.drip = 16                   # bytes in a piece: a bad one
    proxy.cut(["3f2a…", "77b0…"])     # node ids (`GET /p2p/hello`): nothing comes through from these
    proxy.heal()
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress

from ..system.network import shut

_WHO = re.compile(rb"^moneyer-node: *([\w-]+)", re.IGNORECASE | re.MULTILINE)
_CHUNK = 65_536


class Proxy:
    """Listens on a free port of loopback. `delay`: seconds before each piece; `drip`: bytes in one piece."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.drip = _CHUNK
        self._target = port
        self._cut: frozenset[str] | None = frozenset()
        self._open: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self, node_ids: Iterable[str] | None = None) -> None:
        """Let nothing through from these nodes any more (None: from any); open connections break."""
        with self._lock:
            self._cut = None if node_ids is None else frozenset(node_ids)
            victims = [sock for sock, who in self._open.items() if self._is_cut(who)]
        for sock in victims:
            shut(sock)

    def heal(self) -> None:
        """Let everything through again."""
        self.cut([])

    def close(self) -> None:
        shut(self._listener)
        self._listener.close()
        self.cut()

    def _is_cut(self, who: str) -> bool:
        return self._cut is None or who in self._cut

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (part := client.recv(_CHUNK)):
                head += part
            found = _WHO.search(head)
            who = found[1].decode() if found else ""
            with self._lock:
                if self._is_cut(who):
                    return
                self._open[client] = who
            try:
                with socket.create_connection(("127.0.0.1", self._target)) as node:
                    for sock in (client, node):
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    node.sendall(head)
                    back = threading.Thread(target=self._pump, args=(node, client), daemon=True)
                    back.start()
                    self._pump(client, node)
                    back.join()
            finally:
                with self._lock:
                    del self._open[client]

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                for start in range(0, len(data), self.drip):
                    if self.delay:
                        time.sleep(self.delay)
                    sink.sendall(data[start : start + self.drip])
        shut(source)
        shut(sink)
