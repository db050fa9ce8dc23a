"""Whether a process gets the file descriptors that it cannot do without, asked before anything else is done."""

from __future__ import annotations

import os

from node.core.errors import MoneyerError


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
