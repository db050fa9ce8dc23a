"""On which database a test runs: SQLite, or one on a PostgreSQL server for each of its data folders.

A file of tests with `pytestmark = pytest.mark.both_databases` runs on both. Its tests make their nodes' configs by
`node_config`, as `Node`, `running` and `own_node` do, and a child process by `Child`, which tells it where it is.
A test in it that is about SQLite's file itself says so: `@pytest.mark.sqlite_only("why")`. A fixture of a file or of
the session that opens a node asks for `database`, so that it is made anew for the other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.config import Config
from tests.kit.postgres.shared import Databases, shared

__all__ = ["Databases", "choose", "current", "database", "fresh_database", "node_config", "within"]

SQLITE, POSTGRESQL = "sqlite", "postgresql"

_current: Databases | None = None


def current() -> Databases | None:
    """Where data folders have their databases now; None: each in itself, an SQLite file."""
    return _current


@contextmanager
def within(databases: Databases | None) -> Iterator[None]:
    """Within the block data folders have their databases there."""
    global _current
    before, _current = _current, databases
    try:
        yield
    finally:
        _current = before


def node_config(data: Path, **fields: Any) -> Config:
    """The Config of a data folder, with its database on the server where the test runs on one."""
    if _current is not None and "database_url" not in fields:
        fields["database_url"] = _current.of_folder(data)
    return Config(data, **fields)


def choose(metafunc: pytest.Metafunc) -> None:
    """Give a test of `both_databases` one run on each."""
    if metafunc.definition.get_closest_marker("both_databases") is not None:
        only = metafunc.definition.get_closest_marker("sqlite_only") is not None
        metafunc.parametrize("database", [SQLITE] if only else [SQLITE, POSTGRESQL], indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """`sqlite` or `postgresql`: what the tests of a file run on meanwhile."""
    name: str = getattr(request, "param", SQLITE)
    with within(shared() if name == POSTGRESQL else None), _ended():
        yield name


@pytest.fixture(autouse=True)
def _a_test_leaves_no_database(database: str) -> Iterator[None]:
    with _ended():
        yield


def _ended() -> Any:
    return nullcontext() if _current is None else _current.ended()


@pytest.fixture
def fresh_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database, dropped when the test ends. Whatever the test's other nodes run on."""
    databases = shared()
    with databases.ended():
        yield databases.fresh()
