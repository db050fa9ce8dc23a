"""A large file is answered from before it is checked whole: nothing is written until then, and damage ends the node."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moneyer.node.config import Config
from moneyer.node.store import meta
from moneyer.node.store.backends.sqlite.driver import has_safe_wal
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreFailed, StoreRefused
from moneyer.node.system.locks import is_held
from tests.kit.damage import CHAIN, bytes_of, change, made, refused
from tests.kit.nodes import place_coin
from tests.kit.running import launch
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until
from tests.store.test_damage import GONE_OR_CHANGED

COIN = CHAIN.coin

pytestmark = pytest.mark.skipif(not has_safe_wal, reason="without a log every file is checked whole first")


def large(parent: Path) -> Path:
    """`made`, with so many free pages that it counts as large."""
    folder = made(parent)
    place_coin(folder, COIN)
    change(folder, "CREATE TABLE pad (x); INSERT INTO pad VALUES (zeroblob(6000000)); DROP TABLE pad")
    return folder


def opened(folder: Path, heard: list[StoreRefused]) -> Store | None:
    """The store; None where it is refused before it is open."""
    try:
        return Store.open(Config(folder), COIN, on_damage=heard.append)
    except StoreRefused as error:
        heard.append(error)
        return None


@pytest.mark.parametrize("what", GONE_OR_CHANGED)
def test_what_a_start_refuses_is_noticed_in_a_large_file_too_and_the_file_stays_as_it_is(
    tmp_path: Path, what: str
) -> None:
    folder = large(tmp_path)
    change(folder, GONE_OR_CHANGED[what])
    before = bytes_of(folder)
    heard: list[StoreRefused] = []
    store = opened(folder, heard)
    if store is not None:
        write = store.submit(lambda conn: meta.put(conn, "written", b"by a test"))
        wait_until(lambda: heard, 30, "the damage to be noticed")
        assert not write.done()
        store.close()
        assert isinstance(write.exception(), StoreFailed)
    (why,) = heard
    assert str(folder / "chain.db") in why.message
    assert "moneyer db anew --data" in why.message or "put the first coin.toml back" in why.message
    assert bytes_of(folder) == before


def test_of_a_sound_large_file_nothing_is_said_and_writes_go_on(tmp_path: Path) -> None:
    folder = large(tmp_path)
    heard: list[StoreRefused] = []
    store = opened(folder, heard)
    assert store is not None
    for number in range(2):
        store.write(lambda conn, number=number: meta.put(conn, f"written {number}", b"by a test"))  # type: ignore[misc]
    store.close()
    assert heard == []


@pytest.mark.parametrize("where", [0.25, 0.5, 0.75, 0.95])
def test_a_node_on_a_large_file_with_a_damaged_page_ends_with_the_sentence(tmp_path: Path, where: float) -> None:
    """A page of the chain: the free ones stand behind it."""
    folder = large(tmp_path)
    pages = (made(tmp_path / "small") / "chain.db").stat().st_size // 4096
    database = folder / "chain.db"
    sound = database.read_bytes()
    at = int(pages * where) * 4096
    database.write_bytes(sound[:at] + b"\xa5" * 4096 + sound[at + 4096 :])
    config = Config(data=folder, port=free_port(), development=True)
    assert "puts a backup in its place" in refused(config)
    assert not config.checked_lock.exists()
    shutil.rmtree(folder)


def test_a_node_that_knows_a_large_file_to_be_whole_tells_its_worker_by_a_lock(tmp_path: Path) -> None:
    config = Config(data=large(tmp_path), port=free_port(), development=True)
    process = launch(config)
    try:
        wait_until(lambda: is_held(config.checked_lock), 60, "the lock")
        assert is_held(config.node_lock)
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert not is_held(config.checked_lock)
