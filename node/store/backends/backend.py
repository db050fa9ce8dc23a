"""What the store asks of a database while it is in use: `Backend`, one for SQLite and one for PostgreSQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, Engine

from .presence import Living, Presence

BUSY_SECONDS = 10
"""How long a writer waits for another process's transaction before the request fails with 503."""


class Readers(Protocol):
    """Snapshots of the database, in any number of threads; a bounded number at once."""

    engine: Engine

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection in a read transaction of its own, as of one instant.

        Raises DBAPIError, sqlalchemy.exc.TimeoutError.
        """
        ...

    def let_go(self) -> None:
        """Give the connections that nobody reads with now back to SQLAlchemy's pool."""
        ...

    def close(self) -> None:
        """Close every connection; one that is in use is closed behind its use."""
        ...


class Watch(Protocol):
    """Tells whether anybody has committed. `version` may be asked by any thread."""

    def version(self) -> int:
        """A number that changes when any process, this one included, has committed. Raises DBAPIError."""
        ...

    def ring_others(self) -> None:
        """Wake the database's other processes after a commit; never waits long."""
        ...

    def close(self) -> None: ...


class CommitUnknown(Exception):
    """The connection was lost while COMMIT was under way: the transaction may have been committed, or not.

    `number`: of this commit, as `Backend.has_committed` wants it.
    """

    def __init__(self, number: int) -> None:
        super().__init__("the connection was lost during COMMIT")
        self.number = number


class Backend(ABC):
    """One database, as one process uses it. Its methods may be called by any thread."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """How sentences name it: a path, or a URL without its password."""

    @abstractmethod
    def open_readers(self, busy_seconds: float) -> Readers: ...

    @abstractmethod
    def open_writer(self, busy_seconds: float) -> Engine:
        """An engine for one connection, whose transactions have the only right to write, of all processes.

        Its COMMIT may raise CommitUnknown.
        """

    @abstractmethod
    def open_watch(self, on_ring: Callable[[], None], readers: Readers) -> Watch:
        """`on_ring` is called, in a thread of the watch's, when another process may have committed."""

    @abstractmethod
    def reading_long(self, readers: Readers) -> AbstractContextManager[Connection]:
        """A snapshot that is read for more than a second, without holding writers up.

        Raises DBAPIError and the driver's errors, OSError, sqlalchemy.exc.TimeoutError.
        """

    @abstractmethod
    def hold(self, kind: str, tries: int = 40) -> Presence:
        """Be alive as a WORKER or a STRATUM server (`presence`). `tries`, twenty a second: on a file, which has one.

        Raises system.locks.Held, OSError.
        """

    @abstractmethod
    def join(self, status: bytes, on_turn: Callable[[bool], None] | None) -> Presence:
        """Be alive as a node. `on_turn`: where given, it is called, in a thread that must not be held up: once the
        database has said whether this is the one node that speaks to other nodes, and whenever that is different."""

    @abstractmethod
    def living(self, readers: Readers, kind: str) -> list[Living]:
        """The processes of a kind that live, those first that have lived longest.

        Raises DBAPIError, sqlalchemy.exc.TimeoutError, OSError.
        """

    def check_in_place(self) -> None:  # noqa: B027 - a server's database cannot be moved under a node
        """Raises StoreFailed where the database was taken away or replaced."""

    def has_committed(self, unknown: CommitUnknown) -> bool:
        """Whether that commit came about. Waits a while for the database; raises StoreFailed where it cannot know."""
        raise unknown

    def let_go(self) -> None:  # noqa: B027 - nothing to do for most
        """What is left to do once this process's own connections are closed."""
