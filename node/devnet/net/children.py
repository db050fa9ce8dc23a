"""One process of a network as its supervisor holds it: forked, its lines read, signalled, reaped. No waiting here."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from ...system.forking import CONTEXT, IS_FORKED
from ...system.lifecycle import THE_REASON_IS_ABOVE
from ..forked import Enter, become

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
"""What the supervisor handles; a new process has the system's own ways with them."""
_PART: Final = 65_536
_LONGEST: Final = 8_192
"""Bytes of a line; the rest of a longer one counts as the next."""


@dataclass(slots=True, eq=False)
class Child:
    """A node or the worker, whether it runs or not."""

    name: str
    arguments: Sequence[str]
    """Of `moneyer`."""
    state: str = "stopped"
    """One of `control.STATES`."""
    exit: int | None = None
    """The exit status of its last end; negative: a signal's number."""
    said: str | None = None
    """The last line that it printed."""
    process: BaseProcess | None = None
    """None while it does not run."""
    reader: Connection | None = None
    """Of its lines; stays open until it has been read to its end."""
    _rest: bytes = field(default=b"", repr=False)
    """The beginning of a line whose end has not come yet."""

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def begin(self, enter: Enter, environment: Mapping[str, str], close: Sequence[int]) -> None:
        """Start the process. `close`: descriptors of the supervisor's that it must not have. Raises OSError.

        This process has one thread, and the signals of SIGNALS are blocked.
        """
        self.reader, writer = CONTEXT.Pipe(duplex=False)
        try:
            os.set_blocking(self.reader.fileno(), False)
            ours = [*close, self.reader.fileno()] if IS_FORKED else []
            target = partial(_be, enter, list(self.arguments), dict(environment), ours)
            process = CONTEXT.Process(target=target, args=(writer,), name=self.name)
            process.start()
        except BaseException:
            self.drop_reader()
            raise
        finally:
            writer.close()
        self.process, self.state, self.exit, self.said, self._rest = process, "starting", None, None, b""
        with suppress(OSError):  # both sides do it, so that it is done whichever comes first
            os.setpgid(process.pid or 0, process.pid or 0)

    def signal(self, number: int) -> None:
        """Send a signal to its main process, which passes it on to its own."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End all its processes at once."""
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def lines(self) -> tuple[list[bytes], bool]:
        """The lines that it has printed since, and whether there will be no more."""
        if self.reader is None:
            return [], True
        try:
            part = os.read(self.reader.fileno(), _PART)
        except BlockingIOError:
            return [], False
        except OSError:
            part = b""
        *whole, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) > _LONGEST or (not part and self._rest):
            whole.append(self._rest)
            self._rest = b""
        for line in whole:
            text = line[:_LONGEST].decode("utf-8", "replace").strip()
            if THE_REASON_IS_ABOVE not in text:
                self.said = text or self.said
        return whole, not part

    def drop_reader(self) -> None:
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def reap(self) -> bool:
        """Whether it has ended since; then `exit` is known, and nothing of it runs any more."""
        if self.process is None or self.process.exitcode is None:
            return False
        self.kill()  # where its main process was killed, the other one lives on for a moment, and has the port
        self.exit = self.process.exitcode
        self.process.close()
        self.process = None
        return True


def _be(
    enter: Enter, arguments: Sequence[str], environment: Mapping[str, str], close: Sequence[int], output: Connection
) -> None:
    """In the new process."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in close:
        with suppress(OSError):
            os.close(descriptor)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP, signal.SIGCHLD))
    become(enter, arguments, environment, output)
