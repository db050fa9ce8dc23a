"""The process that `tests.kit.system.warm` forks from: `python -m tests.kit.system.zygote SOCKET PARENT`.

It has imported what nodes and commands need, and has one thread. An order is its length, three descriptors beside it,
and JSON; the answer is the new process's id, once that is a child of PARENT.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TextIO

from moneyer.node.cli.main import COMMANDS
from moneyer.node.devnet.forked import ready_for_nodes
from moneyer.node.system.forking import end_as_usual
from moneyer.node.system.lifecycle import without_collecting
from tests.kit.system.warm import ENTRIES, LENGTH, take_terminal

_LIMITS = (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
_PATIENCE = 60
"""Seconds for the system to give a forked process its parent, which takes it none."""


def main() -> None:
    """Fork for each order, until the other end is closed. In a forked process: be what was ordered, to its end."""
    orders, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    orders.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, at whose end this process ends too
    _import_all()
    while True:
        length, streams, _, _ = socket.recv_fds(orders, LENGTH.size, 3)
        if not length:
            return
        order = json.loads(_read(orders, *LENGTH.unpack(length)))
        child = _fork_twice()
        if child == 0:
            orders.close()
            _become(order, streams, parent)
            return
        for each in streams:
            os.close(each)
        orders.sendall(LENGTH.pack(child))


def _import_all() -> None:
    with without_collecting():
        ready_for_nodes()
        for place, _ in COMMANDS.values():
            import_module(place.partition(":")[0], "moneyer.node.cli")
        for name in (*map(_main_of, ENTRIES), "moneyer.worker.keeper", "moneyer.worker.supervisor"):
            import_module(name)


def _main_of(name: str) -> str:
    """The module that `python -m` runs under this name."""
    found = find_spec(name)
    assert found is not None, name
    return f"{name}.__main__" if found.submodule_search_locations is not None else name


def _read(orders: socket.socket, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        read += orders.recv(size - len(read))
    return bytes(read)


def _fork_twice() -> int:
    """The new process's id, or 0 in it. The process between has ended by then: the new one has another parent."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child != 0:
            os.write(writer, LENGTH.pack(child))
            os._exit(0)
        os.close(reader)
        os.close(writer)
        return 0
    os.close(writer)
    told = os.read(reader, LENGTH.size)
    os.close(reader)
    os.waitpid(between, 0)
    return int(LENGTH.unpack(told)[0])


def _become(order: dict[str, Any], streams: list[int], parent: int) -> None:
    """Be as if a new interpreter had been started for this order. Ends with SystemExit or an exception, as it would."""
    deadline = time.monotonic() + _PATIENCE
    while os.getppid() != parent:
        if time.monotonic() > deadline:
            os._exit(70)
        time.sleep(0.0005)
    if order["session"]:
        os.setsid()
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    if order["terminal"]:
        take_terminal()
    os.chdir(order["cwd"])
    os.umask(order["umask"])
    for kind in _LIMITS:
        resource.setrlimit(kind, resource.prlimit(parent, kind))
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.stdin, sys.stdout, sys.stderr = _text(0, "r", sys.stdin), _text(1, "w", sys.stdout), _text(2, "w", sys.stderr)
    module = import_module(_main_of(order["module"]))
    sys.modules["__main__"] = module  # by whose name `multiprocessing` starts processes that import anew
    sys.argv = [str(module.__file__), *order["arguments"]]
    end_as_usual()
    try:
        status = module.main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        status = ended.code
    _end(status or 0)


def _end(status: int) -> None:
    """End as the interpreter does, but leave the memory to the system: to free each object would copy its page first.

    Where the streams can't be flushed, the interpreter itself has to end, since it says so.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)
    os._exit(status)


def _text(number: int, mode: str, like: TextIO) -> Any:
    lines = number == 2 or (mode == "w" and os.isatty(number))
    return open(*(number, mode), 1 if lines else -1, encoding=like.encoding, errors=like.errors, closefd=False)


if __name__ == "__main__":
    main()
