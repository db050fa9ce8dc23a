"""The server that this process of tests shares, or the one that MONEYER_TEST_DATABASE names; databases on it."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from moneyer.node.config import Config
from moneyer.node.store.opening.server_database import ServerDatabase
from tests.kit.postgres.binaries import need_psycopg
from tests.kit.postgres.cluster import PostgresServer
from tests.kit.waiting import wait_until

if TYPE_CHECKING:
    import psycopg

EMPTY = "template0"
_IN_POSTGRESQL = (
    (r"\bx'([0-9a-f]*)'", r"'\\x\1'::bytea"),
    (r"\bzeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')"),
    (r"\bAS BLOB\b", "AS bytea"),
)
"""How PostgreSQL writes what SQLite writes so."""
_DROP_CHECKS = """
DO $$ DECLARE made record; BEGIN
    FOR made IN SELECT conrelid::regclass AS of_table, conname FROM pg_constraint
        WHERE contype = 'c' AND connamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', made.of_table, made.conname); END LOOP;
END $$
"""


@dataclass(frozen=True)
class Databases:
    """A server on which this session makes databases, known in other processes too: a folder's has the same name there.

    `url`: of a database that is always there, for a role that may make others; `prefix`: how the names of ours begin;
    `template`: what a folder's database is copied from.
    """

    url: str
    prefix: str
    template: str = EMPTY

    def url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def of_folder(self, folder: Path) -> str:
        """The URL of a data folder's database, which is made where it was not yet. In any process."""
        return self.make(self._name(folder), self.template)

    def copy(self, source: Path, folder: Path) -> str:
        """The URL of a folder's database, made as a copy of another's that nobody has open."""
        return self.make(self._name(folder), self._name(source))

    def change(self, folder: Path, sql: str) -> None:
        """Run SQLite's statements in a folder's database: no foreign keys, no checks."""
        import psycopg

        for ours, theirs in _IN_POSTGRESQL:
            sql = re.sub(ours, theirs, sql)
        with psycopg.connect(self.of_folder(folder)) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(_DROP_CHECKS)
            connection.execute(sql.encode())

    def _name(self, folder: Path) -> str:
        return f"{self.prefix}{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:20]}"

    def fresh(self) -> str:
        """The URL of an empty database that nobody else has."""
        return self.make(f"{self.prefix}{secrets.token_hex(10)}")

    def make(self, name: str, template: str = EMPTY) -> str:
        import psycopg

        with closing(self.connect()) as connection:
            # A checkpoint, in place of every page of it in the log: half the time where no disk is waited for.
            how = " STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            try:
                if there is None:
                    wanted = f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                    _once_left(connection, f"{wanted}{how}")
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                pass  # another process was quicker
        return self.url_of(name)

    def names(self) -> set[str]:
        """Of all that this session has made and not dropped."""
        with closing(self.connect()) as connection:
            rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (self.prefix,))
            return {name for (name,) in rows} - {self.template}

    def drop(self, names: set[str]) -> None:
        """With whoever is connected to them."""
        if names:
            with closing(self.connect()) as connection:
                for name in sorted(names):
                    _once_left(connection, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def wait_until_unused(self, url: str) -> None:
        """Until nobody is connected to a database: a session that its client has closed lives for a moment more."""
        sessions, name = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", url.rpartition("/")[2]
        with closing(self.connect()) as connection:
            wait_until(lambda: connection.execute(sessions, (name,)).fetchone() == (0,), 30, f"{name} to be unused")

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Databases that were made within the block are dropped behind it."""
        before = self.names()
        try:
            yield
        finally:
            self.drop(self.names() - before)

    def drop_all(self) -> None:
        import psycopg

        with suppress(psycopg.OperationalError):  # the server ended before us
            self.drop(self.names() | ({self.template} - {EMPTY}))

    def connect(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(self.url, autocommit=True)


def _once_left(connection: psycopg.Connection[Any], statement: str) -> None:
    """Run what wants nobody in a database: the server waits five seconds for the sessions of those that have left."""
    import psycopg

    def is_done() -> bool:
        with suppress(psycopg.errors.ObjectInUse):
            connection.execute(statement.encode())
            return True
        return False

    wait_until(is_done, 60, f"the last sessions to end, for {statement}")


@cache
def shared() -> Databases:
    """Of this process of tests; the server is started when this is first asked. Skips the test where there is none."""
    prefix = f"moneyer_test_{secrets.token_hex(4)}_"
    given = os.environ.get("MONEYER_TEST_DATABASE")
    if given:
        need_psycopg()
        databases = Databases(given, prefix)
        atexit.register(databases.drop_all)
        return with_template(databases)
    server = PostgresServer()
    atexit.register(server.close)
    return with_template(Databases(server.start().url(), prefix))


def with_template(databases: Databases) -> Databases:
    """The same, whose folders' databases have the schema from the start: as after a start that was killed behind it.

    That saves a test's node most of what it does at its first start.
    """
    name = f"{databases.prefix}template"
    made = ServerDatabase(Config(Path(), database_url=databases.make(name)))
    made.prepare()
    made.close()
    return replace(databases, template=name)
