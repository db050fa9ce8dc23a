"""How a network's supervisor is told to start and end nodes: the protocol on its socket, and the client's side.

A request is one JSON object in one line, and so is its answer, which comes when the thing is done:

    {"do": "start", "node": "3"}    -> {"node": "3", "state": "up"}          when it answers
    {"do": "stop",  "node": "3"}    -> {"node": "3", "state": "stopped"}     in order; when it has ended
    {"do": "kill",  "node": "3"}    -> {"node": "3", "state": "killed"}      as a power cut would; when it has ended
    {"do": "status"}                -> {"ready": true, "nodes": {"3": {"state", "pid", "exit", "said"}}, "worker": {…}}
    {"do": "down"}                  -> {"down": true}                        when all have ended
    anything refused                -> {"error": CODE, "message": SENTENCE}

`state`: `starting`, `up`, `stopping`, `stopped`, `killed`, `died` (by itself). `exit`: the exit status (negative: a
signal's number); `said`: the last line that a node printed. Both are null while there is none.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...config import NETWORK_LOCK
from ...core.errors import MoneyerError
from ...system.advice import typed
from ...system.lifecycle import wait_for_exit
from ...system.locks import is_held

MAX_LINE: Final = 4_096
"""Bytes of a request."""
MAX_ANSWER: Final = 8_000_000
"""Bytes of an answer: 10,000 nodes with their last lines."""
_MAX_LOCK: Final = 4_096
PATIENCE: Final = 60.0
"""Seconds that an answer is waited for: a node starts and stops in a few, also on a busy machine."""
_QUEUE_SECONDS: Final = 5.0
_QUEUE_PAUSE: Final = 0.05
"""A full queue of callers is empty as soon as the supervisor had a turn."""
STATES: Final = ("starting", "up", "stopping", "stopped", "killed", "died")


class NotRunning(MoneyerError):
    """No network runs on a folder."""

    code = "network_not_running"


class ControlRefused(MoneyerError):
    """The supervisor refused what it was asked, or gave no answer. `details["reason"]`: its own code."""

    code = "network_refused"


@dataclass(frozen=True, slots=True)
class Control:
    """Speaks to the supervisor of a network's folder; a connection for each request."""

    data: Path
    socket_path: str
    pid: int
    """Of the supervisor."""

    @classmethod
    def find(cls, data: Path) -> Control:
        """The supervisor that runs on a folder. Raises NotRunning, OSError."""
        data = data.absolute()
        held = _holder(data)
        if held is None:
            raise NotRunning(f"no network runs on {data}: `moneyer net up --data {typed(data)}` starts it")
        return cls(data, held["socket"], held["pid"])

    def start(self, name: str) -> dict[str, Any]:
        """Start a node that does not run; returns when it answers. Raises ControlRefused, NotRunning."""
        return self.ask({"do": "start", "node": name})

    def stop(self, name: str) -> dict[str, Any]:
        """End a node in order; returns when it has ended."""
        return self.ask({"do": "stop", "node": name})

    def kill(self, name: str) -> dict[str, Any]:
        """End a node as a power cut would (SIGKILL); returns when it has ended."""
        return self.ask({"do": "kill", "node": name})

    def status(self) -> dict[str, Any]:
        """What the supervisor knows of its processes: see the top of this file."""
        return self.ask({"do": "status"})

    def down(self) -> None:
        """End the network; returns when its processes have ended and its folder is free."""
        self.ask({"do": "down"})
        wait_for_exit(self.pid)

    def ask(self, request: dict[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
        """One request; its answer. Raises ControlRefused, NotRunning."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(patience)
                _connect(sock, self.socket_path)
                sock.sendall(json.dumps(request).encode() + b"\n")
                answer = _line(sock)
        except TimeoutError:
            raise ControlRefused(
                f"the network on {self.data} has not answered within {patience:.0f} s: `moneyer net log` shows what "
                "its nodes said",
                reason="no_answer",
            ) from None
        except BlockingIOError:  # its queue stays full
            raise ControlRefused(
                f"the network on {self.data} has too many callers at once: try again", reason="busy"
            ) from None
        except OSError:
            raise NotRunning(f"the network on {self.data} has just ended") from None
        if "error" in answer:
            raise ControlRefused(str(answer.get("message")), reason=answer["error"])
        return answer


def _holder(data: Path) -> dict[str, Any] | None:
    """What the supervisor wrote into its lock; None where none runs."""
    lock = data / NETWORK_LOCK
    if not lock.is_file() or not is_held(lock):
        return None
    with lock.open("rb") as file:
        try:
            held = json.loads(file.read(_MAX_LOCK) or b"null")
        except (ValueError, RecursionError):
            return None
    if not isinstance(held, dict) or not isinstance(held.get("pid"), int) or not isinstance(held.get("socket"), str):
        return None  # it is just starting: nothing stands there yet
    return held


def _connect(sock: socket.socket, path: str) -> None:
    """Connect; where the queue of callers is full, again when the supervisor had a turn. Raises OSError."""
    end = time.monotonic() + _QUEUE_SECONDS
    while True:
        try:
            sock.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(_QUEUE_PAUSE)


def _line(sock: socket.socket) -> dict[str, Any]:
    """The answer. Raises OSError where the connection ends before."""
    held = b""
    while b"\n" not in held:
        part = sock.recv(65_536)
        if not part or len(held) > MAX_ANSWER:
            raise ConnectionError
        held += part
    try:
        answer = json.loads(held)
    except ValueError:
        raise ConnectionError from None
    if not isinstance(answer, dict):
        raise ConnectionError
    return answer
