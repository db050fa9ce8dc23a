"""The keeper of a worker (`moneyer worker --keep`): its parent process, which starts it again when it is killed.

honcho ends a whole network when one of its processes ends, so a worker of a network is restarted from here. A worker
that refuses to run, or ends with its node, is not started again.

On Linux the worker is forked from the keeper, which has what a worker imports where `moneyer up` forked it in turn. The
keeper's other threads only wait for a process to end, and hold no lock that a worker needs.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections import deque
from dataclasses import replace
from time import monotonic

from ..node.system import logs
from ..node.system.forking import CONTEXT, ENDS, end_as_usual, holding
from ..node.system.lifecycle import LAUNCHER, watch_launcher, watch_parent, without_collecting
from ..node.system.locks import is_held
from .config import WorkerConfig

log = logging.getLogger("moneyer.worker")

_REFUSED = (1, 2)
"""Exit statuses of a worker that has logged why it does not run."""
_MANY = 5
_SOON = 30.0
"""Seconds; a worker that ends _MANY times within them is given up."""
SETTLED = 5.0
"""Seconds after which a worker has certainly stored the mode of its options."""
_END_SECONDS = 1.8
"""Seconds after which a worker that was told to end is killed; honcho kills this process itself after 5."""
_POLL = 0.1


class Keeper:
    """Runs a worker again and again, until this process is told to end or the worker's node is gone."""

    def __init__(self, worker: WorkerConfig) -> None:
        logs.configure(worker.log_level, worker.log_json)
        self._worker = worker
        self._asked = threading.Event()
        self._ends: deque[float] = deque(maxlen=_MANY)

    def run(self) -> int:
        """Keep the worker running; gives the exit status.

        0: ended as asked, or with the node. 1, 2: the worker has logged why it refuses to run, or it ended again and
        again.
        """
        for number in ENDS:
            signal.signal(number, lambda *_: self._asked.set())
        watch_parent(self._asked.set)
        worker = self._worker
        while not self._asked.is_set():
            began = monotonic()
            status = self._run_once(worker)
            if self._asked.is_set() or (status == 0 and not self._has_node()):
                return 0
            if status in _REFUSED:
                return status
            self._ends.append(monotonic())
            if len(self._ends) == _MANY and self._ends[-1] - self._ends[0] < _SOON:
                log.error("the worker %s, %d times within %.0f s: it is given up", _said(status), _MANY, _SOON)
                return 1
            log.warning("the worker %s; it is started again", _said(status))
            if monotonic() - began > SETTLED:
                # Its mode is stored by now, and may have been switched since.
                worker = replace(worker, mode=None)
        return 0

    def _run_once(self, config: WorkerConfig) -> int:
        """Start the worker and wait for its end. Gives its exit status, negative for a signal's number."""
        worker = CONTEXT.Process(target=_be_worker, args=(config, os.getpid()), name="worker")
        try:
            # A forked worker would take a SIGTERM with this process's handler, and live on.
            with holding():
                worker.start()
        except OSError as error:
            log.error("the worker cannot be started: %s", error.strerror)
            return 1
        while worker.exitcode is None:
            if self._asked.is_set():
                worker.terminate()
                worker.join(_END_SECONDS)
                if worker.exitcode is None:  # stopped, or stuck
                    worker.kill()
            worker.join(_POLL)
        return worker.exitcode

    def _has_node(self) -> bool:
        """Whether there is a node to mine for. A worker on a server's database ends only as it is asked to."""
        if self._worker.database_url is not None:
            return False
        try:
            return is_held(self._worker.config.node_lock)
        except OSError:  # the system refuses to tell now
            return True


def _be_worker(config: WorkerConfig, keeper: int) -> None:
    """In the new process. `keeper`: the process id of the one that started it."""
    end_as_usual()
    # Named: if the keeper is killed before this process has looked for its parent, it would find another one.
    os.environ[LAUNCHER] = str(keeper)
    watch_launcher()
    with without_collecting():
        from .supervisor import run

    sys.exit(run(config))


def _said(status: int) -> str:
    if status >= 0:
        return f"ended by itself (exit status {status})"
    try:
        return f"was killed ({signal.Signals(-status).name})"
    except ValueError:
        return f"was killed (signal {-status})"
