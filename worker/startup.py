"""What the worker and the Stratum server wait for before they begin: file descriptors, and their node.

The node may have been started at the same moment (`moneyer up` starts all at once), so it is given time to come up.
"""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from ..node.config import Config
from ..node.core.errors import MoneyerError
from ..node.system.advice import start_node
from ..node.system.locks import is_held

NODE_SECONDS = 30.0
"""Seconds that a node has to come up."""
_SILENT_SECONDS = 3.0
"""Seconds of these before a line says what is waited for."""
_AGAIN_SECONDS = 30.0
"""Seconds between two lines about a server that is waited for."""
SERVER_POLL = 0.5
"""Seconds between two tries to open a server's database."""


def allow_files(count: int) -> None:
    """Let this process open `count` files, or as many as the system lets a user allow; some begin with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        with suppress(OSError, ValueError):  # as it was, then
            wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def need_descriptors(count: int, who: str, refusal: type[MoneyerError]) -> None:
    """Raises `refusal` where this process cannot open `count` files more. `who`: the process, for its sentence."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.dup(2))
    except OSError as error:
        raise refusal(
            f"{who} needs {count} free file descriptors and gets {len(opened)} ({error.strerror}): raise it with "
            f"`ulimit -n {max(1024, count + 100)}`, or end programs that have many files open"
        ) from None
    finally:
        for each in opened:
            os.close(each)


def is_checked(config: Config) -> bool:
    """Whether the node of a data folder knows its database to be whole; before, nobody else may write to it.

    False too where the system refuses to tell now.
    """
    try:
        return is_held(config.checked_lock)
    except OSError:
        return False


def where(config: Config) -> str:
    """How sentences name the chain that is mined for: its data folder, or its server's database, without a password."""
    if config.database_url is None:
        return str(config.data)
    from ..node.store.backends.postgres.pg_address import shown

    return shown(config.database_url)


class ServerWait:
    """Says what keeps a process from its server's database: after some seconds, and then again and again."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._say_at = monotonic() + _SILENT_SECONDS

    def failed(self, error: MoneyerError) -> None:
        """It could not be opened this time."""
        if monotonic() >= self._say_at:
            self._say_at = monotonic() + _AGAIN_SECONDS
            self._log.warning("%s; trying again", error.message)


class NodeWait:
    """Waits for the node of a data folder; asked again and again by its user, so that it needs no thread."""

    def __init__(
        self,
        data: Path,
        is_up: Callable[[], bool],
        log: logging.Logger,
        refusal: type[MoneyerError],
        seconds: float = NODE_SECONDS,
    ) -> None:
        """`is_up`: whether the node runs. `refusal`: the error for one that does not come up within `seconds`."""
        self._data = data
        self._is_up = is_up
        self._log = log
        self._refusal = refusal
        self._seconds = seconds
        self._began = monotonic()
        self._told = False

    def is_over(self) -> bool:
        """Whether the node is up now. Raises `refusal` when its time is over."""
        if self._is_up():
            return True
        waited = monotonic() - self._began
        if waited > _SILENT_SECONDS and not self._told:
            self._told = True
            self._log.info("waiting for the node of %s to start", self._data)
        if waited > self._seconds:
            raise self._refusal(f"no node runs on {self._data}: start it with `{start_node(self._data)}`")
        return False
