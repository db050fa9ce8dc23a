"""On which database a test runs: SQLite, or one on a PostgreSQL server for each of its data folders.

A file of tests with `pytestmark = pytest.mark.both_databases` runs on both. Its tests make their nodes' configs by
`node_config`, as `Node`, `running` and `own_node` do, and a child process by `Child`, which tells it where it is.
A test in it that is about SQLite's file itself says so: `@pytest.mark.sqlite_only("why")`. A fixture of a file or of
the session that opens a node asks for `database`, so that it is made anew for the other one.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from moneyer.node.config import Config
from tests.kit.postgres.shared import EMPTY, Databases, shared

__all__ = ["Databases", "choose", "current", "database", "empty_databases", "fresh_database", "node_config", "within"]

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


def database_words(config: Config) -> list[str]:
    """The option by which a command finds a node's database, beside `--data`."""
    return [] if config.database_url is None else ["--database", config.database_url]


def copy_node(source: Path, folder: Path) -> None:
    """Copy the data folder of a node that is closed, and its database where that is on a server."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("bells"))
    if _current is not None:
        _current.copy(source, folder)


def examples(most: int, on_server: int, *strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`@given(*strategies)`, with `most` examples on SQLite, and so many on a server: each has nodes of its own there.

    The test's first parameter is a fixture, of a file or of the session; the others are drawn.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        drawn = {
            name: settings(max_examples=count)(given(*strategies)(test))  # type: ignore[no-untyped-call]
            for name, count in ((SQLITE, most), (POSTGRESQL, on_server))
        }

        fixture = next(iter(inspect.signature(test).parameters))

        def on_either(database: str, **fixtures: Any) -> None:
            drawn[database](fixtures[fixture])

        wanted = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in (fixture, "database")]
        setattr(on_either, "__signature__", inspect.Signature(wanted))  # noqa: B010 - what pytest looks at
        on_either.__name__, on_either.__doc__ = test.__name__, test.__doc__
        on_either.__module__, on_either.__qualname__ = test.__module__, test.__qualname__
        return on_either

    return decorate


def choose(metafunc: pytest.Metafunc) -> None:
    """Give a test of `both_databases` one run on each."""
    if metafunc.definition.get_closest_marker("both_databases") is not None:
        only = metafunc.definition.get_closest_marker("sqlite_only") is not None
        metafunc.parametrize("database", [SQLITE] if only else [SQLITE, POSTGRESQL], indirect=True, scope="module")


_SERVERS = ("tests.kit.postgres", "tests.kit.net.balancers", "tests.docs.prometheus")


def needs_server(item: pytest.Item) -> bool:
    """Whether a test runs another program's server: by its database, a fixture, or the kit that its file uses."""
    if not isinstance(item, pytest.Function):
        return False
    runs_on_it = hasattr(item, "callspec") and item.callspec.params.get("database") == POSTGRESQL
    of_kit = (getattr(each, "__module__", None) or "" for each in vars(item.module).values())
    return runs_on_it or "fresh_database" in item.fixturenames or any(map(_is_of_servers, of_kit))


def _is_of_servers(module: object) -> bool:
    return isinstance(module, str) and module.startswith(_SERVERS)


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
def empty_databases(database: str) -> Iterator[None]:
    """Data folders' databases on a server are without a schema at first, where else they have it from a template."""
    with within(_current and replace(_current, template=EMPTY)):
        yield


@pytest.fixture
def fresh_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database, dropped when the test ends. Whatever the test's other nodes run on."""
    databases = shared()
    with databases.ended():
        yield databases.fresh()
