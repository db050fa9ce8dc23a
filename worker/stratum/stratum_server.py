"""The sockets: many miners on one thread, none of which can hold up another or make this process grow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from ...node.chain.next_block import Template
from ...node.config import Config
from ...node.core.coin import Coin
from ...node.core.hashing import show
from ...node.system.shares import STRATUM, NoPlace, Place, address_key
from ...node.system.shares import Shares as PlaceShares
from ..reports import Sparing
from . import protocol
from .accounting import Shares
from .jobs import EXTRANONCE1_SIZE, Job, JobBook
from .link import NodeLink
from .payees import Payees
from .protocol import MAX_LINE, StratumError
from .session import Session
from .turns import Turns

log = logging.getLogger("moneyer.stratum")

_MAX_DISCARD = 16 << 20
"""Bytes of one line that is too long: read away up to here, so that its sender gets the answer and may go on."""
_MAX_UNSENT = 256 << 10
"""Bytes that wait for a miner that reads none."""
_MAX_FAULTS = 100
"""Lines that are no messages; who sends more speaks another protocol."""
_INTRODUCTION = 30.0
"""Seconds until a connection must have a user."""
_LEAST_SHARE = 4
"""Connections that one address may have, however few there may be in all."""
_ACTIVE = 600.0
"""Seconds for which a share keeps a connection from having to make room for another."""
_JOINED_LINES = 10
"""Of new miners, a minute."""
_LOOK = 1.0
_BACKLOG = 1_024


@dataclass(frozen=True, slots=True)
class StratumConfig:
    data: Path
    """The data folder of the node that is mined for."""
    host: str = "127.0.0.1"
    port: int = 3333
    difficulty: float = 0.01
    """Of the first shares of a connection."""
    max_connections: int = 1_000
    with_node: bool = False
    """End when the node ends."""
    log_level: str = "info"
    log_json: bool = False

    @property
    def config(self) -> Config:
        return Config(data=self.data)


class Connection(asyncio.BufferedProtocol):
    """One miner's socket. Its buffer is all the memory that it gets, and its share of each turn."""

    def __init__(self, server: StratumServer) -> None:
        self._server = server
        self._buffer = bytearray(MAX_LINE)
        self._filled = 0
        self._discarded = 0
        self._waits = False
        """For its turn: until then, more is read only as far as there is room."""
        self._has_ended = False
        """Whether its miner sends no more."""
        self.transport: asyncio.Transport | None = None
        self.session: Session | None = None
        self.remote = ""
        self.address = ""
        """What its place is counted by."""
        self.place: Place | None = None
        self.began = monotonic()
        self.last_share: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream server
        self.transport = transport
        self.remote = str((transport.get_extra_info("peername") or ("",))[0])
        self.address = address_key(self.remote)
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.session = self._server.admit(self)
        if self.session is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.dismiss(self)

    def is_idle(self, now: float) -> bool:
        """Whether it has brought no share for long, or none at all."""
        return self.last_share is None or now - self.last_share > _ACTIVE

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if not self._waits:
            self._waits = True
            self._server.turns.come(self)
        if self._waits and self._filled == MAX_LINE and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Whether the connection stays for now: what came before the end is worked on."""
        self._has_ended = True
        return self._waits

    def work(self) -> None:
        """On what has come, in this connection's turn."""
        self._waits = False
        if self.transport is None or self.transport.is_closing():
            return
        start = 0
        while (end := self._buffer.find(b"\n", start, self._filled)) >= 0:
            if self._discarded:
                self._discarded = 0
            else:
                self._take(bytes(self._buffer[start:end]))
            start = end + 1
        self._buffer[: self._filled - start] = self._buffer[start : self._filled]
        self._filled -= start
        if self._discarded or self._filled == MAX_LINE:
            self._discard()
        if self._has_ended:
            self.transport.close()
        self.transport.resume_reading()

    def send(self, lines: list[bytes]) -> None:
        if self.transport is None or self.transport.is_closing() or not lines:
            return
        self.transport.write(b"".join(lines))
        if self.transport.get_write_buffer_size() > _MAX_UNSENT:
            self._server.cut_off(self)

    def _take(self, line: bytes) -> None:
        session = self.session
        if session is None or not line.strip():
            return
        users, accepted = len(session.users), session.accepted
        self.send(session.handle(line))
        if session.accepted > accepted:
            self.last_share = monotonic()
        for user in session.users[users:]:
            self._server.joined(user, session)
        if session.faults > _MAX_FAULTS and self.transport is not None:
            self.transport.close()

    def _discard(self) -> None:
        """What is in the buffer belongs to a line that is too long."""
        if not self._discarded:
            error = StratumError(protocol.OTHER, f"a line has at most {MAX_LINE} bytes")
            self.send([protocol.failure(None, error)])
        self._discarded += self._filled
        self._filled = 0
        if self._discarded > _MAX_DISCARD and self.transport is not None:
            self.transport.close()


@dataclass(slots=True)
class _Solved:
    """Blocks on one parent: one is offered at a time, the next only where the chain refuses it."""

    parent: bytes
    waiting: bool = False
    taken: bool = False


class StratumServer:
    """Everything but `on_template` and what NodeLink calls runs in the event loop's thread."""

    def __init__(self, config: StratumConfig, coin: Coin) -> None:
        self._config = config
        self._coin = coin
        self._payees = Payees(coin, config.config)
        self._book = JobBook()
        self._connections: set[Connection] = set()
        most = config.max_connections
        self._places = PlaceShares(replace(STRATUM, total=most, each=min(most, max(_LEAST_SHARE, most // 4))))
        self._joins = Sparing(log, _JOINED_LINES)
        self._refusals = Sparing(log, level=logging.WARNING)
        self._evictions = Sparing(log)
        self._cuts = Sparing(log)
        self._extranonces = count(int.from_bytes(os.urandom(EXTRANONCE1_SIZE), "big"))
        self._solved = _Solved(b"")
        self._loop: asyncio.AbstractEventLoop | None = None
        self.turns = Turns(self._soon)
        self.shares = Shares()
        self.link = NodeLink(config.config, self._hand_over, once=config.with_node)

    async def listen(self) -> asyncio.Server:
        """Raises OSError."""
        self._loop = asyncio.get_running_loop()
        return await self._loop.create_server(
            lambda: Connection(self), self._config.host, self._config.port, backlog=_BACKLOG
        )

    def _soon(self, call: Callable[[], None]) -> None:
        assert self._loop is not None  # noqa: S101 - there are connections
        self._loop.call_soon(call)

    async def tend(self) -> None:
        """Look after the connections, for ever."""
        while True:
            await asyncio.sleep(_LOOK)
            now = monotonic()
            for lines in (self._joins, self._refusals, self._evictions, self._cuts):
                lines.flush(now)
            for connection in list(self._connections):
                session = connection.session
                if session is None or connection.transport is None:
                    continue
                if connection.transport.is_closing():
                    connection.transport.abort()  # it reads nothing of what there was left to say
                elif not session.ready and now - connection.began > _INTRODUCTION:
                    connection.transport.close()
                else:
                    connection.send(session.look())

    def close(self) -> None:
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.abort()

    # connections

    def admit(self, connection: Connection) -> Session | None:
        """A session for a new connection; None when there are too many."""
        connection.place = self._place_for(connection)
        if connection.place is None:
            return None
        self._connections.add(connection)
        extranonce1 = (next(self._extranonces) % 2 ** (8 * EXTRANONCE1_SIZE)).to_bytes(EXTRANONCE1_SIZE, "big")
        return Session(self, extranonce1, self._config.difficulty)

    def _place_for(self, connection: Connection) -> Place | None:
        try:
            return self._places.take(connection.remote)
        except NoPlace:
            idlest = self._idlest(connection.address)
        if idlest is None:
            places = self._places.bound
            self._refusals.say(
                f"a miner at {connection.remote} is not taken: there are {places.total} places, {places.each} for an "
                "address, and whoever has them brings shares; --max-connections allows more",
                monotonic(),
            )
            return None
        self._evictions.say(
            f"a miner at {idlest.remote} that brought no shares made room for one at {connection.remote}", monotonic()
        )
        assert idlest.transport is not None  # noqa: S101 - it is connected
        idlest.transport.abort()
        self.dismiss(idlest)
        return self._places.take(connection.remote)

    def _idlest(self, address: str) -> Connection | None:
        """Whose place a newcomer at `address` gets: that of one who brings no shares, where most of the places are.

        No address takes a place from one that holds no more than itself, so a flood makes room for itself only.
        """
        held = Counter(each.address for each in self._connections)
        own = held[address]
        has_share = own < self._places.bound.each
        now = monotonic()
        idle = [
            each
            for each in self._connections
            if each.is_idle(now) and (each.address == address or (has_share and held[each.address] > own))
        ]
        return min(idle, key=lambda each: (-held[each.address], each.last_share or each.began), default=None)

    def dismiss(self, connection: Connection) -> None:
        if connection in self._connections and connection.session is not None:
            self._connections.remove(connection)
            if connection.place is not None:
                connection.place.release()
            for user in connection.session.users:
                self.shares.left(user, monotonic())

    def cut_off(self, connection: Connection) -> None:
        """End the connection of one who reads nothing."""
        self._cuts.say(f"{connection.remote} reads nothing of what it is sent: let go", monotonic())
        if connection.transport is not None:
            connection.transport.abort()

    def joined(self, user: str, session: Session) -> None:
        self.shares.joined(user, monotonic())
        self._joins.say(f"{user} mines here{f' ({session.agent})' if session.agent else ''}", monotonic())

    # templates

    def _hand_over(self, template: Template | None) -> None:
        """In the link's thread."""
        assert self._loop is not None  # noqa: S101 - the link starts behind `listen`
        later(self._loop, self._renew, template)

    def _renew(self, template: Template | None) -> None:
        clean = self._book.renew(template)
        if template is None:
            return
        began = monotonic()
        ready = 0
        for connection in list(self._connections):
            if connection.session is not None and connection.session.ready:
                connection.send(connection.session.work(clean=clean))
                ready += 1
        if clean and ready:
            tip, took = show(template.parent.block_hash)[:16], (monotonic() - began) * 1e3
            log.debug("new tip %d %s…: %d miners told in %.1f ms", template.parent.height, tip, ready, took)

    # what sessions ask for (`session.Desk`)

    def payee(self, user: str) -> bytes:
        return self._payees.of_user(user)

    def job(self, receiver: bytes, *, fresh: bool) -> Job | None:
        return self._book.fresh(receiver) if fresh else self._book.current(receiver)

    def latest(self) -> int:
        return int(time.time()) + self._coin.clock_tolerance

    def clock(self) -> float:
        return monotonic()

    def accepted(self, user: str, difficulty: float) -> None:
        self.shares.accept(user, difficulty, monotonic(), int(time.time()))

    def rejected(self, user: str, error: StratumError) -> None:
        self.shares.reject(user, error.code, monotonic())

    def solved(self, user: str, job: Job, header: bytes, extranonces: bytes) -> None:
        parent = job.base.parent_hash
        if self._solved.parent != parent:
            self._solved = _Solved(parent)
        here = self._solved
        if here.waiting or here.taken:
            return  # what stands on the same parent would be a side branch
        here.waiting = True

        def done(taken: bool) -> None:
            here.waiting, here.taken = False, taken
            if taken:
                self.shares.block(user, monotonic())

        loop = self._loop
        assert loop is not None  # noqa: S101 - there are sessions
        raw = job.block(header, extranonces)
        self.link.offer(raw, job.base.height, lambda taken: later(loop, done, taken))

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "host": self._config.host,
            "port": self._config.port,
            "connections": sum(each.session is not None and each.session.ready for each in self._connections),
            **self.shares.summary(monotonic()),
        }


def later(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: object) -> None:
    """Call that in the loop's thread; where the loop has ended, nobody wants it any more."""
    with contextlib.suppress(RuntimeError):  # closed
        loop.call_soon_threadsafe(call, *arguments)
