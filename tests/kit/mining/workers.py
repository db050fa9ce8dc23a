"""Workers as processes, and a node in this process for them to mine for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from moneyer.node.config import Config
from moneyer.node.core.coin import Coin
from moneyer.node.store import mining as jobs
from moneyer.node.store.mining import JobRow
from moneyer.node.system.locks import LockFile, hold, is_held
from moneyer.node.wallet.keystore import ensure_wallet
from moneyer.worker.hasher import main as hasher_main
from tests.conftest import REPOSITORY
from tests.kit.commands import MONEYER, environment
from tests.kit.databases import database_words
from tests.kit.nodes import Node, place_coin
from tests.kit.system import warm
from tests.kit.system.process_tree import children_of, command_line
from tests.kit.waiting import END_SECONDS, wait_until

MILD = 0x1F00FFFF
"""Compact bits: 65,536 hashes to a block, too many for the supervisor to search by itself."""
HARD = 0x1E00FFFF
"""16.8 million hashes to a block: some ten seconds of one process."""
HOPELESS = 0x1A00FFFF
assert hasher_main.__module__ == "moneyer.worker.hasher"


class NodeFolder(Node):
    """A development node for workers to mine for: it has a wallet, and this process holds its locks."""

    def __init__(self, data: Path, coin: Coin, *, lock: bool = True, checked: bool = True) -> None:
        place_coin(data, coin)
        self.wallet = ensure_wallet(data, development=True)
        super().__init__(data, coin, development=True)
        self.lock: LockFile | None = hold(self.config.node_lock) if lock else None
        self.checked = hold(self.config.checked_lock) if lock and checked else None
        self.workers: list[WorkerProcess] = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers:
            worker.kill()
            if kind is not None:
                print(worker.errors())
        super().__exit__(kind, error, at)
        for lock in (self.lock, self.checked):
            if lock is not None:
                lock.release()

    def worker(self, *options: str) -> WorkerProcess:
        """Start a worker on this folder; killed at the end of the test.

        Its engine is hashlib unless told: the difficulties here are made for it.
        """
        worker = WorkerProcess(self.config, "--engine", "hashlib", *options)
        self.workers.append(worker)
        return worker

    def ready_worker(self, *options: str) -> WorkerProcess:
        """A worker that has come up."""
        worker = self.worker(*options)
        worker.wait_ready()
        return worker

    def reached(self, height: int) -> bool:
        return self.height >= height

    def ask(self, wanted: int, receiver: bytes | None = None) -> str:
        """A new mining job's id."""
        return self.store.write(lambda conn: jobs.create(conn, wanted, receiver, int(time.time()))).job_id

    def job(self, job_id: str) -> JobRow:
        with self.store.read() as conn:
            row = jobs.get(conn, job_id)
        assert row is not None
        return row

    def wait_done(self, job_id: str, timeout: float = 30) -> JobRow:
        wait_until(lambda: self.job(job_id).state != jobs.OPEN, timeout, "the job to end")
        return self.job(job_id)


class WorkerProcess:
    """`moneyer worker` on a data folder. Its log goes to a file of that folder."""

    def __init__(self, config: Config, *options: str, through: list[str] | None = None) -> None:
        """`through`: a command that starts the worker's command as its child."""
        self.config = config
        self._errors = config.data / f"worker-{time.monotonic_ns()}.log"
        place = ["--data", str(config.data), *database_words(config)]
        command = [*(through or []), sys.executable, "-m", "moneyer.worker", *place, *options]
        with self._errors.open("wb") as errors:
            self.process = warm.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stderr=errors)

    def errors(self) -> str:
        return self._errors.read_text("utf-8")

    def wait_ready(self) -> None:
        wait_until(lambda: self.alive_status().get("pid") or self.process.poll() is not None, 30, "the worker")
        assert self.process.poll() is None, self.errors()

    def alive_status(self) -> dict[str, Any]:
        """What the lock file says while it is held; else nothing."""
        if not is_held(self.config.worker_lock):
            return {}
        with suppress(ValueError):
            status: dict[str, Any] = json.loads(self.config.worker_lock.read_bytes())
            if status["pid"] == self.pid:
                return status
        return {}

    @property
    def pid(self) -> int:
        return self.process.pid

    def hashers(self) -> list[int]:
        """Process ids of its living hashing processes (Linux)."""
        return [pid for pid in children_of(self.pid) if b"spawn_main" in command_line(pid)]

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(END_SECONDS)


@contextmanager
def mining(data: Path, mode: str = "instant") -> Iterator[subprocess.Popen[bytes]]:
    """The worker of the node of `data`."""
    with (data.parent / "worker.reports").open("ab") as log:
        worker = warm.Popen(
            [*MONEYER, "worker", "--data", str(data), "--mode", mode],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(END_SECONDS)


def have_hashed(pids: Collection[int]) -> bool:
    """Whether each of some processes lives and has used more of the processor than a start takes."""
    with suppress(psutil.NoSuchProcess):
        return all(sum(psutil.Process(pid).cpu_times()[:2]) > 1.5 for pid in pids)
    return False
