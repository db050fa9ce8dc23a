"""What a node asks of its worker: a mode (when to mine), and jobs (blocks that were asked for).

The mode is one row, set by the API or a worker's option and read by the worker at each commit. A job is a row that
`/mine_block` or `/v1/mine` made; it outlasts a restart, and the worker takes the oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from secrets import token_hex
from typing import Any, Final

from sqlalchemy import Connection, Row, case, insert, select, update

from ..core.errors import MoneyerError
from ..system.words import nearest, quoted
from . import meta
from .tables import ONE, jobs

MAX_INTERVAL: Final = 86_400
MODES: Final = "demand, instant, continuous or interval:SECONDS"
_KEY: Final = "mining_mode"


class BadMode(MoneyerError):
    code = "bad_mode"


class Kind(Enum):
    """The kinds of mode: when blocks are mined of the worker's own accord. Jobs are served in every mode."""

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
    """The mode that was set last; None where none was, or one that only a newer program knows."""
    text = meta.get(conn, _KEY)
    try:
        return None if text is None else parse_mode(text.decode("utf-8", "replace"))
    except BadMode:
        return None


def set_mode(conn: Connection, wanted: Mode) -> None:
    """Sets the mode; it holds after a restart too."""
    if mode(conn) != wanted:
        meta.replace(conn, _KEY, str(wanted).encode())


OPEN, DONE, FAILED = "open", "done", "failed"


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job: a number of blocks for one account.

    `receiver`: payload that is paid, None for the worker's own; `wanted`, `mined`: blocks; times Unix seconds.
    """

    job_id: str
    receiver: bytes | None
    wanted: int
    mined: int
    state: str
    message: str
    last_hash: bytes | None
    created_at: int
    updated_at: int


_ROW = select(
    jobs.c.job_id,
    jobs.c.receiver,
    jobs.c.wanted,
    jobs.c.mined,
    jobs.c.state,
    jobs.c.message,
    jobs.c.last_hash,
    jobs.c.created_at,
    jobs.c.updated_at,
)


def _row(row: Row[*tuple[Any, ...]] | None) -> JobRow | None:
    return JobRow(**row._mapping) if row else None


def create(conn: Connection, wanted: int, receiver: bytes | None, now: int) -> JobRow:
    job = JobRow(token_hex(8), receiver, wanted, 0, OPEN, "", None, now, now)
    conn.execute(
        insert(jobs).values(
            job_id=job.job_id,
            receiver=receiver,
            wanted=wanted,
            mined=0,
            state=OPEN,
            message="",
            created_at=now,
            updated_at=now,
        )
    )
    return job


def get(conn: Connection, job_id: str) -> JobRow | None:
    return _row(conn.execute(_ROW.where(jobs.c.job_id == job_id)).first())


def next_open(conn: Connection) -> JobRow | None:
    """The oldest job that still wants blocks."""
    return _row(conn.execute(_ROW.where(jobs.c.state == OPEN).order_by(jobs.c.number).limit(ONE)).first())


def record_block(conn: Connection, job_id: str, block_hash: bytes, now: int) -> None:
    """A block was mined for a job; the last one closes it."""
    conn.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id, jobs.c.state == OPEN)
        .values(
            mined=jobs.c.mined + 1,
            last_hash=block_hash,
            updated_at=now,
            state=case((jobs.c.mined + 1 >= jobs.c.wanted, DONE), else_=OPEN),
        )
    )


def fail(conn: Connection, job_id: str, message: str, now: int) -> None:
    """Ends a job that cannot go on. `message`: a sentence that says why."""
    conn.execute(
        update(jobs).where(jobs.c.job_id == job_id).values(state=FAILED, message=message[:300], updated_at=now)
    )
