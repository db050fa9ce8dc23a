"""A network of real processes for a test: started by honcho or by `moneyer up`, and ended to the last process."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import requests

from moneyer.node.devnet.procfile import arguments, commands, render
from tests.kit.commands import MONEYER, environment
from tests.kit.system import warm
from tests.kit.system.ports import free_ports
from tests.kit.waiting import wait_until

BUSY = 8
"""Seconds more than promised, for a machine that is busy with something else."""
START = 60
"""Seconds that a network may take until it answers, on a busy machine."""


class Launcher:
    """honcho or `moneyer up` in a session of its own, and every process below it, known by id and start time."""

    def __init__(self, command: Sequence[str | Path], folder: Path, **env: str) -> None:
        self.log = folder / "launcher.log"
        with self.log.open("ab") as output:
            self.popen = warm.Popen(
                list(map(str, command)),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment(**env),
            )
        self._seen: set[psutil.Process] = set()

    def processes(self) -> set[psutil.Process]:
        """All that live now, the launcher too. Remembers those it has ever seen."""
        with contextlib.suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.popen.pid)
            self._seen |= {launcher, *launcher.children(recursive=True)}
        return {each for each in self._seen if _runs(each)}

    def named(self, word: str) -> list[psutil.Process]:
        """Those whose command line holds `word`."""
        return [each for each in self.processes() if word in _command_line(each)]

    def signal_all(self, number: int) -> None:
        """Send a signal to each process by its own id."""
        for each in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def wait_all_ended(self, timeout: float) -> None:
        """AssertionError when a process, the launcher or one below it, lives on."""
        self._reap(timeout)
        wait_until(lambda: not self.processes(), timeout, f"the end of {self.processes()}")

    def _reap(self, timeout: float) -> None:
        wait_until(lambda: self.popen.poll() is not None, timeout, "the launcher to end")

    def output(self) -> str:
        """What all of them have printed so far."""
        return self.log.read_text("utf-8", "replace")

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            print(self.output())
        self.signal_all(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(10)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class Network:
    """Data folders, ports and a Procfile; started and ended as often as a test likes."""

    def __init__(self, folder: Path, nodes: int = 3) -> None:
        self.folder = folder
        self.first_port = free_ports(nodes)
        self.urls = [f"http://127.0.0.1:{self.first_port + number}" for number in range(nodes)]
        network = arguments(Path("data"), nodes=nodes, first_port=self.first_port, shared_coin=Path("data/coin.toml"))
        (folder / "Procfile").write_text(render(commands(network, " ".join(MONEYER))))

    def honcho(self) -> Launcher:
        """`honcho start`, as `make run` does it. Use it in a with-statement."""
        return Launcher([sys.executable, "-m", "honcho", "start"], self.folder)

    def wait_until_up(self, launcher: Launcher) -> None:
        """Every node answers and its worker is there."""
        for url in self.urls:
            wait_until(lambda url=url: _alive(url, launcher), START, f"{url} and its worker")  # type: ignore[misc]

    def get(self, node: int, path: str, status: int = 200) -> Any:
        """The JSON that node `node` (from 1) answers to a GET."""
        answer = requests.get(self.urls[node - 1] + path, timeout=60)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json()

    def post(self, node: int, path: str, body: Any, status: int = 201) -> Any:
        """The JSON that node `node` answers to a POST of `body`."""
        answer = requests.post(self.urls[node - 1] + path, json=body, timeout=60)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json()


def _alive(url: str, launcher: Launcher) -> bool:
    if launcher.popen.poll() is not None:
        raise AssertionError(f"the network ended by itself:\n{launcher.output()}")
    try:
        answer = requests.get(f"{url}/v1/status", timeout=30)
    except requests.RequestException:
        return False
    return answer.status_code == 200 and bool(answer.json()["worker"]["alive"])
