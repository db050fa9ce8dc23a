"""A disk that is full, or not to be written: the request fails, nothing is half written, and work goes on after."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.store import meta
from moneyer.node.store.backends.sqlite.driver import driver
from tests.kit.chains import transfer
from tests.kit.damage import ALICE, BOB, CHAIN, made, template
from tests.kit.nodes import Node
from tests.kit.system.processes import Child, children
from tests.store.children import fill_the_disk, open_as_a_stranger

COIN = CHAIN.coin


def integrity(folder: Path) -> str:
    connection = driver.connect(str(folder / "chain.db"))
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("size", [5_000, 60_000, 3_000_000, 9_000_000], ids=lambda size: f"{size} bytes")
def test_a_write_that_finds_no_room_fails_whole_and_the_next_one_with_room_works(tmp_path: Path, size: int) -> None:
    # The largest does not fit SQLite's cache: it fails in the middle of the statement, the others at the commit.
    folder = made(tmp_path)
    with children(Child(fill_the_disk, folder, COIN)) as (child,):
        assert child.hear() == "ready"
        assert child.ask(("first", 100)) == "written"
        assert child.ask("limit") == "limited"
        for attempt in range(3):
            name, message = child.ask((f"too large {attempt}", size + 20_000))
            assert name == "StoreFailed"
            assert "see that the disk has room" in message
        assert child.ask("room") == "room"
        assert child.ask(("last", size)) == "written"
        child.kill()
    node = Node(folder, COIN)
    with node.store.read() as conn:
        assert [meta.get(conn, f"too large {attempt}") for attempt in range(3)] == [None] * 3
        assert meta.get(conn, "first") == bytes(100)
        assert meta.get(conn, "last") == bytes(size)
    verify_chain(node.store)
    node.store.close()
    assert integrity(folder) == "ok"


def test_blocks_and_transfers_that_find_no_room_are_refused_and_taken_later(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with children(Child(fill_the_disk, folder, COIN)) as (child,):
        assert child.hear() == "ready"
        assert child.ask("limit") == "limited"
        chain = CHAIN.branch(CHAIN.height, "on")
        answers = [child.ask(chain.add())]
        while answers[-1] == "extended":  # there is room for some
            answers.append(child.ask(chain.add()))
        sent = transfer(COIN, ALICE, BOB, 1, 1, CHAIN.account(ALICE).sequence + 1)  # behind the one in the pool
        assert answers[-1] == child.ask(chain.tip) == child.ask(sent) == "StoreFailed"
        assert child.ask("room") == "room"
        assert child.ask(chain.tip) == "extended"
        assert child.ask(sent) == "ready"
    node = Node(folder, COIN)
    assert node.tip_hash == chain.tip_hash
    assert node.pool()[codec.txid(sent)]
    verify_chain(node.store)
    node.store.close()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that a stranger may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="moneyer-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "with a chain"])
def test_a_folder_that_cannot_be_written_is_refused_with_a_sentence(open_to_all: Path, is_new: bool) -> None:
    if not is_new:
        shutil.copy(template() / "chain.db", open_to_all)
        (open_to_all / "chain.db").chmod(0o644)
    before = {path.name: path.read_bytes() for path in open_to_all.iterdir()}
    open_to_all.chmod(0o555)
    with children(Child(open_as_a_stranger, open_to_all, COIN)) as (child,):
        message = child.hear()
    assert "cannot be used" in message or "can be written" in message
    assert str(open_to_all) in message
    assert {path.name: path.read_bytes() for path in open_to_all.iterdir()} == before
