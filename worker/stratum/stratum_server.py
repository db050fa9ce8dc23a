"""The server: many miners on one thread, none of which can delay another for long or make this process grow.

It gives places, sessions and jobs, and hands found blocks to the node. Everything but what is marked otherwise runs in
the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from ...node.chain.next_block import Template
from ...node.config import Config
from ...node.core.codec import show
from ...node.core.coin import Coin
from ...node.system.shares import STRATUM, NoPlace, Place
from ...node.system.shares import Shares as PlaceShares
from ..reports import Sparing
from .accounting import Shares
from .fair_queue import FairQueue
from .jobs import EXTRANONCE1_SIZE, Job, JobBook
from .link import NodeLink
from .miner_socket import Connection
from .payees import Payees
from .protocol import StratumError
from .session import Session

log = logging.getLogger("moneyer.stratum")

_INTRODUCTION = 30.0
"""Seconds until a connection must have a user."""
_LEAST_SHARE = 4
"""Connections that one address may have, however few there may be in all."""
_JOINED_LINES = 10
"""Lines about new miners, in a minute."""
_LOOK = 1.0
"""Seconds between two looks after the connections."""
_BACKLOG = 1_024
"""Connections that the system keeps until they are accepted."""


@dataclass(frozen=True, slots=True)
class StratumConfig:
    """What the server was told at its start."""

    data: Path
    """The data folder of the node that is mined for; NO_FOLDER where there is none, and the chain is on a server."""
    host: str = "127.0.0.1"
    port: int = 3333
    difficulty: float = 0.01
    """Difficulty of the first shares of a connection, in Stratum's measure."""
    max_connections: int = 1_000
    with_node: bool = False
    """End when the node ends, instead of waiting for it to come back."""
    log_level: str = "info"
    log_json: bool = False
    database_url: str | None = field(default=None, repr=False)
    """`postgresql://…`: the chain is there, and not in the data folder. It may hold a password."""
    unsafe_database: bool = False

    @property
    def config(self) -> Config:
        """The node's configuration, as far as it is needed here: where its chain is."""
        return Config(data=self.data, database_url=self.database_url, unsafe_database=self.unsafe_database)


@dataclass(slots=True)
class _Solved:
    """Found blocks on one parent: one is offered at a time, the next only where the chain refuses it."""

    parent: bytes
    waiting: bool = False
    """Whether one is with the chain now."""
    taken: bool = False
    """Whether the chain has taken one."""


class StratumServer:
    """Serves the miners of one node: the `ConnectionOwner` of connections and the `SessionOwner` of sessions."""

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
        self.turns = FairQueue(self._soon)
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
        """Look after the connections every second, for ever."""
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
                    connection.transport.abort()  # it does not read the last lines
                elif not session.ready and now - connection.began > _INTRODUCTION:
                    connection.transport.close()
                else:
                    connection.send(session.look())

    def close(self) -> None:
        """End every connection."""
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.abort()

    # what connections need (`miner_socket.ConnectionOwner`)

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
        """The connection that has to make room for a new one at `address`: idle, at the address with most places.

        No address takes a place from one that holds no more than itself, so a flood takes places from itself only.
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
        """Give back the place of a connection that has ended, or is about to."""
        if connection in self._connections and connection.session is not None:
            self._connections.remove(connection)
            if connection.place is not None:
                connection.place.release()
            for user in connection.session.users:
                self.shares.left(user, monotonic())

    def cut_off(self, connection: Connection) -> None:
        """End the connection of a miner that reads nothing."""
        self._cuts.say(f"{connection.remote} reads nothing of what it is sent: let go", monotonic())
        if connection.transport is not None:
            connection.transport.abort()

    def joined(self, user: str, session: Session) -> None:
        """Count and log a miner that has authorized as `user`."""
        self.shares.joined(user, monotonic())
        self._joins.say(f"{user} mines here{f' ({session.agent})' if session.agent else ''}", monotonic())

    # templates

    def _hand_over(self, template: Template | None) -> None:
        """Bring a template into the loop. Called in the link's thread."""
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

    # what sessions ask for (`session.SessionOwner`)

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
            return  # another block on the same parent would be a side branch
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
        """Where it listens, and what each miner has brought: JSON-ready, for the status file."""
        return {
            "host": self._config.host,
            "port": self._config.port,
            "connections": sum(each.session is not None and each.session.ready for each in self._connections),
            **self.shares.summary(monotonic()),
        }


def later(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: object) -> None:
    """Call that in the loop's thread; nothing where the loop has ended."""
    with contextlib.suppress(RuntimeError):  # closed
        loop.call_soon_threadsafe(call, *arguments)
