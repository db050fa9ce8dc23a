"""What is done before a database is used, for a file and for a server's: schema, checks, and the mark in the folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from ...config import Config
from ...core.coin import Coin
from ..backends.backend import Backend
from ..backends.sqlite import driver as sqlite
from ..backends.sqlite.engines import FileBackend, refusing
from ..errors import log, refused
from . import check, made, schema
from .check import Look
from .server_url import need_psycopg

_AT_ONCE_BYTES = 4_000_000
"""A file up to this size is checked whole before it is used, in less than 0.1 s."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that may be used. `check_behind`: what is still to be checked, before anything is written."""

    is_new: bool
    check_behind: Callable[[], object] | None = None


class Opening(ABC):
    """A database on its way into use."""

    def __init__(self, config: Config, coin: Coin) -> None:
        self._config = config
        self._coin = coin

    @abstractmethod
    def prepare(self, *, check_file: bool, may_wait: bool) -> Opened:
        """Make or upgrade it, and check it. `may_wait`: what takes longer may be checked behind that.

        Raises StoreRefused, OSError; the database is then as it was.
        """

    @abstractmethod
    def refusing(self) -> AbstractContextManager[None]:
        """What a driver or SQLAlchemy raises about a database that is being opened, as StoreRefused."""

    @abstractmethod
    def mark(self) -> None:
        """Remember in the data folder that it has a chain, and where."""


def backend_of(config: Config) -> Backend:
    """The database that a configuration asks for, for this process to use.

    Raises StoreRefused for a URL that is none, or where psycopg is missing.
    """
    if config.database_url is None:
        return FileBackend(config)
    need_psycopg()
    from ..backends.postgres.pg_backend import ServerBackend  # psycopg is an extra, and takes a while to import

    return ServerBackend(config)


def opening_of(config: Config, coin: Coin) -> Opening:
    if config.database_url is None:
        return FileOpening(config, coin)
    need_psycopg()
    return ServerOpening(config, coin)


def find_coin(config: Config) -> Coin | None:
    """The coin of a server's database; None where it has no chain yet.

    Raises BadCoin, or StoreRefused where no server answers.
    """
    need_psycopg()
    from .server_database import ServerDatabase

    with ServerOpening.refusing_of(config):
        database = ServerDatabase(config)
        try:
            return database.coin()
        finally:
            database.close()


class FileOpening(Opening):
    """SQLite's file in the data folder."""

    def prepare(self, *, check_file: bool, may_wait: bool) -> Opened:
        config, database = self._config, self._config.database
        with self.refusing():
            # Looked for first: another process that makes this folder now writes it behind its first commit.
            is_marked = config.chain_marker.exists()
            made.check_not_lost(config, "node")
            schema.prepare(database)
            what = _how_much(database, check_file=check_file, may_wait=may_wait)
            is_new = check.look(database, self._coin, what)
        if is_new and is_marked:
            raise made.lost(config)
        behind = partial(check.look, database, self._coin, Look.WHOLE) if what is Look.NEWEST else None
        return Opened(is_new, behind)

    def refusing(self) -> AbstractContextManager[None]:
        return refusing(self._config.database)

    def mark(self) -> None:
        made.mark(self._config, self._coin)


class ServerOpening(Opening):
    """A server's database. Its pages are the server's to check: a start looks at the newest blocks, as of any chain."""

    def prepare(self, *, check_file: bool, may_wait: bool) -> Opened:
        from .server_database import ServerDatabase

        is_marked = self._config.chain_marker.exists()
        with self.refusing():
            database = ServerDatabase(self._config)
            try:
                risks = database.prepare()
                is_new = database.look(self._coin, Look.NEWEST if check_file else Look.OWNER)
            finally:
                database.close()
        if is_new and is_marked:
            raise made.lost_on_server(self._config, database.shown)
        if risks:
            log.warning(
                "%s may lose what it has acknowledged, since its server has %s: --unsafe-database takes that risk",
                database.shown,
                " and ".join(risks),
            )
        return Opened(is_new)

    @staticmethod
    @contextmanager
    def refusing_of(config: Config) -> Iterator[None]:
        """`refusing`, of the database that a configuration names."""
        from ..backends.postgres.pg_address import shown

        assert config.database_url is not None  # noqa: S101 - of `opening_of`
        try:
            yield
        except DBAPIError as error:
            raise refused(shown(config.database_url), error) from None

    def refusing(self) -> AbstractContextManager[None]:
        return self.refusing_of(self._config)

    def mark(self) -> None:
        from ..backends.postgres.pg_address import shown

        assert self._config.database_url is not None  # noqa: S101 - of `opening_of`
        made.mark(self._config, self._coin, shown(self._config.database_url))


def _how_much(database: Path, *, check_file: bool, may_wait: bool) -> Look:
    """How much of a file is looked at before it is used. `may_wait`: what takes longer may be done behind that."""
    if not check_file:
        return Look.OWNER
    # With a rollback journal, whoever reads for long holds writers up.
    is_long = database.stat().st_size > _AT_ONCE_BYTES and sqlite.has_safe_wal
    return Look.NEWEST if may_wait and is_long else Look.WHOLE
