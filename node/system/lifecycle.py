"""No process outlives the one that started it, or imports what lies in the folder that it was started in."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

LAUNCHER = "MONEYER_LAUNCHER"
"""Environment: the process id of whoever started us and is to outlive us: `moneyer up`, or a worker's keeper."""

THE_REASON_IS_ABOVE = "the node has ended; the reason stands above"
"""What a node's main process says when its serving process, which has said why, has ended by itself."""

_POLL = 0.5


def import_nothing_from_here() -> None:
    """Let no process that this one starts import anything from the current folder.

    Somebody else's `pickle.py` may lie there. `python -c`, by which `multiprocessing` starts processes, and `python -m`
    look there first unless they are told not to (https://docs.python.org/3/using/cmdline.html#envvar-PYTHONSAFEPATH).
    The script `moneyer` itself does not.
    """
    os.environ["PYTHONSAFEPATH"] = "1"


def end_this_process() -> None:
    """Ask this process to end as SIGTERM does, so that its own clean-up runs."""
    os.kill(os.getpid(), signal.SIGTERM)


def watch_parent(on_death: Callable[[], None] = end_this_process, *, parent: int | None = None) -> None:
    """Call `on_death` within about half a second of the death of the parent process (`parent`, else the one now).

    A killed launcher cannot tell its children; the kernel does, by giving them another parent.
    """
    first = os.getppid() if parent is None else parent
    # A child of init was orphaned before it came here, or was started by init itself: nobody to watch.
    if first == 1 and parent is None:
        return

    def watch() -> None:
        gone = threading.Event()
        while os.getppid() == first:
            gone.wait(_POLL)
        on_death()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def on_stop(listener: Callable[[], None]) -> None:
    """Call `listener`, in a thread, when this process is told to end (SIGTERM, SIGINT), beside whoever handles that.

    From the main thread only, once a process.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def watch() -> None:
        while not {signal.SIGTERM, signal.SIGINT} & set(os.read(read, 64)):
            pass
        listener()

    threading.Thread(target=watch, name="watch-stop", daemon=True).start()
