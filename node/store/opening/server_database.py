"""A PostgreSQL server's database before it is used: its schema and what stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ...config import Config
from ...core.coin import Coin
from ...core.coinfile import coin_from_toml
from ...system.advice import typed
from ...system.words import quoted
from ..backends.postgres.pg_address import conninfo, shown
from ..backends.postgres.pg_connection import OPENING_LOCK
from ..backends.postgres.pg_engines import as_sqlalchemy, open_plainly, take_time
from ..backends.postgres.pg_replica import check_replica
from ..errors import StoreRefused, refused
from ..meta import CHANGES, COIN, get, put
from ..tables import SCHEMA_REVISION, metadata
from . import check, schema
from .check import Look

OLDEST: Final = 14
_ASKED: Final = text(
    "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'), "
    "current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), "
    "pg_is_in_recovery()"
)
_ELSEWHERE: Final = text(
    "SELECT schemaname FROM pg_tables WHERE tablename = 'mempool_totals' AND schemaname <> current_schema() "
    "ORDER BY schemaname LIMIT 1"
)
_LOCK: Final = text(f"SELECT pg_advisory_xact_lock({OPENING_LOCK[0]}, {OPENING_LOCK[1]})")


def check_server(conn: Connection, shown: str, *, unsafe: bool) -> list[str]:
    """The settings by which a server may forget, as `fsync=off`; only where `unsafe` says that it is taken anyway.

    Raises StoreRefused for a server that cannot be relied on.
    """
    version, encoding, synchronous, fsync, pages, is_replica = conn.execute(_ASKED).one()
    if version < OLDEST:
        raise StoreRefused(f"{shown} is on PostgreSQL {version}: it takes PostgreSQL {OLDEST} or newer")
    if encoding != "UTF8":
        raise StoreRefused(f"{shown} keeps text as {encoding}: make a database with ENCODING 'UTF8' TEMPLATE template0")
    if is_replica:
        raise StoreRefused(
            f"{shown} is a replica, which can only be read: name its primary with --database, and this one with "
            "--read-database"
        )
    off = {"synchronous_commit": synchronous, "fsync": fsync, "full_page_writes": pages}
    wrong = [f"{name}=off" for name, value in off.items() if value == "off"]
    if wrong and not unsafe:
        raise StoreRefused(
            f"{shown} may lose what it has acknowledged, since its server has {' and '.join(wrong)}: turn that on "
            "there, or take the risk with --unsafe-database"
        )
    return wrong


def own_revision(conn: Connection, shown: str) -> str | None:
    """The migration that a database stands at; None for an empty one. Within a transaction, outside a snapshot.

    Raises StoreRefused for another program's, and where a chain is in another schema of it.
    """
    found = schema.revision_of(conn)
    if found is None and inspect(conn).get_table_names():
        # Made between the two looks, by another process that starts? With the lock it is done.
        conn.execute(_LOCK)
        found = schema.revision_of(conn)
    if found is None and inspect(conn).get_table_names():
        raise StoreRefused(f"{shown} holds tables of another program: give Moneyer a database of its own")
    # Locks and notifications are of the database, so that two chains in it would be in each other's way.
    elsewhere = conn.execute(_ELSEWHERE).scalar() if found is None else None
    if elsewhere is not None:
        raise StoreRefused(
            f"{shown} has a chain already, in the schema {quoted(elsewhere)}, which is not the one that this user "
            "makes tables in (search_path): each chain has a database of its own"
        )
    return found


_OTHERS: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'moneyer' "
    "AND pid <> pg_backend_pid()"
)


class ServerDatabase:
    """What is done in a database of a server while it is not in use by this process. Errors are SQLAlchemy's."""

    def __init__(self, config: Config) -> None:
        """Raises StoreRefused for a URL that is none."""
        assert config.database_url is not None  # noqa: S101 - else it is a file's
        self._config, self._url = config, config.database_url
        self._unsafe = config.unsafe_database
        self.shown = shown(config.database_url)
        self._conninfo = conninfo(config.database_url)
        self.engine: Engine = open_plainly(self._conninfo)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """What SQLAlchemy raises, as StoreRefused."""
        try:
            yield
        except DBAPIError as error:
            raise refused(self.shown, error) from None

    def check_alone(self) -> None:
        """Raises StoreRefused where other processes of Moneyer's are connected."""
        with self.engine.begin() as conn:
            others = conn.execute(_OTHERS).scalar_one()
        if others:
            raise StoreRefused(f"{self.shown} is in use by nodes, workers or the like: stop them first")

    def revision(self) -> str | None:
        """The migration that it stands at; None for an empty one. Raises StoreRefused for another program's."""
        with self.engine.begin() as conn:
            return own_revision(conn, self.shown)

    def prepare(self, *, may_upgrade: bool = False) -> list[str]:
        """Make the schema, or upgrade it if `may_upgrade`, in one transaction. What `check_server` gives back.

        Not by itself: other machines may be at work with it, and no backup can be made here. Raises StoreRefused, and
        then nothing has changed.
        """
        with self.engine.begin() as conn:
            risks = check_server(conn, self.shown, unsafe=self._unsafe)
        if self._config.read_database_url is not None:
            with as_sqlalchemy(b"SELECT"):
                check_replica(self._url, self._config.read_database_url)
        if self.revision() != SCHEMA_REVISION:
            self._make_schema(may_upgrade=may_upgrade)
        return risks

    def _make_schema(self, *, may_upgrade: bool) -> None:
        with self.engine.begin() as conn:
            # Processes that start at once: the second one finds the work done.
            take_time(conn)
            conn.execute(_LOCK)
            found = schema.revision_of(conn)
            if found is None:
                metadata.create_all(conn)
                schema.write_revision(conn)
                put(conn, CHANGES, bytes(8))
            elif found != SCHEMA_REVISION:
                from . import migrate

                schema.refuse_unknown(self.shown, found)
                if not may_upgrade:
                    raise StoreRefused(
                        f"{self.shown} has schema {found}, and this program's is {SCHEMA_REVISION}: stop all that use "
                        f"it, make a backup, then `moneyer db upgrade --database {typed(self.shown)} --backup-done`"
                    )
                migrate.upgrade(conn)

    def look(self, coin: Coin, what: Look) -> bool:
        """Whether it is new. Raises StoreRefused (damaged, another coin)."""
        with self.engine.begin() as conn:
            # One instant: another process may be writing genesis.
            conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            return check.look_at(conn, coin, what, self.shown)

    def coin(self) -> Coin | None:
        """The coin of its chain; None where it has none yet. Raises BadCoin."""
        with self.engine.begin() as conn:
            raw = None if schema.revision_of(conn) is None else get(conn, COIN)
        return None if raw is None else coin_from_toml(raw.decode())
