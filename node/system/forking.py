"""How a process starts another one that runs our own code: forked, where the system's libraries survive it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkContext, SpawnContext
from typing import Final

IS_FORKED: Final = sys.platform == "linux"
"""Whether a new process shares what is imported already. macOS's own libraries do not survive a fork."""

CONTEXT: Final[ForkContext | SpawnContext] = get_context("fork") if IS_FORKED else get_context("spawn")

ENDS: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a process to end."""


@contextmanager
def holding(signals: Sequence[signal.Signals] = ENDS) -> Iterator[None]:
    """Signals that come meanwhile come when this is over.

    For whoever starts a process and notes it: what Python itself does around a fork drops the exception that Ctrl-C is,
    and a process that nobody has noted is ended by nobody. A process that is started meanwhile holds them back too,
    until it has chosen what they do in it (`end_as_usual`).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def end_as_usual() -> None:
    """In a process that was forked: the signals of `ENDS` do what they do in a new one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
