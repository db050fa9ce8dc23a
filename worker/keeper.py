"""The keeper of a worker (`moneyer worker --keep`): its parent process, which starts it again when it is killed.

honcho ends a whole network when one of its processes ends, so a worker of a network is restarted from here. A worker
that refuses to run, or ends with its node, is not started again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from ..node.system import logs
from ..node.system.lifecycle import LAUNCHER, watch_parent
from ..node.system.locks import is_held

log = logging.getLogger("moneyer.worker")

_REFUSED = (1, 2)
"""Exit statuses of a worker that has logged why it does not run."""
_MANY = 5
_SOON = 30.0
"""Seconds; a worker that ends _MANY times within them is given up."""
_SETTLED = 5.0
"""Seconds after which a worker has certainly stored the mode of its options."""
_END_SECONDS = 1.8
"""Seconds after which a worker that was told to end is killed; honcho kills this process itself after 5."""
_POLL = 0.1


class Keeper:
    """Runs a worker again and again, until this process is told to end or the worker's node is gone."""

    def __init__(self, arguments: Sequence[str], node_lock: Path, log_level: str, *, log_json: bool) -> None:
        """`arguments`: of the `moneyer worker --keep` that this is. `node_lock`: the lock file that the node holds."""
        logs.configure(log_level, log_json)
        self._first = [each for each in arguments if each != "--keep"]
        self._again = without_mode(self._first)
        self._node_lock = node_lock
        self._asked = threading.Event()
        self._ends: deque[float] = deque(maxlen=_MANY)

    def run(self) -> int:
        """Keep the worker running; gives the exit status.

        0: ended as asked, or with the node. 1, 2: the worker has logged why it refuses to run, or it ended again and
        again.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._asked.set())
        watch_parent(self._asked.set)
        arguments = self._first
        while not self._asked.is_set():
            began = monotonic()
            status = self._run_once(arguments)
            if self._asked.is_set() or (status == 0 and not self._has_node()):
                return 0
            if status in _REFUSED:
                return status
            self._ends.append(monotonic())
            if len(self._ends) == _MANY and self._ends[-1] - self._ends[0] < _SOON:
                log.error("the worker %s, %d times within %.0f s: it is given up", _said(status), _MANY, _SOON)
                return 1
            log.warning("the worker %s; it is started again", _said(status))
            if monotonic() - began > _SETTLED:
                arguments = self._again
        return 0

    def _run_once(self, arguments: Sequence[str]) -> int:
        """Start the worker and wait for its end. Gives its exit status, negative for a signal's number."""
        environment = {name: value for name, value in os.environ.items() if name != "MONEYER_WORKER_KEEP"}
        # Named: if this process is killed before the worker has looked for its parent, it would find another one.
        environment[LAUNCHER] = str(os.getpid())
        if arguments is self._again:
            environment.pop("MONEYER_WORKER_MODE", None)
        command = [sys.executable, "-P", "-m", "moneyer", *arguments]
        try:
            worker = subprocess.Popen(command, env=environment)
        except OSError as error:
            log.error("the worker cannot be started: %s", error.strerror)
            return 1
        while (status := _ended(worker)) is None:
            if self._asked.is_set():
                return self._end(worker)
        return status

    @staticmethod
    def _end(worker: subprocess.Popen[bytes]) -> int:
        worker.terminate()
        try:
            return worker.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # stopped, or stuck
            worker.kill()
            return worker.wait()

    def _has_node(self) -> bool:
        try:
            return is_held(self._node_lock)
        except OSError:  # the system refuses to tell now
            return True


def without_mode(arguments: Sequence[str]) -> list[str]:
    """The arguments without --mode: that has been stored, and may have been switched since."""
    kept: list[str] = []
    values = iter(arguments)
    for each in values:
        if each == "--mode":
            next(values, None)
        elif not each.startswith("--mode="):
            kept.append(each)
    return kept


def _ended(worker: subprocess.Popen[bytes]) -> int | None:
    try:
        return worker.wait(_POLL)
    except subprocess.TimeoutExpired:
        return None


def _said(status: int) -> str:
    if status >= 0:
        return f"ended by itself (exit status {status})"
    try:
        return f"was killed ({signal.Signals(-status).name})"
    except ValueError:
        return f"was killed (signal {-status})"
