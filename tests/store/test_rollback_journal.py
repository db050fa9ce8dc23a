"""Where SQLite's log can't be trusted, a rollback journal is kept: long reads must not hold writers up there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.chain.verify import verify_chain
from moneyer.node.store.backends.sqlite import driver as sqlite
from moneyer.node.store.backends.sqlite import engines
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.opening import schema
from tests.kit.damage import CHAIN, made
from tests.kit.nodes import Node


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an SQLite before 3.51.3."""
    monkeypatch.setattr(sqlite, "has_safe_wal", False)
    monkeypatch.setattr(engines, "journal_mode", "TRUNCATE")


@pytest.fixture
def node(tmp_path: Path, journal: None) -> Iterator[Node]:
    opened = Node(made(tmp_path), CHAIN.coin, busy_seconds=0.2)
    yield opened
    opened.store.close()


def test_a_block_is_written_while_the_whole_chain_is_checked(node: Node) -> None:
    chain = CHAIN.branch(CHAIN.height, "meanwhile")
    written: list[str] = []

    def progress(_done: int, _total: int) -> None:
        if not written:
            written.append(node.offer(chain.add()).status)

    assert verify_chain(node.store, progress).height == CHAIN.height
    assert written == ["extended"]
    assert verify_chain(node.store).height == CHAIN.height + 1
    assert not list(node.store.config.data.glob(".chain.db.*"))


def test_a_copy_that_is_overtaken_again_and_again_is_made_in_one_go(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_SLICE_PAGES", 1)
    database = node.store.config.database
    chain = CHAIN.branch(CHAIN.height, "meanwhile")

    class Busy:
        """A source that another connection writes to at each slice."""

        def __init__(self, source: object) -> None:
            self.source = source

        def backup(self, target: object, **options: object) -> None:
            look = options.get("progress")
            if look is not None:

                def write_and_look(*told: int) -> None:
                    node.offer(chain.add())
                    look(*told)  # type: ignore[operator]

                options["progress"] = write_and_look
            self.source.backup(target, **options)  # type: ignore[attr-defined]

    with (
        closing(engines.connect_to_look(database)) as source,
        closing(driver.connect(str(tmp_path / "c.db"))) as copy,
    ):
        engines.copy_database(Busy(source), copy)
        (height,) = copy.execute("SELECT max(height) FROM blocks").fetchone()
    assert height == chain.height > CHAIN.height + 3


def test_a_backup_is_made_in_slices_too(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    really = engines.copy_database

    def noting(source: Any, target: Any) -> None:
        seen.append(source)
        really(source, target)

    monkeypatch.setattr(schema, "copy_database", noting)
    schema.backup(node.store.config.database, tmp_path / "backup.db")
    assert len(seen) == 1


def test_the_start_says_what_is_slower(journal: None) -> None:
    said = sqlite.warning()
    assert said is not None
    for what in ("commit", "whoever writes waits for whoever reads", "`verify`", "`/is_valid`", "`db backup`"):
        assert what in said
