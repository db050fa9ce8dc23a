"""The process that runs a network: forks its nodes and its worker, reads their lines, obeys `control`, ends them all.

One thread and one loop (`selectors`), so that a node may be forked at any time from what is imported here once.
"""

from __future__ import annotations

import heapq
import json
import os
import selectors
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from time import monotonic
from typing import Any, Final

from ...network_file import NetPlan
from ...system.forking import IS_FORKED, holding
from ...system.lifecycle import LAUNCHER, THE_REASON_IS_ABOVE, without_collecting
from ...system.locks import LockFile
from ..forked import Enter, ready_for_nodes
from .capacity import TooManyNodes, check_rest
from .children import SIGNALS, Child
from .control_server import Answer, ControlServer
from .node_logs import NodeLogs
from .plan import node_arguments, worker_arguments

WORKER: Final = "worker"
_END_SECONDS: Final = 8.0
"""After SIGTERM, until a process is killed. A node ends within about three."""
_PATIENCE: Final = 30.0
"""At the start, without another node that answers, until those that have not answered are no longer waited for."""
_AT_ONCE: Final = max(8, 2 * (os.cpu_count() or 1))
"""Nodes that may be starting at the same time. More would only make each of them slower."""
_MANY: Final = 5
_SOON: Final = 30.0
"""A worker that ends _MANY times within _SOON seconds is given up."""
_AGAIN_SECONDS: Final = 0.5
"""Until a worker that has ended is started again."""
_ENDS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

Tell = Callable[[str, bytes], None]
"""Gets the name of a process, and a line that it printed."""


class NetSupervisor:
    """Runs a network until it is told to end."""

    def __init__(
        self,
        plan: NetPlan,
        lock: LockFile,
        enter: Enter,
        *,
        tell: Tell = lambda _name, _line: None,
        on_ready: Callable[[NetSupervisor], None] = lambda _supervisor: None,
        environment: Mapping[str, str] | None = None,
        launcher: int | None = None,
        is_bounded: bool = True,
    ) -> None:
        """`lock`: the folder's `network.lock`, held. `on_ready`: called once, when each node has answered or has ended.

        `launcher`: a descriptor; the network ends when that can be read to its end. `is_bounded`: it also ends, by
        TooManyNodes, where its first nodes show that there is no memory for the others.
        """
        self.plan = plan
        self._lock = lock
        self._enter = enter
        self._tell = tell
        self._on_ready: Callable[[NetSupervisor], None] | None = on_ready
        self._environment = {**os.environ, **(environment or {}), LAUNCHER: str(os.getpid())}
        self.selector = selectors.DefaultSelector()
        self._launcher = launcher
        self._logs = NodeLogs(plan.data)
        self.nodes = {name: Child(name, words) for name, words in node_arguments(plan).items()}
        has_miners = any(node.miner for node in plan.nodes)
        self.worker = Child(WORKER, worker_arguments(plan)) if has_miners else None
        self._worker_ends: deque[float] = deque(maxlen=_MANY)
        self._to_start = deque(self.nodes.values())
        self._waiting: dict[str, list[Answer]] = {}
        """Answers that are sent when the node of that name has come to rest: up, or ended."""
        self._down: list[Answer] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._is_bounded = is_bounded
        self._refused: TooManyNodes | None = None
        self._is_ending = False
        self._has_failed = False
        self._rested_at = monotonic()
        """When a node was last seen to be up or to have ended."""
        self._marks = {name: f" · {plan.node(name).url} · data " for name in self.nodes}
        """Stands in the line that a node prints when it answers (`node.server.start_line`)."""

    @property
    def children(self) -> list[Child]:
        return [*self.nodes.values(), *([] if self.worker is None else [self.worker])]

    def run(self) -> int:
        """Start all, stay until all have ended. 0: as asked; 1: no node came up. Raises TooManyNodes, OSError."""
        if IS_FORKED:
            ready_for_nodes()
        with self._signals(), self._control() as self._server:
            self._lock.write(json.dumps({"pid": os.getpid(), "socket": self._server.path}).encode())
            try:
                self._loop()
            finally:
                self._kill_all()
            self._lock.write(b"")
            for answer in self._down:
                answer({"down": True})
        if self._refused is not None:
            raise self._refused
        return 1 if self._has_failed else 0

    # -- the loop

    def _loop(self) -> None:
        self._after(0, self._start_next)
        self._after(_PATIENCE, self._lose_patience)
        while not (self._is_ending and all(child.process is None for child in self.children)):
            pause = max(0.0, self._timers[0][0] - monotonic()) if self._timers else None
            for key, _ in self.selector.select(pause):
                key.data()
            while self._timers and self._timers[0][0] <= monotonic():
                heapq.heappop(self._timers)[2]()

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (monotonic() + seconds, next(self._number), call))

    def _start_next(self) -> None:
        """Fork one node where not too many are starting, and come back for the next when what has happened meanwhile
        was looked at."""
        if self._is_ending:
            return
        starting = sum(child.state == "starting" for child in self.nodes.values())
        if self._to_start and starting < _AT_ONCE:
            child = self._to_start.popleft()
            if child.process is None:
                self._begin(child)
            self._after(0, self._start_next)
        elif not self._to_start and self.worker is not None and self.worker.process is None and not self._worker_ends:
            if IS_FORKED:
                _ready_for_worker()  # now, while the last nodes start
            self._begin(self.worker)

    def _begin(self, child: Child) -> None:
        """Start a process; where the system has none to give, it counts as one that has died."""
        try:
            with holding(SIGNALS):
                child.begin(self._enter, self._environment, self._descriptors())
        except OSError as error:
            child.state, child.said = "died", f"no process could be started: {error.strerror}"
            self._came_to_rest(child)
            return
        assert child.reader is not None  # noqa: S101 - it has just been started
        self.selector.register(child.reader, selectors.EVENT_READ, lambda: self._read(child))

    def _descriptors(self) -> list[int]:
        """What a forked process must not have: else locks and pipes would outlive this process."""
        own = [self._lock.descriptor, *self._wake, *self._server.descriptors, *self._logs.descriptors]
        if isinstance(self.selector, selectors.EpollSelector):
            own.append(self.selector.fileno())
        if self._launcher is not None:
            own.append(self._launcher)
        return own + [child.reader.fileno() for child in self.children if child.reader is not None]

    # -- what processes say and do

    def _read(self, child: Child) -> None:
        lines, is_over = child.lines()
        for line in lines:
            self._logs.write(child.name, line)
            if THE_REASON_IS_ABOVE.encode() in line:
                continue
            self._tell(child.name, line)
            if child.state == "starting" and child is not self.worker and self._marks[child.name].encode() in line:
                child.state = "up"
                self._came_to_rest(child)
            elif child.state == "starting" and child is self.worker:
                child.state = "up"
        if is_over and child.reader is not None:
            self.selector.unregister(child.reader)
            child.drop_reader()

    def _reap(self) -> None:
        for child in self.children:
            if child.process is None or child.process.exitcode is None:
                continue
            self._read_rest(child)
            child.reap()
            if child is self.worker:
                self._worker_ended(child)
                continue
            asked = {"stopping": "stopped", "killed": "killed"}.get(child.state)
            child.state = asked or ("stopped" if self._is_ending else "died")
            if child.state == "died":
                self._tell(child.name, f"it has ended by itself ({_status(child.exit)})".encode())
            self._came_to_rest(child)

    def _read_rest(self, child: Child) -> None:
        """What an ended process has printed. Its own processes may have the pipe for a moment longer."""
        while child.reader is not None:
            before = child.said
            self._read(child)
            if child.said == before:
                break
        if child.reader is not None:
            self.selector.unregister(child.reader)
            child.drop_reader()

    def _worker_ended(self, worker: Child) -> None:
        worker.state = "stopped" if self._is_ending else "died"
        if self._is_ending:
            return
        self._worker_ends.append(monotonic())
        if len(self._worker_ends) == _MANY and self._worker_ends[-1] - self._worker_ends[0] < _SOON:
            worker.said = (
                f"it has ended {_MANY} times within {_SOON:.0f} s, and is given up: `moneyer net start {WORKER}` "
                "starts it"
            )
            self._tell(WORKER, worker.said.encode())
            return
        self._tell(WORKER, f"it has ended ({_status(worker.exit)}), and is started again".encode())
        self._after(_AGAIN_SECONDS, lambda: None if self._is_ending or worker.process else self._begin(worker))

    def _came_to_rest(self, child: Child) -> None:
        """A node is up or has ended: who waits for it is told, and whether the whole network is ready."""
        for answer in self._waiting.pop(child.name, []):
            answer(self._said_of(child))
        self._rested_at = monotonic()
        if self._to_start:
            self._check_room()
            self._after(0, self._start_next)
        elif all(each.state not in ("starting", "stopping") for each in self.nodes.values()):
            self._ready()

    def _check_room(self) -> None:
        """Once, when the first nodes are up: whether there is memory for the others."""
        up = [child.pid for child in self.nodes.values() if child.state == "up" and child.pid is not None]
        if not self._is_bounded or len(up) < _AT_ONCE:
            return
        self._is_bounded = False
        try:
            check_rest(len(self.nodes) - len(up), up)
        except TooManyNodes as error:
            self._refused = error
            self.end()

    def _said_of(self, child: Child) -> dict[str, Any]:
        if child.state != "died":
            return {"node": child.name, "state": child.state}
        said = f" Its last words: {child.said}" if child.said else ""
        return {
            "error": "node_died",
            "message": f"node {child.name} has ended by itself ({_status(child.exit)}).{said}",
        }

    def _lose_patience(self) -> None:
        left = self._rested_at + _PATIENCE - monotonic()
        if left <= 0:
            self._ready()
        elif not self.is_ready:
            self._after(left, self._lose_patience)

    def _ready(self) -> None:
        if self._on_ready is None or self._is_ending:
            return
        ready, self._on_ready = self._on_ready, None
        if all(child.state == "died" for child in self.nodes.values()):
            self._has_failed = True
            self.end()
        ready(self)

    def not_up(self) -> dict[str, str]:
        """The nodes that have ended by themselves, or have not answered yet: name -> a sentence."""
        sentences = {"died": "it has ended by itself", "starting": f"no answer within {_PATIENCE:.0f} s"}
        return {
            child.name: f"{sentences[child.state]}: {child.said or 'it said nothing'}"
            for child in self.nodes.values()
            if child.state in sentences
        }

    @property
    def socket_path(self) -> str:
        """Where `control` reaches this supervisor."""
        return self._server.path

    @property
    def is_ready(self) -> bool:
        return self._on_ready is None

    # -- the end

    def end(self) -> None:
        """Tell all to end; a second time kill them."""
        if self._is_ending:
            for child in self.children:
                child.kill()
            return
        self._is_ending = True
        self._to_start.clear()
        for child in self.children:
            child.signal(signal.SIGTERM)
            self._kill_later(child)

    def _kill_later(self, child: Child) -> None:
        process = child.process
        if process is not None:
            self._after(_END_SECONDS, lambda: child.kill() if child.process is process else None)

    def _kill_all(self) -> None:
        """Where the loop has failed, too, nothing stays behind."""
        for child in self.children:
            child.kill()
        for child in self.children:
            if child.process is not None:
                child.process.join()

    # -- control

    def _handle(self, request: dict[str, Any], answer: Answer) -> None:
        what = request.get("do")
        if what == "status":
            answer(self._status())
        elif what == "down":
            self._down.append(answer)
            if not self._is_ending:
                self.end()
        elif what not in ("start", "stop", "kill"):
            answer({"error": "bad_request", "message": "`do` is start, stop, kill, status or down"})
        elif self._is_ending:
            answer({"error": "network_ending", "message": "the network is ending"})
        else:
            self._change(what, request.get("node"), answer)

    def _change(self, what: str, name: object, answer: Answer) -> None:
        child = self.nodes.get(name) if isinstance(name, str) else None
        if name == WORKER and what == "start" and self.worker is not None:
            self._start_worker(self.worker, answer)
            return
        if child is None:
            known = ", ".join(list(self.nodes)[:20]) + (", …" if len(self.nodes) > 20 else "")
            answer({"error": "unknown_node", "message": f"there is no node {str(name)[:40]}; there are {known}"})
            return
        is_running = child.process is not None
        if what == "start" and is_running:
            answer({"error": "node_up", "message": f"node {child.name} is {child.state} already"})
            return
        if what != "start" and not is_running:
            answer({"error": "node_down", "message": f"node {child.name} does not run: it is {child.state}"})
            return
        self._waiting.setdefault(child.name, []).append(answer)
        if what == "start":
            self._begin(child)
        elif what == "stop":
            child.state = "stopping"
            child.signal(signal.SIGTERM)
            self._kill_later(child)
        else:
            child.state = "killed"
            child.kill()

    def _start_worker(self, worker: Child, answer: Answer) -> None:
        """It is started by itself, unless it was given up."""
        if worker.process is not None:
            answer({"error": "node_up", "message": "the worker runs already"})
            return
        self._worker_ends.clear()
        self._begin(worker)
        answer({"node": WORKER, "state": worker.state})

    def _status(self) -> dict[str, Any]:
        return {
            "ready": self.is_ready,
            "nodes": {name: _described(child) for name, child in self.nodes.items()},
            "worker": None if self.worker is None else _described(self.worker),
        }

    # -- what the loop waits on

    @contextmanager
    def _control(self) -> Iterator[ControlServer]:
        server = ControlServer(self.selector, self._handle)
        if self._launcher is not None:
            self.selector.register(self._launcher, selectors.EVENT_READ, self._launcher_gone)
        try:
            yield server
        finally:
            server.close()
            self._logs.close()
            self.selector.close()

    def _launcher_gone(self) -> None:
        assert self._launcher is not None  # noqa: S101 - it is registered
        with suppress(BlockingIOError):
            if os.read(self._launcher, 4_096):
                return
        self.selector.unregister(self._launcher)
        self.end()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals wake the loop by a pipe; nothing is done in a handler."""
        read, write = self._wake = os.pipe()
        for descriptor in self._wake:
            os.set_blocking(descriptor, False)
        before = {number: signal.signal(number, _only_wake) for number in SIGNALS}
        old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.selector.register(read, selectors.EVENT_READ, lambda: self._woken(read))
        try:
            yield
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(read)
            os.close(write)

    def _woken(self, read: int) -> None:
        with suppress(BlockingIOError):
            for number in os.read(read, 1_024):
                if number in _ENDS:
                    self.end()
        self._reap()


def _ready_for_worker() -> None:
    """Import what the worker needs, once, also where it is started again."""
    with without_collecting():
        from ....worker.shared import shared_worker  # noqa: F401


def _only_wake(_number: int, _frame: object) -> None:
    """Python has written the number into the wakeup pipe already."""


def _described(child: Child) -> dict[str, Any]:
    return {"state": child.state, "pid": child.pid, "exit": child.exit, "said": child.said}


def _status(status: int | None) -> str:
    """An exit status for the middle of a sentence."""
    if status is None:
        return "it never ran"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
