"""Mining jobs that were asked for by `/mine_block` and `/v1/mine`; they outlast a restart."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, Row, case, insert, select, update

from node.store.tables import jobs

OPEN, DONE, FAILED = "open", "done", "failed"


@dataclass(frozen=True, slots=True)
class JobRow:
    """`receiver`: payload that is paid, None for the worker's own; `wanted`, `mined`: blocks; times Unix seconds."""

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
    return _row(conn.execute(_ROW.where(jobs.c.state == OPEN).order_by(jobs.c.number).limit(1)).first())


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
    """A job cannot go on; `message` says why."""
    conn.execute(
        update(jobs).where(jobs.c.job_id == job_id).values(state=FAILED, message=message[:300], updated_at=now)
    )
