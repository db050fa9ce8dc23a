"""PostgreSQL as a `Backend`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from secrets import randbits
from typing import Final

import psycopg
from sqlalchemy import Connection, Engine

from ....config import Config
from ...errors import StoreFailed
from ..backend import Backend, CommitUnknown, Readers, Watch
from ..presence import NODE, Living, Presence
from .pg_address import conninfo, shown
from .pg_engines import ServerReaders, open_writing
from .pg_presence import LivingProcesses, ServerPresence
from .pg_watch import ServerWatch
from .pg_writing import connect_to_write

_LOOK_SECONDS: Final = 15.0
"""How long a server that was lost during COMMIT is waited for."""
_AGAIN_SECONDS: Final = 0.2
_MAY_HAVE: Final = (
    "the database was lost while it wrote this, and may have written it: look whether it is there before it is sent "
    "again"
)


class ServerBackend(Backend):
    def __init__(self, config: Config) -> None:
        """Raises StoreRefused for URLs that are none; the server is not asked yet."""
        assert config.database_url is not None  # noqa: S101 - else it is a file's
        self.conninfo = conninfo(config.database_url)
        replica = config.read_database_url
        self._replica = None if replica is None else conninfo(replica, is_replica=True)
        self._shown = shown(config.database_url)
        self._unsafe = config.unsafe_database
        self.process = randbits(30) + 1
        """This process's number in the table `processes`."""
        self._saw: Callable[[int], None] = lambda counter: None
        """The readers' `saw`, once they are open."""
        self._living = LivingProcesses()

    @property
    def shown(self) -> str:
        return self._shown

    def open_readers(self, busy_seconds: float) -> Readers:
        readers = ServerReaders(self.conninfo, self._replica)
        self._saw = readers.saw
        return readers

    def open_writer(self, busy_seconds: float) -> Engine:
        return open_writing(
            self.conninfo, self.process, busy_seconds, lambda counter: self._saw(counter), unsafe=self._unsafe
        )

    def open_watch(self, on_ring: Callable[[], None], readers: Readers) -> Watch:
        assert isinstance(readers, ServerReaders)  # noqa: S101 - of `open_readers`
        return ServerWatch(self.conninfo, self.process, on_ring, readers.saw)

    def reading_long(self, readers: Readers) -> AbstractContextManager[Connection]:
        assert isinstance(readers, ServerReaders)  # noqa: S101 - of `open_readers`
        return readers.of_primary()

    def hold(self, kind: str, tries: int = 40) -> Presence:
        """There may be any number of each."""
        return ServerPresence(self.conninfo, kind)

    def join(self, status: bytes, on_turn: Callable[[bool], None] | None) -> Presence:
        return ServerPresence(self.conninfo, NODE, status, on_turn)

    def living(self, readers: Readers, kind: str) -> list[Living]:
        assert isinstance(readers, ServerReaders)  # noqa: S101 - of `open_readers`
        return self._living.of(readers, kind)

    def has_committed(self, unknown: CommitUnknown) -> bool:
        """With the writers' lock held, the lost transaction has ended: this process's last commit tells how."""
        ends_at = time.monotonic() + _LOOK_SECONDS
        while True:
            try:
                return self._has_committed(unknown.number)
            except psycopg.Error as error:
                if time.monotonic() > ends_at:
                    raise StoreFailed(_MAY_HAVE) from error
            time.sleep(_AGAIN_SECONDS)

    def _has_committed(self, number: int) -> bool:
        with closing(connect_to_write(self.conninfo, self.process, _LOOK_SECONDS, unsafe=self._unsafe)) as connection:
            connection.begin_writing()
            self._saw(connection.seen)
            row = connection.execute("SELECT committed FROM processes WHERE number = %s", (self.process,)).fetchone()
            # Without a row this was its first commit, or another's hand took the row away.
            if row is None or row[0] < number:
                return False
            # What a server has on its own disk alone is no answer where it waits for a replica's: a commit behind it
            # has waited for both.
            connection.execute("UPDATE processes SET seen_at = seen_at WHERE number = %s", (self.process,))
            try:
                connection.commit_changes()
            except CommitUnknown as unknown:
                raise psycopg.OperationalError("the server was lost once more") from unknown
            self._saw(connection.seen)
        return True
