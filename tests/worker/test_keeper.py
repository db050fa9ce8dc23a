"""`moneyer worker --keep`: a killed worker is started again, and nothing lives longer than it should."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from moneyer.node.store import mining
from moneyer.node.store.mining import parse_mode
from moneyer.node.system.forking import ENDS
from moneyer.worker import keeper as keeper_module
from moneyer.worker.config import WorkerConfig
from moneyer.worker.keeper import SETTLED
from tests.conftest import REPOSITORY
from tests.kit.chains import easy_coin
from tests.kit.commands import MONEYER, environment
from tests.kit.mining.workers import HOPELESS, NodeFolder, WorkerProcess
from tests.kit.system import warm
from tests.kit.system.process_tree import children_of, is_gone, kill
from tests.kit.waiting import END_SECONDS, wait_until

STARTED_AGAIN = "it is started again"


class KeptWorker(WorkerProcess):
    """The keeper; `worker` is the process that it keeps."""

    def __init__(self, node: NodeFolder, *options: str) -> None:
        self.config = node.config
        self._errors = node.config.data / "keeper.log"
        command = [*MONEYER, "worker", "--keep", "--data", str(node.config.data), "--engine", "hashlib", *options]
        with self._errors.open("wb") as errors:
            self.process = warm.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                env=environment(),
            )

    @property
    def worker(self) -> int | None:
        """Process id; None while there is none."""
        return next(iter(children_of(self.pid)), None)

    def status_of_worker(self) -> int | None:
        """The process id that the worker's lock file names, once that worker is up."""
        here = self.worker
        with_lock = self.config.worker_lock.exists() and self.config.worker_lock.read_bytes()
        return here if here and with_lock and f'"pid": {here},'.encode() in with_lock else None

    def wait_up(self, *, other_than: int | None = None) -> int:
        """The process id of a worker that is up."""

        def up() -> int | None:
            assert self.process.poll() is None, self.errors()
            here = self.status_of_worker()
            return here if here != other_than else None

        return wait_until(up, 60, f"a worker other than {other_than}") or 0


@contextmanager
def kept(folder: Path, *options: str) -> Iterator[tuple[NodeFolder, KeptWorker]]:
    with NodeFolder(folder, easy_coin(pow_limit=HOPELESS)) as node:
        keeper = KeptWorker(node, *options)
        try:
            yield node, keeper
        finally:
            alive = children_of(keeper.pid)
            keeper.kill()
            for each in alive:
                kill(each)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_worker_that_is_killed_is_started_again_and_that_is_a_line(tmp_path: Path, number: signal.Signals) -> None:
    with kept(tmp_path / "node") as (_, keeper):
        first = keeper.wait_up()
        os.kill(first, number)
        keeper.wait_up(other_than=first)
        (line,) = [each for each in keeper.errors().splitlines() if STARTED_AGAIN in each]
        assert ("was killed" in line) is (number != signal.SIGTERM)
        assert keeper.terminate() == 0


def test_a_worker_that_dies_again_and_again_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    with kept(tmp_path / "node") as (_, keeper):
        deaths = 0

        def given_up() -> bool:
            nonlocal deaths
            if (pid := keeper.worker) is not None:
                kill(pid)
                wait_until(lambda: is_gone(pid), 20, "its end")
                deaths += 1
            return keeper.process.poll() is not None

        wait_until(given_up, 120, "the keeper to give up")
        assert keeper.process.returncode == 1
        assert "was killed (SIGKILL), 5 times within 30 s: it is given up" in keeper.errors()


def test_a_worker_that_refuses_ends_its_keeper_with_its_sentence_and_status(tmp_path: Path) -> None:
    with kept(tmp_path / "node", "--address", "nobody") as (_, keeper):
        assert keeper.process.wait(END_SECONDS) == 1
        assert STARTED_AGAIN not in keeper.errors()
        assert keeper.errors().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_when_the_keeper_ends_its_worker_and_its_hashing_processes_end(tmp_path: Path, number: signal.Signals) -> None:
    with kept(tmp_path / "node", "--mode", "continuous") as (_, keeper):
        worker = keeper.wait_up()
        hashers = wait_until(lambda: children_of(worker), 60, "hashing processes")
        keeper.process.send_signal(number)
        keeper.process.wait(END_SECONDS)
        wait_until(lambda: all(map(is_gone, [worker, *hashers])), 20, "the end of all")


def test_a_worker_whose_keeper_is_killed_before_it_has_looked_for_it_ends_too(tmp_path: Path) -> None:
    with kept(tmp_path / "node") as (_, keeper):
        worker = wait_until(lambda: keeper.worker, 20, "a worker that has only just been started") or 0
        keeper.process.kill()
        keeper.process.wait(END_SECONDS)
        wait_until(lambda: is_gone(worker), 20, "its end")


def test_a_worker_that_is_stopped_holds_up_no_end(tmp_path: Path) -> None:
    with kept(tmp_path / "node") as (_, keeper):
        worker = keeper.wait_up()
        os.kill(worker, signal.SIGSTOP)
        keeper.process.send_signal(signal.SIGTERM)
        assert keeper.process.wait(END_SECONDS) == 0
        wait_until(lambda: is_gone(worker), 20, "its end")


def test_keeper_and_worker_end_with_the_node(tmp_path: Path) -> None:
    with kept(tmp_path / "node") as (node, keeper):
        worker = keeper.wait_up()
        assert node.lock is not None
        node.lock.release()
        node.lock = None
        assert keeper.process.wait(END_SECONDS) == 0
        assert is_gone(worker)
        assert STARTED_AGAIN not in keeper.errors()


def test_a_mode_that_was_switched_to_outlives_the_worker(tmp_path: Path) -> None:
    with kept(tmp_path / "node", "--mode", "interval:600") as (node, keeper):
        first = keeper.wait_up()
        began = time.monotonic()
        node.store.write(lambda conn: mining.set_mode(conn, parse_mode("demand")))
        wait_until(lambda: time.monotonic() - began > SETTLED, 20, "the time after which a mode is stored")
        os.kill(first, signal.SIGKILL)
        keeper.wait_up(other_than=first)
        assert '"mode": "demand"' in keeper.config.worker_lock.read_text()


def test_a_keeper_starts_its_worker_while_signals_to_end_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a forked worker would take a SIGTERM with its keeper's handler, which ends nothing there."""
    blocked: set[int] = set()

    class NoMore:
        def __init__(self, **_: object) -> None:
            pass

        def start(self) -> None:
            blocked.update(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            raise BlockingIOError("no more processes")

    monkeypatch.setattr(keeper_module, "CONTEXT", SimpleNamespace(Process=NoMore))
    assert keeper_module.Keeper(WorkerConfig(tmp_path))._run_once(WorkerConfig(tmp_path)) == 1
    assert blocked >= set(ENDS)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(ENDS)
