"""A process of a network, forked from the one that runs it: what it needs is imported once, and shared by all.

A node that is started by itself imports for most of a second, into some 70 MB. Ten of them and their workers, forked
from a process that has imported it all, share both (docs/performance.md, Start). Only on Linux: macOS's own libraries
do not survive a fork, so there each process imports by itself (`multiprocessing`'s `spawn`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ctypes import memmove
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar, TextIO

from honcho.printer import Message

from ..core.errors import MoneyerError
from ..system.forking import CONTEXT, end_as_usual
from ..system.lifecycle import without_collecting

Enter = Callable[[Sequence[str]], int]
"""Runs `moneyer` with these arguments, in this process, and gives its exit status."""


def ready_for_nodes() -> None:
    """Import what nodes need, for those that are forked from this process. It still has one thread."""
    # A collection in a child would write to these objects' pages, and so copy them.
    with without_collecting():
        from .. import server  # noqa: F401
        from ..api import sync_console  # noqa: F401
        from ..p2p.peer import connection  # noqa: F401
        from ..web import site  # noqa: F401


def ready_for_workers() -> None:
    """Import what workers need, compile and measure the hash engines, for those forked from this process afterwards."""
    with without_collecting():
        from ...worker import keeper, supervisor  # noqa: F401
        from ...worker.config import WorkerConfig
        from ...worker.engines.code_cache import of_this_user

        cache = of_this_user()
        if cache is None:  # each worker measures by itself then, with a cache in its data folder
            return
        with suppress(MoneyerError):  # which the workers will say
            supervisor.choose_engine(WorkerConfig(Path()).engine, cache)


class ForkedProcess:
    """What honcho's manager knows as a process: `start`, then `follow` in a thread of its own."""

    readers: ClassVar[list[Connection]] = []
    """Of the lines of each process that was started here. A forked one has them too, and closes them at once."""

    def __init__(
        self,
        enter: Enter,
        arguments: Sequence[str],
        *,
        name: str,
        colour: str,
        env: Mapping[str, str],
        quiet: bool = False,
        cwd: str | None = None,
    ) -> None:
        """As honcho's `Process`, whose `cmd` are the arguments here; `quiet` and `cwd` are not used."""
        self._name = name
        self._colour = colour
        self._become = partial(_become_of_honcho, enter, list(arguments), dict(env))

    def start(self) -> int:
        """Start it; its process id, which is that of a process group of its own. From the main thread, before others.

        The signals of `ENDS` must be blocked in this thread until all are started.
        """
        # Not before: whoever is forked while the writing end is open here would keep it open.
        self._reader, writer = CONTEXT.Pipe(duplex=False)
        self.readers.append(self._reader)
        self._process = CONTEXT.Process(target=self._become, args=(writer,), name=self._name)
        self._process.start()
        writer.close()
        pid = self._process.pid
        assert pid is not None  # noqa: S101 - it has just been started
        with suppress(OSError):  # both sides do it, so that it is done whichever comes first
            os.setpgid(pid, pid)
        return pid

    def follow(self, events: SimpleQueue[Message]) -> None:
        """Hand on each line that it prints, and then its exit status."""
        with open(self._reader.fileno(), "rb", closefd=False) as lines:
            for line in lines:
                self._tell(events, "line", line)
        self._process.join()
        self.readers.remove(self._reader)
        self._reader.close()
        self._tell(events, "stop", {"returncode": self._process.exitcode})

    def _tell(self, events: SimpleQueue[Message], kind: str, data: object) -> None:
        events.put(Message(type=kind, data=data, time=datetime.now(), name=self._name, colour=self._colour))


def _become_of_honcho(
    enter: Enter, arguments: Sequence[str], environment: Mapping[str, str], output: Connection
) -> None:
    for reader in ForkedProcess.readers:
        reader.close()
    become(enter, arguments, environment, output)


def become(enter: Enter, arguments: Sequence[str], environment: Mapping[str, str], output: Connection) -> None:
    """In the new process: run `moneyer` as if a shell had started it with its output piped to `output`."""
    with suppress(OSError):
        os.setpgid(0, 0)  # Ctrl-C is for the launcher, which tells the others
    end_as_usual()
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    sys.stdout = _text(1, getattr(sys.stdout, "errors", None))
    sys.stderr = _text(2, "backslashreplace")
    os.environ.update(environment)
    sys.argv = ["moneyer", *arguments]
    with suppress(OSError):
        _show_as(sys.argv)
    sys.exit(enter(arguments))


def _text(descriptor: int, errors: str | None) -> TextIO:
    """A text stream line by line, for as long as the process lives."""
    return open(descriptor, "w", buffering=1, errors=errors, closefd=False)


def _show_as(words: Sequence[str]) -> None:
    """Let `ps` show this process as these words (Linux); they are cut where they find no room.

    The room is where the kernel has put the arguments and the environment (/proc/PID/stat, fields 48 to 51).
    """
    if sys.platform != "linux":
        return
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()  # from field 3 on
    start, end, environment_end = int(fields[45]), int(fields[46]), int(fields[48])
    for name, value in os.environ.items():
        os.putenv(name, value)  # a copy elsewhere, so that what is overwritten here is used by nobody
    title = b"\0".join(map(os.fsencode, words))[: environment_end - start - 1]
    if len(title) >= end - start:  # beyond the arguments the kernel shows one text, up to its zero byte
        title = title.replace(b"\0", b" ") + b"\0"
    title = title.ljust(end - start, b"\0")
    memmove(start, title, len(title))
