"""Very many peers that answer, each on a port of its own, in one thread: enough to fill a table."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress

from tests.kit.chains import ChainBuilder
from tests.kit.net.peers import hello_of

_ANSWERS = {
    b"/p2p/connect": b'{"url": "http://127.0.0.1:1", "state": "connected"}',
    b"/p2p/peers": b'{"peers": []}',
    b"/p2p/block": b'{"status": "extended"}',
    b"/p2p/transactions": b'{"accepted": 0, "rejected": []}',
}


class Crowd:
    """`size` peers on one address of loopback, each with its own node_id.

    They have nothing, and take whatever they are told.
    """

    def __init__(self, chain: ChainBuilder, size: int, host: str = "127.0.0.1") -> None:
        self._chain = chain
        self._host = host
        self.urls: list[str] = []
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(size, ready), daemon=True)
        self._thread.start()
        assert ready.wait(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, size: int, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._listen(size))
        ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        for server in self._servers:
            server.close()
        self._loop.close()

    async def _listen(self, size: int) -> None:
        self._servers = [await asyncio.start_server(self._serve, self._host, 0) for _ in range(size)]
        self.urls = [f"http://{self._host}:{server.sockets[0].getsockname()[1]}" for server in self._servers]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        said = json.dumps(hello_of(self._chain, node_id=f"crowd-{port}")).encode()
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                await reader.readexactly(length)
                body = said if b" /p2p/hello " in head else _ANSWERS.get(head.split(b" ", 2)[1], b"")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        writer.close()
