"""Hashing processes that live and do nothing: stopped by a signal, as a hang would stop them."""

from __future__ import annotations

import os
import signal
import threading
from itertools import count
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from time import monotonic

import pytest

from moneyer.worker.hasher import Unit
from moneyer.worker.pool import HasherPool
from tests.kit.chains import easy_coin
from tests.kit.mining.workers import HOPELESS, MILD, NodeFolder, WorkerProcess, have_hashed
from tests.kit.system.process_tree import is_gone, kill
from tests.kit.waiting import wait_until


def hopeless(template_id: int) -> Unit:
    return Unit(template_id, bytes(80), 0, 0, 2**32)


def processes(pool: HasherPool) -> list[int]:
    """Process ids of those that have come up."""
    return [slot.process.pid or 0 for slot in pool.slots if slot.process is not None and slot.ready]


def listen(pool: HasherPool) -> list[Unit]:
    """As a supervisor does between two steps; the units that processes have lost."""
    wait_for_any(pool.waitables(), 0.1)
    return pool.collect()[1]


def started(pool: HasherPool, number: int) -> list[int]:
    def search() -> bool:
        listen(pool)
        return sum(slot.position > 0 for slot in pool.slots) == number

    pool.feed([hopeless(0)] * number)
    wait_until(search, 30, "the search")
    return processes(pool)


@pytest.mark.slow
def test_a_worker_with_a_stopped_hashing_process_mines_on_and_replaces_it(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        worker = node.ready_worker("--processes", "2", "--mode", "continuous")
        wait_until(lambda: node.reached(3), 60, "blocks")
        wait_until(lambda: len(worker.hashers()) == 2, 30, "two hashing processes")
        stopped, other = worker.hashers()
        # One that is still making its engine has more patience on its side.
        wait_until(lambda: have_hashed([stopped, other]), 60, "both to hash")
        os.kill(stopped, signal.SIGSTOP)
        height = node.height
        wait_until(lambda: is_gone(stopped), 60, "the end of the stopped one")
        wait_until(lambda: len(set(worker.hashers()) - {stopped, other}) == 1, 30, "its replacement")
        after = node.height
        assert after > height
        wait_until(lambda: node.reached(after + 3), 60, "blocks")
        assert "was it stopped?" in worker.errors()
        assert worker.terminate() == 0
        assert "Traceback" not in worker.errors()


def test_a_process_that_reads_nothing_holds_up_nobody(tmp_path: Path) -> None:
    pool = HasherPool("hashlib", 2)
    stopped = 0
    # Whoever waited for it to read would go on then, and find it dead by another hand.
    rescue = threading.Timer(60, lambda: kill(stopped))
    try:
        stopped, other = started(pool, 2)
        os.kill(stopped, signal.SIGSTOP)
        rescue.start()
        lost: list[Unit] = []
        for number in count(1):
            pool.feed([hopeless(number)] * 2)
            lost += listen(pool)
            if stopped not in processes(pool):
                break
        assert rescue.is_alive()
        assert is_gone(stopped)
        assert [unit.template_id for unit in lost] == [number]

        def both() -> bool:
            pool.feed([hopeless(0)] * pool.idle(0))
            listen(pool)
            return len(processes(pool)) == 2

        wait_until(both, 30, "its replacement")
        assert other in processes(pool)
    finally:
        rescue.cancel()
        kill(stopped)
        pool.stop()


@pytest.mark.slow
def test_a_silent_process_gives_back_its_part_of_the_nonces() -> None:
    pool = HasherPool("hashlib", 2)
    stopped = 0
    try:
        stopped, other = started(pool, 2)
        os.kill(stopped, signal.SIGSTOP)
        lost: list[Unit] = []

        def given_back() -> list[Unit]:
            lost.extend(listen(pool))
            return lost

        (unit,) = wait_until(given_back, 60, "its unit")
        assert 0 < unit.start < 2**32 == unit.start + unit.count
        assert is_gone(stopped)
        assert other in processes(pool)
    finally:
        kill(stopped)
        pool.stop()


def test_processes_are_not_blamed_for_the_silence_while_nobody_listened() -> None:
    """The supervisor was stopped, or the machine slept, and its processes with it."""
    slept = 0.0
    pool = HasherPool("hashlib", 2, clock=lambda: monotonic() + slept)
    pids: list[int] = []
    try:
        pids = started(pool, 2)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        listen(pool)
        for slot in pool.slots:
            slot.silent = 0.0
        slept = 3600.0
        assert listen(pool) == []
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        began = [slot.position for slot in pool.slots]

        def go_on() -> bool:
            assert listen(pool) == []
            return all(slot.position > at for slot, at in zip(pool.slots, began, strict=True))

        wait_until(go_on, 30, "the search to go on")
        assert processes(pool) == pids
    finally:
        for pid in pids:
            kill(pid)
        pool.stop()


def test_a_process_that_rests_for_long_says_that_it_lives() -> None:
    pool = HasherPool("hashlib", 1)
    try:
        pool.set_share(1e-4)  # some 40 seconds after the first slice
        pool.feed([hopeless(1)])
        (slot,) = pool.slots
        heard = 0

        def lives() -> bool:
            nonlocal heard
            slot.silent = 1.0
            assert listen(pool) == []
            heard += slot.silent == 0.0
            return heard >= 5

        wait_until(lives, 60, "signs of life")
        assert slot.position <= 2 << 12
    finally:
        pool.stop()


def with_a_stopped_process(node: NodeFolder) -> tuple[WorkerProcess, int]:
    """A worker that searches, and the id of its one hashing process."""
    worker = node.ready_worker("--mode", "continuous")
    wait_until(lambda: worker.alive_status().get("hashrate", 0) > 0, 30, "a hash rate")
    (stopped,) = worker.hashers()
    os.kill(stopped, signal.SIGSTOP)
    return worker, stopped


def test_a_stopped_hashing_process_ends_with_its_worker(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as node:
        worker, stopped = with_a_stopped_process(node)
        try:
            assert worker.terminate() == 0
            wait_until(lambda: is_gone(stopped), 10, "its end")
        finally:
            kill(stopped)


def test_one_that_outlived_a_killed_worker_ends_as_soon_as_it_goes_on(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as node:
        worker, stopped = with_a_stopped_process(node)
        try:
            worker.kill()
            os.kill(stopped, signal.SIGCONT)
            wait_until(lambda: is_gone(stopped), 10, "its end")
        finally:
            kill(stopped)
