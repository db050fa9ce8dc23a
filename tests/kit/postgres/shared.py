"""The server that this process of tests shares, or the one that MONEYER_TEST_DATABASE names; databases on it."""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from tests.kit.postgres.binaries import need_psycopg
from tests.kit.postgres.cluster import PostgresServer

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Databases:
    """A server on which this session makes databases, known in other processes too: a folder's has the same name there.

    `url`: of a database that is always there, for a role that may make others; `prefix`: how the names of ours begin.
    """

    url: str
    prefix: str

    def url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def of_folder(self, folder: Path) -> str:
        """The URL of a data folder's database, which is made where it was not yet. In any process."""
        digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
        return self.make(f"{self.prefix}{digest[:20]}")

    def fresh(self) -> str:
        """The URL of a database that nobody else has."""
        return self.make(f"{self.prefix}{secrets.token_hex(10)}")

    def make(self, name: str) -> str:
        import psycopg

        with closing(self.connect()) as connection:
            # A checkpoint, in place of every page of it in the log: half the time where no disk is waited for.
            how = " STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            try:
                if there is None:
                    wanted = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                    connection.execute(f"{wanted}{how}".encode())
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                pass  # another process was quicker
        return self.url_of(name)

    def names(self) -> set[str]:
        """Of all that this session has made and not dropped."""
        with closing(self.connect()) as connection:
            rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (self.prefix,))
            return {name for (name,) in rows}

    def drop(self, names: set[str]) -> None:
        """With whoever is connected to them."""
        if names:
            with closing(self.connect()) as connection:
                for name in sorted(names):
                    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Databases that were made within the block are dropped behind it."""
        before = self.names()
        try:
            yield
        finally:
            self.drop(self.names() - before)

    def connect(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(self.url, autocommit=True)


@cache
def shared() -> Databases:
    """Of this process of tests; the server is started when this is first asked. Skips the test where there is none."""
    prefix = f"moneyer_test_{secrets.token_hex(4)}_"
    given = os.environ.get("MONEYER_TEST_DATABASE")
    if given:
        need_psycopg()
        return Databases(given, prefix)
    server = PostgresServer()
    atexit.register(server.close)
    return Databases(server.start().url(), prefix)
