"""A process that honcho started ends when honcho is gone, however that ended.

honcho puts a helper process of its own between itself and each of ours. Killed, honcho takes the helper not with it: so
our parent lives on, and it is honcho itself that has to be watched.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ..system.lifecycle import LAUNCHER, end_this_process

_HONCHO = "HONCHO_PROCESS_NAME"  # what honcho itself sets
_GRACE = 0.7  # seconds for an orderly end, of the two that there are


def watch_launcher(on_death: Callable[[], None] = end_this_process) -> None:
    """Call `on_death` as soon as the launcher is gone, and end this process at once a second later.

    Does nothing where no launcher started it.
    """
    launcher = _launcher()
    if launcher is None:
        return

    def watch() -> None:
        wait_for_exit(launcher)
        on_death()
        threading.Event().wait(_GRACE)
        os._exit(1)

    threading.Thread(target=watch, name="watch-launcher", daemon=True).start()


def wait_for_exit(pid: int) -> None:
    """Block until the process has ended (a zombie has). Costs nothing while it waits."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            select.select([handle], [], [])
        finally:
            os.close(handle)
    else:
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        try:
            queue.control([event], 1, None)
        except ProcessLookupError:
            return
        finally:
            queue.close()


def _launcher() -> int | None:
    named = os.environ.get(LAUNCHER, "")
    if named.isdecimal():
        return int(named)
    if _HONCHO not in os.environ:
        return None
    launcher = _parent_of(os.getppid())
    # 1: honcho is a container's first process (and the container ends with it).
    return launcher if launcher and launcher > 1 else None


def _parent_of(pid: int) -> int | None:
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return None
        # pid (name) state ppid …; the name may hold anything, a closing parenthesis too.
        return int(stat.rpartition(")")[2].split()[1])
    else:
        ask = ["ps", "-o", "ppid=", "-p", str(pid)]
        shown = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=5).stdout.strip()
        return int(shown) if shown.isdecimal() else None
