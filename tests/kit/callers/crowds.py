"""Callers that take every place that a node gives, each from an address of its own, for as long as a test wants.

One `Crowd` for each bound of `node.system.shares.BOUNDS`: what its callers send, and how they stay.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.system import locks, shares
from moneyer.node.system.shares import Bound
from tests.kit.chains import Key, block_on, key, transfer
from tests.kit.running import ALICE, BOB, RunningNode
from tests.kit.waiting import wait_until

Request = Callable[[int, str], bytes]
"""What the caller of a number sends from an address, made anew for each of its requests."""
Preparation = Callable[[RunningNode], contextlib.AbstractContextManager[None]]

POOR = key("poor")
_PAUSE = 0.5
"""Seconds between two requests of a caller: the machine has to answer others too."""


def request(
    method: str, path: str, body: bytes = b"", kind: str = "application/json", length: int | None = None
) -> bytes:
    """`length`: what the head says, where that is not the truth."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if method == "POST":
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}\r\n"
    return f"{head}\r\n".encode() + body


@contextlib.contextmanager
def as_it_is(node: RunningNode) -> Iterator[None]:
    yield


@contextlib.contextmanager
def writing_elsewhere(node: RunningNode) -> Iterator[None]:
    """Another process writes: every other write waits until it has ended, or ten seconds.

    Afterwards the node is known to write again: what stood in its queue as those ten seconds ended is refused.
    """
    file = sqlite3.connect(node.config.database, timeout=60, isolation_level=None)  # the crowd writes, too
    try:
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")
    finally:
        file.close()
    asked = {"raw": _unsent_transfer(node, BOB).hex()}
    wait_until(lambda: node.post("/v1/transactions/check", asked).status == 200, 60, "the node to write again")


@contextlib.contextmanager
def idle_worker(node: RunningNode) -> Iterator[None]:
    """There is a worker, by its lock, and it finds nothing."""
    lock = locks.hold(node.config.worker_lock)
    try:
        yield
    finally:
        lock.release()


def nothing(node: RunningNode) -> None:
    pass


@dataclass(frozen=True)
class Crowd:
    """How the places of one bound are filled."""

    bound: Bound
    requests: Callable[[RunningNode], Request]
    large: bool = False
    """It needs a node with large blocks."""
    stays: bool = False
    """A caller that got an answer reads no more of it, and keeps its place."""
    floods: bool = False
    """No caller pauses between two requests, as each is over at once."""
    prepared: Preparation = as_it_is
    """Holds while the places are filled, so that a caller keeps the place that it has."""
    meanwhile: Callable[[RunningNode], None] = nothing
    """Done again and again until the places are full."""
    more: int = 4
    """Callers beyond those that hold a place or wait for one."""
    refuses: bool = True
    """Callers are refused when it is full: they need no place of a smaller bound before."""
    is_synced_from: bool = False
    """A new node has to get its chain from a node in this state."""

    @contextlib.contextmanager
    def fill(self, node: RunningNode, source: str, *, waits: bool = True) -> Iterator[None]:
        """All places of an address are wanted, and more, for as long as the block runs. `waits`: so many that as many
        wait as may."""
        bound = self.bound
        count = bound.each * (1 + bound.queue * bool(waits and bound.wait_seconds)) + self.more
        made = self.requests(node)
        pause = 0 if self.floods else _PAUSE
        callers = [
            Caller(node.port, source, partial(made, number, source), self.stays, pause) for number in range(count)
        ]
        try:
            yield
        finally:
            for caller in callers:
                caller.stop()
            for caller in callers:
                caller.join()


class Caller:
    """A thread that sends one request on each of its connections, one after another, and reads the status only."""

    def __init__(
        self, port: int, source: str, make: Callable[[], bytes], stays: bool = False, pause: float = _PAUSE
    ) -> None:
        self._port, self._source, self._make, self._stays, self._pause = port, source, make, stays, pause
        self._sock: socket.socket | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(OSError):
                self._call()
            self._stopped.wait(self._pause)

    def _call(self) -> None:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.settimeout(120)
            sock.bind((self._source, 0))
            sock.connect(("127.0.0.1", self._port))
            self._sock = sock
            if self._stopped.is_set():
                return
            sock.sendall(self._make())
            status = sock.recv(12)[9:]
            if self._stays and status == b"200":
                ended = select.poll()
                ended.register(sock, select.POLLRDHUP)
                while not self._stopped.wait(_PAUSE) and not ended.poll(0):
                    pass


def _half_a_body(node: RunningNode) -> Request:
    return lambda number, source: request("POST", "/v1/transactions", b'{"raw": "', length=100)


def _half_a_chunked_body(node: RunningNode) -> Request:
    sent = (
        b"POST /p2p/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
    )
    return lambda number, source: sent


def _hello(node: RunningNode) -> Request:
    sent = request("GET", "/p2p/hello")
    return lambda number, source: sent


def _events(node: RunningNode) -> Request:
    return lambda number, source: request("GET", "/v1/events")


def _all_blocks(node: RunningNode) -> Request:
    hashes = [show(codec.block_hash(block.header)) for block in node.chain.blocks[1:]]
    sent = request("POST", "/p2p/blocks", json.dumps({"hashes": hashes}).encode())
    return lambda number, source: sent


def _unsent_transfer(node: RunningNode, who: Key) -> bytes:
    """The sender's next one, which stays that as long as nobody submits it."""
    said = node.get(f"/v1/accounts/{node.coin.address(who.payload)}").json
    return codec.encode_transaction(transfer(node.coin, who, who, 1, sequence=said["pending"]["next_sequence"]))


def _trials(node: RunningNode) -> Request:
    """Each waits for the writer, now and the next time: what was submitted before is answered without it."""
    sent = request("POST", "/v1/transactions/check", json.dumps({"raw": _unsent_transfer(node, ALICE).hex()}).encode())
    return lambda number, source: sent


def _unfunded(node: RunningNode) -> Request:
    raw = codec.encode_transaction(transfer(node.coin, POOR, BOB, 1))
    sent = request("POST", "/v1/transactions", json.dumps({"raw": raw.hex()}).encode())
    return lambda number, source: sent


def _deliveries(node: RunningNode) -> Request:
    """Rivals of the tip, never one that was delivered before: what is known is answered without the writer."""
    parent, height, numbers = node.chain.blocks[-2], node.chain.height, itertools.count()

    def rival(number: int, source: str) -> bytes:
        extra = f"{source} {next(numbers)}".encode().ljust(20)
        block = codec.encode_block(block_on(node.coin, parent.header, height, extra=extra))
        return request("POST", "/p2p/block", block, "application/octet-stream")

    return rival


def _mine_block(node: RunningNode) -> Request:
    return lambda number, source: request("GET", "/mine_block")


def _is_valid(node: RunningNode) -> Request:
    return lambda number, source: request("GET", "/is_valid")


class Silent:
    """Listeners that accept connections and never answer."""

    def __init__(self) -> None:
        self._listeners: dict[str, socket.socket] = {}
        self._lock = threading.Lock()

    def url(self, host: str) -> str:
        with self._lock:
            if host not in self._listeners:
                self._listeners[host] = socket.create_server((host, 0), backlog=1_000)
        return f"http://{host}:{self._listeners[host].getsockname()[1]}"


SILENT = Silent()


def _add_peer(node: RunningNode) -> Request:
    return lambda number, source: request("POST", "/v1/peers", json.dumps({"url": SILENT.url(source)}).encode())


def _connect(node: RunningNode) -> Request:
    own = {"chain_id": show(node.coin.chain_id), "node_id": "0" * 32}
    return lambda number, source: request(
        "POST", "/p2p/connect", json.dumps({**own, "url": SILENT.url(source)}).encode()
    )


CROWDS = (
    Crowd(shares.SMALL_BODIES, _half_a_body, is_synced_from=True),
    Crowd(shares.LARGE_BODIES, _half_a_chunked_body),
    Crowd(shares.EVENT_STREAMS, _events, stays=True),
    Crowd(shares.LARGE_ANSWERS, _all_blocks, large=True, stays=True, is_synced_from=True),
    Crowd(shares.SHORT_READS, _hello, floods=True, more=40, is_synced_from=True),
    Crowd(shares.WRITES, _trials, prepared=writing_elsewhere, is_synced_from=True),
    Crowd(shares.LOOKS, _unfunded, floods=True, more=40, refuses=False),
    # Beyond the large answers of an address, each waits for the place of one in a dear read's.
    Crowd(
        shares.DEAR_READS,
        _all_blocks,
        large=True,
        stays=True,
        more=4 + 2 * shares.LARGE_ANSWERS.each,
        is_synced_from=True,
    ),
    Crowd(shares.DELIVERIES, _deliveries, prepared=writing_elsewhere),
    Crowd(shares.BLOCK_WAITS, _mine_block, prepared=idle_worker),
    # A tip that was checked is not checked again for a while.
    Crowd(shares.CHAIN_CHECKS, _is_valid, large=True, meanwhile=RunningNode.extend),
    Crowd(shares.PEER_WAITS, _add_peer),
    Crowd(shares.CALLBACKS, _connect),
)


@dataclass(frozen=True)
class Places:
    """How many of a kind are held, how many by one address, how many callers were refused, and how many wait."""

    held: int
    by_one: int
    refused: int
    waiting: int


def places(node: RunningNode, bound: Bound) -> Places:
    """As the node tells an honest caller."""
    kind = f'{{kind="{bound.name.replace(" ", "_")}"}}'
    told = dict(line.rsplit(" ", 1) for line in node.get("/metrics").body.decode().splitlines() if kind in line)
    return Places(
        *(
            int(float(told[f"moneyer_places_{name}{kind}"]))
            for name in ("held", "held_by_one", "refused_total", "waiting")
        )
    )


def wait_until_full(node: RunningNode, crowd: Crowd, addresses: int) -> Places:
    """Until as many addresses hold their shares and somebody was refused, where anybody is."""
    bound = crowd.bound
    before = places(node, bound).refused

    def look() -> Places | None:
        now = places(node, bound)
        if now.held >= bound.each * addresses and (now.refused > before or not crowd.refuses):
            return now
        crowd.meanwhile(node)
        return None

    found = wait_until(look, 60, f"{addresses} addresses to hold their shares of {bound.name}")
    assert found is not None
    return found


def wait_until_in_step(fresh: RunningNode, node: RunningNode) -> None:
    """Until a node that has just been started has the chain of another."""
    tip = node.get("/v1/status").json["tip"]

    def is_in_step() -> bool:
        """A node that is told no, or waits too long on a machine that is this busy, asks again."""
        fresh.post("/connect_node", {"node": [node.url]})
        fresh.get("/replace_chain")
        return bool(fresh.get("/v1/status").json["tip"] == tip)

    wait_until(is_in_step, 120, "the fresh node to be in step")
