"""A miner's socket on the event loop: lines in, lines out, and no more memory than its buffer."""

from __future__ import annotations

import asyncio
import socket
from time import monotonic
from typing import Protocol

from ...node.system.shares import Place, address_key
from . import protocol
from .fair_queue import FairQueue
from .protocol import MAX_LINE, StratumError
from .session import Session

_MAX_DISCARD = 16 << 20
"""Bytes of one line that is too long: read away up to here, so that its sender gets the answer and may go on."""
_MAX_UNSENT = 256 << 10
"""Bytes that wait for a miner that reads none."""
_MAX_FAULTS = 100
"""Lines that are no messages; a client that sends more speaks another protocol."""
_ACTIVE = 600.0
"""Seconds for which a share keeps a connection from having to make room for another."""


class ConnectionOwner(Protocol):
    """What a connection needs of the server."""

    turns: FairQueue

    def admit(self, connection: Connection) -> Session | None:
        """A session for a new connection; None where there is no place for it."""
        ...

    def dismiss(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        ...

    def joined(self, user: str, session: Session) -> None:
        """A miner has authorized as `user`."""
        ...

    def cut_off(self, connection: Connection) -> None:
        """End the connection of a miner that reads nothing."""
        ...


class Connection(asyncio.BufferedProtocol):
    """One miner's socket: lines from it go to its session, and the session's lines to it."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._buffer = bytearray(MAX_LINE)
        self._filled = 0
        self._discarded = 0
        self._waits = False
        """Whether it waits for its turn: until then, more is read only as far as its buffer has room."""
        self._has_ended = False
        """Whether its miner has closed its side: nothing more will come."""
        self.transport: asyncio.Transport | None = None
        self.session: Session | None = None
        self.remote = ""
        self.address = ""
        """The address by which its place is counted (`node.system.shares.address_key`)."""
        self.place: Place | None = None
        self.began = monotonic()
        """Seconds of the monotonic clock, as for `last_share`."""
        self.last_share: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream server
        self.transport = transport
        self.remote = str((transport.get_extra_info("peername") or ("",))[0])
        self.address = address_key(self.remote)
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.session = self._owner.admit(self)
        if self.session is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.dismiss(self)

    def is_idle(self, now: float) -> bool:
        """Whether its last share is long ago, or it has brought none."""
        return self.last_share is None or now - self.last_share > _ACTIVE

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if not self._waits:
            self._waits = True
            self._owner.turns.come(self)
        if self._waits and self._filled == MAX_LINE and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Whether the connection stays open: lines that came before the end are still worked on."""
        self._has_ended = True
        return self._waits

    def work(self) -> None:
        """Handle the lines that have come, in this connection's turn."""
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
        """Send a session's lines. A miner that does not read them is cut off."""
        if self.transport is None or self.transport.is_closing() or not lines:
            return
        self.transport.write(b"".join(lines))
        if self.transport.get_write_buffer_size() > _MAX_UNSENT:
            self._owner.cut_off(self)

    def _take(self, line: bytes) -> None:
        session = self.session
        if session is None or not line.strip():
            return
        users, accepted = len(session.users), session.accepted
        self.send(session.handle(line))
        if session.accepted > accepted:
            self.last_share = monotonic()
        for user in session.users[users:]:
            self._owner.joined(user, session)
        if session.faults > _MAX_FAULTS and self.transport is not None:
            self.transport.close()

    def _discard(self) -> None:
        """Throw away the buffer, which belongs to a line that is too long."""
        if not self._discarded:
            error = StratumError(protocol.OTHER, f"a line has at most {MAX_LINE} bytes")
            self.send([protocol.failure(None, error)])
        self._discarded += self._filled
        self._filled = 0
        if self._discarded > _MAX_DISCARD and self.transport is not None:
            self.transport.close()
