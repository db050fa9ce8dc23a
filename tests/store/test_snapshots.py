"""Snapshots of several databases: of one instant, whole or not at all; and a restore that is killed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from types import FrameType

import pytest

from moneyer.node.store import meta
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.errors import StoreRefused
from moneyer.node.store.snapshots.restore import check_own
from moneyer.node.store.snapshots.take import check_name, find, take
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.nodes import Node
from tests.kit.system.disks import filled, small_disk
from tests.kit.system.processes import Child, children
from tests.store.children import go_back_until_killed

__all__ = ["small_disk"]

COIN = easy_coin()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[Node]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Node(tmp_path / name, COIN)) for name in ("a", "b")]


def databases(nodes: list[Node]) -> dict[str, Path]:
    return {node.config.data.name: node.config.database for node in nodes}


def number_in(file: Path) -> int:
    with closing(driver.connect(str(file))) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (value,) = copy.execute("SELECT value FROM meta WHERE key = 'number'").fetchone()
    return int(value)


def write_number(node: Node, number: int) -> None:
    node.store.write(lambda conn: meta.replace(conn, "number", str(number).encode()))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_all_are_of_one_instant_while_they_are_written(pair: list[Node], tmp_path: Path) -> None:
    """One number goes from node to node: no snapshot has it in the second one and not in the first."""
    over = threading.Event()
    for node in pair:
        write_number(node, 0)

    def write() -> None:
        for number in count(1):
            for node in pair:
                write_number(node, number)
            if over.is_set():
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(10):
            # A writer without a pause leaves short gaps: on a busy machine five seconds may not find one.
            take(databases(pair), tmp_path / "snapshots" / "now", hold_seconds=120)
            first, second = (number_in(tmp_path / "snapshots" / "now" / f"{name}.db") for name in "ab")
            assert first - second in (0, 1)
    finally:
        over.set()
        thread.join()
    assert names(tmp_path / "snapshots") == ["now", "now/a.db", "now/b.db"]


def test_a_full_disk_leaves_the_snapshot_that_was_there(pair: list[Node], small_disk: Path) -> None:
    folder = small_disk / "snapshots" / "one"
    for node in pair:
        write_number(node, 1)
    take(databases(pair), folder)
    for node in pair:
        write_number(node, 2)
    with filled(small_disk), pytest.raises(StoreRefused, match="cannot be written"):
        take(databases(pair), folder)
    assert [number_in(folder / f"{name}.db") for name in "ab"] == [1, 1]
    assert names(folder.parent) == ["one", "one/a.db", "one/b.db"]
    take(databases(pair), folder)
    assert [number_in(folder / f"{name}.db") for name in "ab"] == [2, 2]


def test_an_interruption_at_any_moment_leaves_a_whole_snapshot(pair: list[Node], tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "one"

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for number in range(24):
            for node in pair:
                write_number(node, number)  # at once: no lock was left
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.001 * (1 + number))
                take(databases(pair), folder)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            else:
                assert number_in(folder / "a.db") == number
            files = [find(folder, name) for name in "ab"]
            if number:
                held = {number_in(file) for file in files if file is not None}
                assert len(held) <= 1
        take(databases(pair), folder)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    assert names(folder.parent) == ["one", "one/a.db", "one/b.db"]


def test_what_a_killed_one_has_left_goes_with_the_next_of_whatever_name(pair: list[Node], tmp_path: Path) -> None:
    left = tmp_path / "snapshots" / ".killed.tmp"
    left.mkdir(parents=True)
    (left / "a.db").write_bytes(b"half")
    take({"a": pair[0].config.data / "chain.db"}, tmp_path / "snapshots" / "next")
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["next"]


def test_what_cannot_be_copied_is_named_and_no_snapshot_is_made(pair: list[Node], tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match=r"gone/chain\.db"):
        take({**databases(pair), "gone": tmp_path / "gone" / "chain.db"}, tmp_path / "snapshots" / "one")
    assert names(tmp_path / "snapshots") == []
    for name in ("", ".", "..", "a/b", "-a", "x" * 65, "ä"):
        with pytest.raises(StoreRefused, match="letters"):
            check_name(name)
    write_number(pair[0], 1)


def test_a_database_that_another_process_holds_is_named_in_time(pair: list[Node], tmp_path: Path) -> None:
    with closing(driver.connect(str(pair[1].config.database), isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreRefused, match="another process is at work in it"):
            take(databases(pair), tmp_path / "snapshots" / "one", hold_seconds=0.1)
    write_number(pair[0], 1)


def test_a_restore_that_is_killed_leaves_the_old_rows_or_the_new_ones(tmp_path: Path) -> None:
    """Killed at any instant of going back and forth between a short chain and a long one."""
    chain = ChainBuilder(COIN)
    chain.grow(60)
    files: list[Path] = []
    with Node(tmp_path / "a", COIN) as node:
        for blocks in (chain.raw[:1], chain.raw[1:]):
            node.offer_all(blocks)
            take({"a": node.config.database}, tmp_path / "snapshots" / f"s{len(files)}")
            files.append(tmp_path / "snapshots" / f"s{len(files)}" / "a.db")
        with node.store.read() as conn:
            node_id = meta.node_id(conn)
    for pause in range(6):
        child = Child(go_back_until_killed, tmp_path / "a", COIN, files)
        with children(child):
            for _ in range(pause + 1):
                child.hear()
        check_own(tmp_path / "a" / "chain.db", COIN, node_id)
        with Node(tmp_path / "a", COIN) as node:
            assert (node.height, node.tip_hash) in [(1, chain.branch(1, "short").tip_hash), (60, chain.tip_hash)]
