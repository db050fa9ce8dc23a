"""When the node's worker mines: one row, set by the API or a worker's option, read by the worker at each commit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sqlalchemy import Connection

from node.core.errors import MoneyerError
from node.store import meta
from node.words import nearest, quoted

MAX_INTERVAL: Final = 86_400
MODES: Final = "demand, instant, continuous or interval:SECONDS"
_KEY: Final = "mining_mode"


class BadMode(MoneyerError):
    code = "bad_mode"


class Kind(Enum):
    """When blocks are mined beside those that a job asks for: jobs are served in every mode."""

    DEMAND = "demand"
    INSTANT = "instant"
    INTERVAL = "interval"
    CONTINUOUS = "continuous"


@dataclass(frozen=True, slots=True)
class Mode:
    kind: Kind
    seconds: float = 0
    """Between blocks, for `interval`."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.seconds:g}" if self.kind is Kind.INTERVAL else self.kind.value


DEFAULT: Final = Mode(Kind.DEMAND)


def parse_mode(text: str) -> Mode:
    """`demand`, `instant`, `continuous`, `interval:5` or `interval 5`. Raises BadMode."""
    word, _, rest = text.strip().lower().replace(":", " ").partition(" ")
    try:
        kind = Kind(word)
        if kind is not Kind.INTERVAL:
            if rest:
                raise ValueError
            return Mode(kind)
        seconds = float(rest)
        if not 0 < seconds <= MAX_INTERVAL:  # NaN fails too
            raise ValueError
    except ValueError:
        near = nearest(word, [kind.value for kind in Kind])
        meant = (
            f"; did you mean {near}{':5' if near == Kind.INTERVAL.value else ''}?" if near not in (None, word) else ""
        )
        raise BadMode(
            f"there is no mining mode {quoted(text)}: take {MODES} (more than 0, at most {MAX_INTERVAL}){meant}",
            field="mode",
            expected=MODES,
            found=text[:40],
        ) from None
    return Mode(kind, seconds)


def mode(conn: Connection) -> Mode | None:
    """What was set last; None where nothing ever was (or a later program set what this one doesn't know)."""
    text = meta.get(conn, _KEY)
    try:
        return None if text is None else parse_mode(text.decode("utf-8", "replace"))
    except BadMode:
        return None


def set_mode(conn: Connection, wanted: Mode) -> None:
    """From now on, and after a restart too."""
    if mode(conn) != wanted:
        meta.replace(conn, _KEY, str(wanted).encode())
