"""Real server processes for the benches: a node as users start it, and the yardstick of constant answers."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil

from bench import load
from bench.common import Cost
from moneyer.node.core.coin import Coin
from tests.kit.nodes import place_coin
from tests.kit.system.ports import free_port

_START = 30


class Served:
    """A process that answers HTTP on `port`, and those below it. `start_seconds`: from its start until it answered."""

    def __init__(self, command: list[str], port: int, path: str) -> None:
        self.port = port
        start = time.perf_counter()
        # As an installation has them: modules that are compiled once.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        while not _answers(port, path):
            if self._process.poll() is not None:
                raise RuntimeError(f"{command} has ended with {self._process.returncode}")
            if time.perf_counter() - start > _START:
                self.end()
                raise RuntimeError(f"{command} does not answer")
            time.sleep(0.005)
        self.start_seconds = time.perf_counter() - start

    def pss(self) -> int:
        """Bytes of memory of all its processes, what they share counted once."""
        main = psutil.Process(self._process.pid)
        return sum(each.memory_full_info().pss for each in (main, *main.children(recursive=True)))

    def count(self) -> int:
        """How many processes it is now."""
        return 1 + len(psutil.Process(self._process.pid).children(recursive=True))

    def processor(self) -> float:
        """Seconds of processor that all its processes have spent so far, those that have ended too."""
        return processor_of(self._process.pid)

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Server(Protocol):
    """What `under_load` asks."""

    port: int

    def processor(self) -> float:
        """Seconds of processor that it has spent so far."""
        ...


def processor_of(pid: int) -> float:
    """Seconds of processor that a process and those below it have spent so far, those that have ended too."""
    main = psutil.Process(pid)
    times = [each.cpu_times() for each in (main, *main.children(recursive=True))]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in times))


def under_load(
    server: Server,
    connections: int,
    seconds: float,
    path: str,
    bodies: Path | None = None,
    *,
    again: bool = False,
    headers: Sequence[str] = (),
) -> tuple[Cost, dict[str, Any]]:
    """`load.run`, and what an answer takes of the server's processor."""
    before = server.processor()
    result = load.run(server.port, connections, seconds, path, bodies, again=again, headers=headers)
    spent = server.processor() - before
    return Cost(result["rate"], spent / sum(result["statuses"].values()) * 1e6), result


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def node(data: Path, coin: Coin, *options: str) -> Iterator[Served]:
    """`moneyer node --dev` on a data folder; `options`: more of its command line."""
    place_coin(data, coin)
    port = free_port()
    moneyer = Path(sys.executable).with_name("moneyer")
    command = [str(moneyer), "node", "--data", str(data), "--port", str(port), "--dev", *options]
    served = Served(command, port, "/v1/status")
    try:
        yield served
    finally:
        served.end()


@contextmanager
def trivial() -> Iterator[Served]:
    """Bottle with one handler, on the same server with the same settings."""
    port = free_port()
    served = Served([sys.executable, "-m", "bench.trivial", str(port)], port, "/")
    try:
        yield served
    finally:
        served.end()
