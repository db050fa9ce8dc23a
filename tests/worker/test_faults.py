"""Processes that die, locks that are taken, databases that are busy: worker processes, killed by their ids."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from moneyer.node.api.parts.workers import worker_status
from moneyer.node.api.shapes.mining import WorkerStatus
from moneyer.node.chain.verify import verify_chain
from moneyer.node.cli.exits import USAGE
from moneyer.node.core.coin import Coin
from moneyer.node.store.backends.sqlite.driver import driver, has_safe_wal
from moneyer.node.system.locks import hold
from tests.conftest import REPOSITORY
from tests.kit.chains import easy_coin
from tests.kit.mining.workers import HOPELESS, MILD, NodeFolder, WorkerProcess, have_hashed
from tests.kit.system.process_tree import children_of, command_line, is_gone, kill
from tests.kit.waiting import END_SECONDS, wait_until

PROMISED = 2 + 3
"""Seconds: two are promised, the others are for a machine that is busy with something else."""


def hopeless() -> Coin:
    return easy_coin(pow_limit=HOPELESS)


def searching(worker: WorkerProcess, processes: int) -> list[int]:
    """Its hashing processes, once all of them hash."""
    wait_until(lambda: worker.alive_status().get("hashrate", 0) > 0, 30, "a hash rate")
    wait_until(lambda: len(worker.hashers()) == processes, 10, "hashing processes")
    return worker.hashers()


def replaced(worker: WorkerProcess, dead: set[int], processes: int) -> bool:
    now = set(worker.hashers())
    return len(now) == processes and not now & dead


def test_a_hashing_process_that_is_killed_is_replaced_and_blocks_stay_whole(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        worker = node.ready_worker("--processes", "2")
        job_id = node.ask(40)
        for killed in (3, 10, 20):
            wait_until(partial(node.reached, killed), 60, "blocks")
            victim = wait_until(worker.hashers, 10, "a hashing process")[0]
            kill(victim)
            wait_until(partial(replaced, worker, {victim}, 2), PROMISED, "its replacement")
        assert node.wait_done(job_id, 60).mined == 40
        assert verify_chain(node.store).height == 40
        assert worker.process.poll() is None


def test_all_hashing_processes_killed_at_once_are_replaced(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", hopeless()) as node:
        worker = node.ready_worker("--processes", "2", "--mode", "continuous")
        before = searching(worker, 2)
        for pid in before:
            kill(pid)
        wait_until(lambda: replaced(worker, set(before), 2), PROMISED, "replacements")
        replacements = worker.hashers()
        wait_until(lambda: have_hashed(replacements), 60, "a search")


def test_a_worker_ends_with_its_node(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", hopeless(), lock=False) as node:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.mining.holder", str(node.config.data)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            worker = node.ready_worker("--mode", "continuous")
            (hasher,) = searching(worker, 1)
        finally:
            holder.kill()
            holder.communicate(timeout=60)
        assert worker.process.wait(END_SECONDS) == 0
        wait_until(lambda: is_gone(hasher), PROMISED, "the hashing process to end")
        assert "the node has ended, and so does its worker" in worker.errors()


def test_hashing_processes_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", hopeless()) as node:
        worker = node.ready_worker("--processes", "2", "--mode", "continuous")
        hashers = searching(worker, 2)
        others = [pid for pid in children_of(worker.pid) if pid not in hashers]
        worker.kill()
        wait_until(lambda: all(is_gone(pid) for pid in (*hashers, *others)), PROMISED, "everything to end")


def test_idle_hashing_processes_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        worker = node.ready_worker("--processes", "2")
        node.wait_done(node.ask(3), 60)
        hashers = worker.hashers()
        assert len(hashers) == 2
        worker.kill()
        wait_until(lambda: all(map(is_gone, hashers)), PROMISED, "the hashing processes to end")


def test_a_worker_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    launcher = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"]
    with NodeFolder(tmp_path / "node", hopeless()) as node:
        started = WorkerProcess(node.config, "--mode", "continuous", through=launcher)
        node.workers.append(started)
        (pid,) = wait_until(lambda: children_of(started.pid), 10, "the worker")
        hashers = wait_until(
            lambda: [child for child in children_of(pid) if b"spawn_main" in command_line(child)],
            30,
            "a hashing process",
        )
        started.kill()
        wait_until(lambda: all(map(is_gone, (pid, *hashers))), PROMISED, "the worker to end")


def test_sigterm_ends_a_worker_cleanly_whatever_it_does(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", hopeless()) as node:
        for options in (("--mode", "continuous", "--processes", "2"), ()):
            worker = node.ready_worker(*options)
            hashers = searching(worker, 2) if options else []
            assert worker.terminate() == 0
            wait_until(lambda: all(map(is_gone, hashers)), PROMISED, "its hashing processes to end")  # noqa: B023
            assert "Traceback" not in worker.errors()


def test_sigterm_ends_a_worker_that_still_waits_for_its_node(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(), lock=False) as node:
        worker = node.worker()
        wait_until(lambda: command_line(worker.pid) != b"" and worker.process.poll() is None, 10, "the process")
        # Its handler stands once it catches SIGTERM (bit 14 of the caught signals).
        wait_until(lambda: caught_signals(worker.pid) >> 14 & 1, 20, "the signal handler")
        assert worker.terminate() == 0


def test_a_worker_does_not_touch_the_database_before_its_node_has_checked_it(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(), checked=False) as node:
        node.config.worker_lock.write_text('{"engine": "sha", "hashrate": 1e6, "mode": "instant", "searching": true}')
        worker = node.worker("--mode", "continuous")
        wait_until(lambda: "waiting for the node" in worker.errors(), 30, "the worker to say what it waits for")
        assert node.height == 0
        assert worker_status(node.store) == WorkerStatus(alive=True), "what an earlier worker said"
        files = [str(link.readlink()) for link in Path(f"/proc/{worker.pid}/fd").iterdir()]
        assert not any("chain.db" in file for file in files)
        node.checked = hold(node.config.checked_lock)
        node.wait_for_height(1)


def test_a_worker_ends_with_its_node_that_never_knew_its_database_to_be_whole(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(), checked=False) as node:
        worker = node.worker("--mode", "continuous")
        wait_until(lambda: "waiting for the node" in worker.errors(), 30, "the worker to say what it waits for")
        assert node.lock is not None
        node.lock.release()
        node.lock = None
        assert worker.process.wait(END_SECONDS) == 0
        assert node.height == 0


def caught_signals(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)


def test_a_second_worker_of_a_node_refuses_with_a_sentence(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        first = node.ready_worker()
        second = node.worker()
        assert second.process.wait(END_SECONDS) == 1
        assert "has a worker already: a node has one" in second.errors()
        assert "Traceback" not in second.errors()
        assert first.alive_status()["pid"] == first.pid
        assert node.wait_done(node.ask(2)).mined == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--engine", "abacus"), 'there is no engine "abacus"'),
        (("--mode", "rarely"), 'there is no mining mode "rarely"'),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_sentence(
    tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        worker = node.worker(*options)
        assert worker.process.wait(END_SECONDS) == USAGE  # as of `moneyer worker`
        assert sentence in worker.errors()
        assert "Traceback" not in worker.errors()


@pytest.mark.slow
def test_a_block_found_while_the_database_is_locked_is_kept_until_it_is_free(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        worker = node.ready_worker()
        job_id = node.ask(3)
        node.wait_done(job_id)
        blocker: sqlite3.Connection = driver.connect(str(node.config.database), isolation_level=None)
        job_id = node.ask(3)
        blocker.execute("BEGIN IMMEDIATE")
        at = node.job(job_id).mined
        if at < 3:
            wait_until(lambda: "trying again" in worker.errors(), 30, "the worker to say so")
            assert node.job(job_id).mined == at
        blocker.execute("ROLLBACK")
        blocker.close()
        assert node.wait_done(job_id).mined == 3
        assert node.height == 6
        assert worker.errors().count("trying again") <= 1
        assert verify_chain(node.store).height == 6


@pytest.mark.skipif(not has_safe_wal, reason="there is no log whose growth could be forbidden")
def test_a_block_found_while_the_disk_fails_is_kept_until_it_works_again(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        worker = node.ready_worker()
        node.wait_done(node.ask(3))
        log = node.config.database.with_name("chain.db-wal")
        node.wait_done(node.ask(3))
        # What the worker appends to the log from here on is an error of the disk; what it says still fits.
        size = log.stat().st_size
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        job_id = node.ask(3)
        wait_until(lambda: "trying again" in worker.errors(), 30, "the worker to say so")
        assert (node.job(job_id).mined, node.height) == (0, 6)
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert node.wait_done(job_id).mined == 3
        assert worker.process.poll() is None
        assert verify_chain(node.store).height == 9
