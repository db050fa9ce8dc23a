"""A development node for one run: on a temporary folder, at a free port, with a few blocks, and gone at the end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ...client.client import Client
from ...client.errors import NoAnswer
from ...config import NO_DATABASE
from ...core import codec
from ...core.coinfile import coin_from_json
from ...core.errors import MoneyerError
from ...system.lifecycle import LAUNCHER
from ..addresses import free_ports
from ..coinfiles import COIN_FILE, make_once
from ..devcoin import development_coin
from .attack_ground import Ground

_POW_LIMIT = 0x2000FFFF
"""256 hashes a block: at once in Python, and still no hash solves it by chance."""
_AGE = 3600
"""Seconds that the coin is old: its blocks have times of their own, all in the past."""
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_LOOK = 0.05
"""Seconds between two looks whether it answers."""
_PORTS = range(20_000, 30_000)
"""Where a free port is looked for, from a random one on: two runs at once should not meet."""


class NotStarted(MoneyerError):
    """The node for this run could not be started."""

    code = "not_started"


class ThrowawayNode:
    """A context manager. Raises NotStarted."""

    def __init__(self, blocks: int = 12) -> None:
        """`blocks`: its height; in each of them alice pays bob a coin."""
        self._blocks = blocks
        self.url = ""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="moneyer-lab-", ignore_cleanup_errors=True)
        try:
            self._start(Path(self._folder.name) / "node")
            self._mine()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _start(self, data: Path) -> None:
        coin = replace(development_coin(int(time.time()) - _AGE), pow_limit=_POW_LIMIT)
        data.mkdir(mode=0o700)
        make_once(data / COIN_FILE, lambda: coin_from_json(coin.as_json()))
        ports = free_ports(random.choice(_PORTS), 1)  # noqa: S311 - no secret
        if not ports:
            raise NotStarted("no port is free for a node: end programs that listen, or name a node with --node")
        self.url = f"http://127.0.0.1:{ports[0]}"
        command = [sys.executable, "-P", "-m", "moneyer", "node", "--data", str(data), "--dev", "--no-discovery"]
        self._log = data.parent / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(ports[0]), "--log-level", "warning"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for this process, which ends the node
                # A register of its own: commands without --data must not find this node.
                env={
                    **os.environ,
                    LAUNCHER: str(os.getpid()),
                    "MONEYER_STATE": str(data.parent / "state"),
                    **NO_DATABASE,
                },
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        client = Client(self.url)
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(NoAnswer):
                client.status()
                return
            time.sleep(_LOOK)
        said = self._log.read_text("utf-8", errors="replace").strip().splitlines()
        raise NotStarted(f"the node for this run did not start. It said: {said[-1] if said else 'nothing'}")

    def _mine(self) -> None:
        ground = Ground(self.url)
        for number in range(self._blocks):
            paid = ground.transfer("alice", "bob", ground.units(1))
            answer = ground.send(codec.encode_block(ground.block([paid], timestamp=ground.tip_time + 60 + number)))
            if answer.is_refused:
                raise NotStarted(f"the node for this run refused an honest block: {answer.message}")
            ground.read()

    def _end(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()
