"""Waiting for the node of a data folder, which may have been started at the same moment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from ..node.core.errors import MoneyerError
from ..node.system.advice import start_node

# Whether a process gets the file descriptors that it cannot do without, asked before anything else is done.


def need_descriptors(count: int, who: str, refusal: type[MoneyerError]) -> None:
    """Raises `refusal`, a sentence, where this process cannot open so many files more."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.dup(2))
    except OSError as error:
        raise refusal(
            f"{who} needs {count} free file descriptors and gets {len(opened)} ({error.strerror}): raise it with "
            "`ulimit -n 1024`, or end programs that have many files open"
        ) from None
    finally:
        for each in opened:
            os.close(each)


NODE_SECONDS = 30.0
"""A node has this long to come up."""
_SILENT_SECONDS = 3.0
"""Of these, without a word."""


class NodeWait:
    """`is_up`: whether the node runs. `refusal`: the error for one that does not come up within `seconds`."""

    def __init__(
        self,
        data: Path,
        is_up: Callable[[], bool],
        log: logging.Logger,
        refusal: type[MoneyerError],
        seconds: float = NODE_SECONDS,
    ) -> None:
        self._data = data
        self._is_up = is_up
        self._log = log
        self._refusal = refusal
        self._seconds = seconds
        self._began = monotonic()
        self._told = False

    def is_over(self) -> bool:
        """Whether the node is up now; to be asked again and again. Raises `refusal`."""
        if self._is_up():
            return True
        waited = monotonic() - self._began
        if waited > _SILENT_SECONDS and not self._told:
            self._told = True
            self._log.info("waiting for the node of %s to start", self._data)
        if waited > self._seconds:
            raise self._refusal(f"no node runs on {self._data}: start it with `{start_node(self._data)}`")
        return False
