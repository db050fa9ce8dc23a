"""Starts `moneyer` for tests as `subprocess` does, but forked from a process that has imported it once (Linux).

A command imports for a tenth of a second of the processor, a node for most of a second. `Popen` and `run` take what
those of `subprocess` take, and give what they give: a real process, a child of this one. `tests.kit.system.zygote` is
the process that it is forked from, one for each process of tests. What cannot be had by a fork is started as usual:
another program, another interpreter's settings, a `preexec_fn`. Tests of how a command starts use `subprocess`.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moneyer.node.system.forking import IS_FORKED
from tests.conftest import REPOSITORY

ENTRIES = ("moneyer", "moneyer.worker", "tests.kit.serve")
"""Modules that `python -m` may name."""
LENGTH = struct.Struct("!I")
_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
"""Variables by which an interpreter is set up, before any code of ours runs, begin so."""
_PYTHONPATH = os.environ.get("PYTHONPATH")
_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)


class Popen(subprocess.Popen[Any]):
    """`subprocess.Popen`, which alone asks the system for a new process in another way."""

    def __init__(self, *arguments: Any, terminal: bool = False, **settings: Any) -> None:
        """`terminal`: it gets a session of its own, whose terminal is its standard input."""
        self._terminal = terminal
        if terminal:
            settings["start_new_session"] = True
        super().__init__(*arguments, **settings)

    # The arguments as `subprocess` passes them, in every Python from 3.11 to 3.14.
    def _execute_child(
        self,
        args: Any,
        executable: Any,
        preexec_fn: Any,
        close_fds: bool,
        pass_fds: Any,
        cwd: Any,
        env: Any,
        startupinfo: Any,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: Any,
        gids: Any,
        uid: Any,
        umask: int,
        start_new_session: bool,
        process_group: int,
    ) -> None:
        environment = dict(os.environ if env is None else env)
        usual = not executable and not preexec_fn and close_fds and not pass_fds and not shell and restore_signals
        plain = gid is None and gids is None and uid is None and umask < 0 and process_group < 0
        if not (IS_FORKED and usual and plain and _is_ours(args) and _at_start(environment) == _ZYGOTE.setup):
            first = take_terminal if self._terminal else preexec_fn
            super()._execute_child(  # type: ignore[misc]
                *(args, executable, first, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell),
                *(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask),
                *(start_new_session, process_group),
            )
            return
        order = {
            "module": args[2],
            "arguments": [*map(os.fspath, args[3:])],
            "cwd": os.path.abspath(cwd or os.curdir),  # noqa: PTH100 - resolve() would follow links
            "environment": environment,
            "session": start_new_session,
            "terminal": self._terminal,
            "umask": _umask(),
        }
        streams = [given if given != -1 else number for number, given in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            self.pid = _ZYGOTE.fork(order, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


def run(*arguments: Any, **settings: Any) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run`, by `Popen`."""
    given, timeout, check = settings.pop("input", None), settings.pop("timeout", None), settings.pop("check", False)
    if settings.pop("capture_output", False):
        settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if given is not None:
        settings["stdin"] = subprocess.PIPE
    with Popen(*arguments, **settings) as process:
        try:
            out, err = process.communicate(given, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def _is_ours(command: Any) -> bool:
    return isinstance(command, list) and command[:2] == [sys.executable, "-m"] and command[2] in ENTRIES


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What sets up an interpreter. That nothing is imported from the current folder makes no difference to a fork."""
    found = {name: value for name, value in environment.items() if name.startswith(_AT_START)}
    found.pop("PYTHONSAFEPATH", None)
    if found.get("PYTHONPATH") in (None, _PYTHONPATH, str(REPOSITORY)):
        found.pop("PYTHONPATH", None)
    return found


def take_terminal() -> None:
    """In a new session: the terminal that is standard input becomes the session's, so that Ctrl-C on it is ours."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _umask() -> int:
    found = Path("/proc/self/status").read_text("ascii").partition("\nUmask:")[2]
    return int(found.split(maxsplit=1)[0], 8)


class _Zygote:
    """This side of the process that forks. Started when it is first needed; it ends with this process."""

    def __init__(self) -> None:
        self.setup = _at_start(os.environ)
        """The variables that set up its interpreter."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._owner = 0

    def fork(self, order: dict[str, Any], streams: list[int]) -> int:
        """The id of a new child of this process, whose stdin, stdout and stderr are those of `streams`."""
        sent = json.dumps(order).encode()
        with self._lock:
            if self._socket is None or self._owner != os.getpid():
                self._socket, self._owner = _start(), os.getpid()
            # It is forked twice, and the one between ends: so it becomes a child of the nearest "reaper" above.
            _be_reaper(True)
            try:
                socket.send_fds(self._socket, [LENGTH.pack(len(sent))], streams)
                self._socket.sendall(sent)
                answer = self._socket.recv(LENGTH.size, socket.MSG_WAITALL)
            finally:
                _be_reaper(False)
        assert len(answer) == LENGTH.size, "the process that forks has ended; its last words stand above"
        return int(LENGTH.unpack(answer)[0])


_ZYGOTE = _Zygote()


def _start() -> socket.socket:
    ours, theirs = socket.socketpair()
    zygote = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.system.zygote", str(theirs.fileno()), str(os.getpid())],
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    theirs.close()
    me = os.getpid()

    def end() -> None:
        if os.getpid() == me:
            ours.close()
            zygote.wait(10)

    atexit.register(end)
    return ours


def _be_reaper(yes: bool) -> None:
    if _LIBC.prctl(_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
