"""A real Stratum server, as a process, on a node's data folder."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moneyer.node.core.coin import Coin
from moneyer.node.system.locks import is_held
from tests.conftest import REPOSITORY
from tests.kit.commands import MONEYER, environment
from tests.kit.mining.miners import Miner
from tests.kit.mining.workers import NodeFolder
from tests.kit.system import warm
from tests.kit.system.ports import free_port
from tests.kit.waiting import END_SECONDS, wait_until


class Stratum:
    """A running `moneyer stratum`. Its log goes to a file of the data folder."""

    def __init__(self, data: Path, *options: str, port: int | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self._log = data / f"stratum-{time.monotonic_ns()}.log"
        command = [*MONEYER, "stratum", "--data", str(data), "--port", str(self.port), *options]
        with self._log.open("wb") as log:
            self.process = warm.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stderr=log,
                env=environment(),
            )

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self) -> None:
        wait_until(lambda: "miners connect" in self.log or not self.alive, 30, "the server")
        assert self.alive, self.log

    def miner(self, user: str = "miner", password: str = "x", source: str = "127.0.0.1") -> Miner:
        """Connected, not yet introduced."""
        return Miner(self.port, user, password, source)

    def started(self, user: str = "miner", password: str = "x", source: str = "127.0.0.1") -> Miner:
        """With a first job."""
        return self.miner(user, password, source).start()

    def status(self) -> dict[str, Any]:
        path = self.data / "stratum.json"
        if not is_held(self.data / "stratum.lock") or not path.exists():
            return {}
        said: dict[str, Any] = json.loads(path.read_bytes())
        return said

    def wait_status(self, **wanted: int) -> dict[str, Any]:
        """The status, once it says all that."""
        wait_until(lambda: wanted.items() <= self.status().items(), 10, f"the status to say {wanted}")
        return self.status()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)

    def kill(self) -> None:
        if self.alive:
            self.process.kill()
            self.process.wait(END_SECONDS)


@contextmanager
def serving(data: Path, coin: Coin, *options: str) -> Iterator[tuple[NodeFolder, Stratum]]:
    """A node's folder and its server; no input may have led it to a traceback."""
    with NodeFolder(data, coin) as node:
        server = Stratum(data, *options)
        try:
            server.wait_ready()
            yield node, server
        finally:
            server.kill()
        assert "Traceback" not in server.log, server.log
