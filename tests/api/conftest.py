"""One node for a file's tests that do not mind each other's; `fresh` for those that do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.running import RunningNode, running


@pytest.fixture(scope="module")
def node(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A development node, shared by the tests of a file."""
    with running(tmp_path_factory.mktemp("shared") / "node") as started:
        yield started


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningNode]:
    """A development node for one test."""
    with running(tmp_path / "node") as started:
        yield started


@pytest.fixture(scope="module")
def guarded(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that wants its token, and answers to one name more."""
    folder = tmp_path_factory.mktemp("guarded") / "node"
    with running(folder, development=False, allow_hosts=("coins.example",)) as started:
        yield started
