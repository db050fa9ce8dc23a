"""Reads what a process writes to a pseudo-terminal."""

from __future__ import annotations

import codecs
import os
import select
from collections.abc import Iterator


def shown_on(terminal: int) -> Iterator[str]:
    """What is written there, in parts, until the last process that has it open has closed it."""
    decoder = codecs.getincrementaldecoder("utf-8")()  # what can be read may end within a letter
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, "a minute of silence"
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # EIO is the end on Linux
            return
        if not part:
            return
        if text := decoder.decode(part):
            yield text
