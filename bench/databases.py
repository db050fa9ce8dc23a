"""Fresh databases of a PostgreSQL server that is the bench's own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.kit.postgres.cluster import PostgresServer

_numbers = count()


@contextmanager
def on_disk() -> Iterator[PostgresServer]:
    """A server with its files where SQLite's are. Ends the bench where there is no PostgreSQL."""
    try:
        server = PostgresServer(room=Path(tempfile.gettempdir()))
    except pytest.skip.Exception as missing:
        print(f"not measured: {missing}")
        sys.exit(0)
    with server.start():
        yield server


@contextmanager
def fresh(server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, dropped behind the block."""
    name = f"bench_{next(_numbers)}"
    server.ask(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield server.url(name)
    finally:
        server.ask(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def database(server: PostgresServer | None) -> Iterator[str | None]:
    """`fresh`; None where a file is meant."""
    if server is None:
        yield None
        return
    with fresh(server) as url:
        yield url
