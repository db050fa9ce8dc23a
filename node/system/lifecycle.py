"""A process's life: it ends with the process that started it, and imports nothing from the current folder."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

LAUNCHER = "MONEYER_LAUNCHER"
"""Environment: the process id of the launcher, with which this process ends: `moneyer up`, or a worker's keeper."""

THE_REASON_IS_ABOVE = "the node has ended; the reason stands above"
"""What a node's main process logs when its serving process, which has logged why, has ended by itself."""

_HONCHO = "HONCHO_PROCESS_NAME"
"""Environment: set by honcho itself in each of its processes."""
_POLL = 0.5
"""Seconds between two looks for the parent."""
_GRACE = 0.7
"""Seconds for an orderly end once the launcher is gone."""


def import_nothing_from_here() -> None:
    """Let no process that this one starts import anything from the current folder.

    Somebody else's `pickle.py` may lie there. `python -c`, by which `multiprocessing` starts processes, and `python -m`
    look there first unless they are told not to (https://docs.python.org/3/using/cmdline.html#envvar-PYTHONSAFEPATH).
    The script `moneyer` itself does not.
    """
    os.environ["PYTHONSAFEPATH"] = "1"


@contextmanager
def without_collecting() -> Iterator[None]:
    """Import or build what stays for the life of this process: the collector is off meanwhile, and passes over it then.

    It would look at everything again and again while it grows, and find next to nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end_this_process() -> None:
    """Ask this process to end as SIGTERM does, so that its own clean-up runs."""
    os.kill(os.getpid(), signal.SIGTERM)


def watch_parent(on_death: Callable[[], None] = end_this_process, *, parent: int | None = None) -> None:
    """Call `on_death` within about half a second of the death of the parent process (`parent`, else the one now), on
    Linux at once.

    A killed launcher cannot tell its children; the kernel does, by giving them another parent.
    """
    first = os.getppid() if parent is None else parent
    # A child of init was orphaned before it came here, or was started by init itself: there is none to watch.
    if first == 1 and parent is None:
        return

    def watch() -> None:
        if os.getppid() == first:
            with suppress(OSError):  # an old kernel, or a container that forbids it
                wait_for_exit(first)
        gone = threading.Event()
        while os.getppid() == first:
            gone.wait(_POLL)
        on_death()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def watch_launcher(on_death: Callable[[], None] = end_this_process) -> None:
    """Call `on_death` as soon as the launcher is gone, and end this process for certain soon after.

    Does nothing where no launcher started it. honcho puts a helper process of its own between itself and each of ours,
    which lives on when honcho is killed: the parent says nothing, so honcho itself has to be watched.
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
    import select

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
    """The process id of the launcher; None where there is none."""
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
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                stat = file.read()
        except OSError:
            return None
        # pid (name) state ppid …; the name may hold anything, a closing parenthesis too.
        return int(stat.rpartition(")")[2].split()[1])
    else:
        import subprocess

        ask = ["ps", "-o", "ppid=", "-p", str(pid)]
        shown = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=5).stdout.strip()
        return int(shown) if shown.isdecimal() else None


def on_stop(listener: Callable[[], None]) -> None:
    """Call `listener`, in a thread, when this process is told to end (SIGTERM, SIGINT); other handlers stay.

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
