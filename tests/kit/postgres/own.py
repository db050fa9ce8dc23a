"""A server that the tests of one file may break, and new databases on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.postgres.cluster import PostgresServer, postgres_server
from tests.kit.postgres.shared import Databases


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Of a file of tests, which leave it running."""
    with postgres_server() as started:
        yield started


@pytest.fixture
def name(server: PostgresServer) -> str:
    """Of a new database on it."""
    return new_database(server)


@pytest.fixture
def url(server: PostgresServer, name: str) -> str:
    """That database's."""
    return server.url(name)


def new_database(server: PostgresServer) -> str:
    return Databases(server.url(), "own_").fresh().rpartition("/")[2]
