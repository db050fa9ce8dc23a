"""Ask the worker for blocks: a job is a row that outlives a restart; the worker takes the oldest first."""

from __future__ import annotations

import re
import threading
import time
from typing import Annotated, Final

from msgspec import Meta, Struct

from node import locks
from node.advice import typed
from node.api.context import NodeContext
from node.api.endpoint import Call, endpoint
from node.api.errors import BadField, NotFound, NoWorker
from node.api.identify import payable
from node.api.inflight import flights_of
from node.api.miningjson import Job
from node.api.render import job_view
from node.store import jobs
from node.store.jobs import JobRow

MAX_JOB: Final = 100_000
"""Blocks in one job."""
WORKER_SECONDS: Final = 4.0
"""How long a job waits for a worker that is just starting."""
_LOOK_SECONDS: Final = 0.1
_CALLER_SECONDS: Final = 2.0
"""Between two looks whether who waits for a job is still there."""
_JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


class MineBody(Struct, forbid_unknown_fields=True):
    blocks: Annotated[int, Meta(ge=1, le=MAX_JOB)] = 1
    address: Annotated[str, Meta(max_length=200)] | None = None
    """Who is paid; the worker's own account where none is named."""


def create_job(node: NodeContext, wanted: int, receiver: bytes | None) -> JobRow:
    """A job that is durable when this returns."""
    now = int(time.time())
    return node.store.write(lambda conn: jobs.create(conn, wanted, receiver, now))


def read_job(node: NodeContext, job_id: str) -> JobRow | None:
    with node.store.read() as conn:
        return jobs.get(conn, job_id)


def await_worker(node: NodeContext, seconds: float = WORKER_SECONDS) -> None:
    """Return once a worker lives. Raises NoWorker when none has come in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not locks.is_held(node.config.worker_lock):
        left = deadline - time.monotonic()
        if left <= 0:
            folder = node.config.data.absolute()
            raise NoWorker(
                f"no worker mines for this node: start one with `moneyer worker --data {typed(folder)}`",
                data=str(node.config.data),
            )
        pause.wait(min(left, _LOOK_SECONDS))


def await_job(node: NodeContext, job_id: str, seconds: float, call: Call) -> JobRow:
    """The job once it is over, or as it is after `seconds`. Raises CallerGone once nobody waits for `call` any more."""
    assert call.flight is not None  # noqa: S101 - every request is one
    deadline = time.monotonic() + seconds
    while True:
        seen = node.store.data_version()
        job = read_job(node, job_id)
        if job is None:
            raise NotFound("this job is gone", job=job_id)
        left = deadline - time.monotonic()
        if job.state != jobs.OPEN or left <= 0:
            return job
        node.store.wait_for_change(seen, min(left, _CALLER_SECONDS))
        flights_of(node).check_caller(call.flight)


@endpoint(
    "POST",
    "/v1/mine",
    "Ask for blocks; they are mined one after the other",
    reply=Job,
    status=202,
    body=MineBody,
    changes=True,
    token=True,
)
def mine(node: NodeContext, call: Call) -> Job:
    body: MineBody = call.body
    receiver = None if body.address is None else payable(node.coin, body.address)
    return job_view(node.coin, create_job(node, body.blocks, receiver))


@endpoint("GET", "/v1/jobs/{job}", "How far a job is", reply=Job, errors=(404,))
def show_job(node: NodeContext, call: Call) -> Job:
    job_id = call.path["job"]
    if not _JOB_ID.fullmatch(job_id):
        raise BadField("a job is named by the `job` that asking for it answered", field="job", found=job_id[:80])
    row = read_job(node, job_id)
    if row is None:
        raise NotFound("there is no such job", job=job_id)
    return job_view(node.coin, row)
