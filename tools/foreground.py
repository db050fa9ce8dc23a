"""Run a command that Ctrl-C ends well, below `make`: python tools/foreground.py COMMAND …

A terminal sends Ctrl-C to every process of the group in front. make would get it too, and say `*** [run] Error 130`. So
the command gets a group of its own in front of the terminal, as a shell does it
(https://www.gnu.org/software/libc/manual/html_node/Launching-Jobs.html), and make sees a command that ended with 0.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_BY_CTRL_C = (-signal.SIGINT, 128 + signal.SIGINT)


def main(command: list[str]) -> int:
    """The command's exit status; 0 where Ctrl-C ended it."""
    terminal = _terminal_in_front()
    child = os.fork()
    if child == 0:
        if terminal is not None:
            os.setpgid(0, 0)
            _bring_to_front(terminal, os.getpid())
        try:
            os.execvp(command[0], command)  # noqa: S606 - what make was told to run
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
            os._exit(127)
    if terminal is not None:
        with suppress(OSError):  # it has done so itself, or is gone
            os.setpgid(child, child)
        _bring_to_front(terminal, child)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda sign, _: _pass_on(child, sign))
    status = _wait(child, terminal)
    if terminal is not None:
        _bring_to_front(terminal, os.getpgrp())
    return 0 if status in _BY_CTRL_C else status if status >= 0 else 128 - status


def _terminal_in_front() -> int | None:
    """The terminal, where this process stands in front of it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        return terminal if os.tcgetpgrp(terminal) == os.getpgrp() else None
    except OSError:
        return None


def _bring_to_front(terminal: int, group: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # who is in the background may do it, too
    with suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.signal(signal.SIGTTOU, before)


def _pass_on(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


def _wait(child: int, terminal: int | None) -> int:
    """Until the command ends: its status. Stopped by Ctrl-Z, it takes make with it, and `fg` wakes both."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        if terminal is not None:
            _bring_to_front(terminal, os.getpgrp())
        os.killpg(os.getpgrp(), signal.SIGSTOP)
        if terminal is not None:
            _bring_to_front(terminal, child)
            os.killpg(child, signal.SIGCONT)
        else:
            os.kill(child, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
