"""Who waits for a change hears of it at once, whichever process made it."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from moneyer.node.store import meta
from moneyer.node.store.backends.sqlite import doorbell
from moneyer.node.store.backends.sqlite.doorbell import Doorbell
from moneyer.node.store.engine import Store
from tests.kit.damage import CHAIN
from tests.kit.databases import node_config
from tests.kit.system.processes import Child, children
from tests.kit.waiting import wait_until
from tests.store.children import commit_when_told, wait_for_changes

pytestmark = pytest.mark.both_databases

COIN = CHAIN.coin
FOREVER = 3600.0
"""Seconds: what is heard in a test is not heard because a wait has ended."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.open(node_config(tmp_path), COIN)
    opened.fallback_seconds = FOREVER
    return opened


def put(store: Store, key: str) -> None:
    store.write(lambda conn: meta.put(conn, key, b"x"))


def test_a_commit_wakes_the_other_processes_and_each_hears_of_every_one(tmp_path: Path, store: Store) -> None:
    with children(*(Child(wait_for_changes, tmp_path, COIN, FOREVER) for _ in range(2))) as both:
        assert [child.hear() for child in both] == ["ready", "ready"]
        for number in range(10):
            put(store, str(number))
            assert [child.hear() for child in both] == ["changed", "changed"]
    store.close()


def test_a_commit_in_another_process_wakes_this_one(tmp_path: Path, store: Store) -> None:
    with children(Child(commit_when_told, tmp_path, COIN)) as (child,):
        assert child.hear() == "ready"
        for number in range(5):
            seen = store.data_version()
            child.tell(str(number))
            assert store.wait_for_change(seen, FOREVER) != seen
            assert child.hear() == "committed"
    store.close()


def test_a_commit_in_this_process_wakes_its_own_threads(store: Store) -> None:
    seen = store.data_version()
    heard: list[int] = []
    threads = [threading.Thread(target=lambda: heard.append(store.wait_for_change(seen, FOREVER))) for _ in range(4)]
    for thread in threads:
        thread.start()
    put(store, "a")
    for thread in threads:
        thread.join(30)
    assert len(heard) == 4
    assert seen not in heard
    store.close()


def test_a_wait_without_a_change_ends_with_what_was_seen(store: Store) -> None:
    seen = store.data_version()
    store.wake()
    assert store.wait_for_change(seen, 0.01) == seen
    assert store.wait_for_change(seen + 1, FOREVER) == seen
    store.close()


@pytest.mark.sqlite_only("the bells are FIFOs of a data folder")
def test_a_change_whose_ring_was_lost_is_seen_all_the_same(tmp_path: Path) -> None:
    store = Store.open(node_config(tmp_path), COIN)  # with its true fallback
    with children(Child(commit_when_told, tmp_path, COIN)) as (child,):
        assert child.hear() == "ready"
        for bell in (tmp_path / "bells").iterdir():
            bell.unlink()
        seen = store.data_version()
        child.tell("a")
        assert store.wait_for_change(seen, 60) != seen
    store.close()


@pytest.mark.sqlite_only("the bells are FIFOs of a data folder")
def test_the_bell_of_a_dead_process_is_removed_and_those_of_the_living_stay(tmp_path: Path, store: Store) -> None:
    bells = tmp_path / "bells"
    mine = set(bells.iterdir())
    with children(*(Child(wait_for_changes, tmp_path, COIN, FOREVER) for _ in range(2))) as (dead, living):
        assert dead.hear() == living.hear() == "ready"
        dead.kill()
        assert len(set(bells.iterdir())) == 3
        put(store, "a")
        assert living.hear() == "changed"
        wait_until(lambda: len(set(bells.iterdir())) == 2)
        assert mine < set(bells.iterdir())
    store.close()


@pytest.mark.sqlite_only("the bells are FIFOs of a data folder")
def test_a_new_bell_is_never_taken_for_a_dead_one(tmp_path: Path) -> None:
    folder = tmp_path / "bells"
    ringer = Doorbell(folder, lambda: None)
    stop = threading.Event()

    def ring_all_the_time() -> None:
        while not stop.is_set():
            ringer.ring_others()

    thread = threading.Thread(target=ring_all_the_time)
    thread.start()
    rung = threading.Event()
    for _ in range(150):
        rung.clear()
        bell = Doorbell(folder, rung.set)
        assert rung.wait(30)
        bell.close()
    stop.set()
    thread.join(30)
    ringer.close()
    assert list(folder.iterdir()) == []


@pytest.mark.sqlite_only("the bells are FIFOs of a data folder")
def test_a_bell_that_nobody_answers_never_holds_the_ringer_up(tmp_path: Path) -> None:
    folder = tmp_path / "bells"
    ringer = Doorbell(folder, lambda: None)
    deaf = folder / "1-deaf.bell"
    os.mkfifo(deaf)
    descriptor = os.open(deaf, os.O_RDWR | os.O_NONBLOCK)
    for _ in range(70_000):  # more than a pipe takes
        doorbell.ring(deaf)
    ringer.ring_others()
    os.close(descriptor)
    ringer.ring_others()
    assert not deaf.exists()
    ringer.close()


@pytest.mark.sqlite_only("the bells are FIFOs of a data folder")
def test_commits_go_on_when_the_folder_of_bells_is_gone(tmp_path: Path, store: Store) -> None:
    shutil.rmtree(tmp_path / "bells")
    put(store, "a")
    with store.read() as conn:
        assert meta.get(conn, "a") == b"x"
    store.close()
