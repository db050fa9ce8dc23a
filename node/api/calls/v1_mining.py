"""Mining: jobs (blocks that somebody asks for), and when the worker mines of itself.

A job is a row: it outlives a restart, and the worker takes the oldest first. The mode is a row too, from
which the worker takes it.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Annotated, Final

from msgspec import Meta, Struct

from ...core.signing import payable
from ...service import Node
from ...store import mining
from ...store.backends.presence import WORKER
from ...store.mining import BadMode, JobRow
from ...system.advice import typed
from ..endpoint import Call, endpoint
from ..http.errors import BadField, NotFound, NoWorker
from ..parts.workers import stratum_status, worker_status
from ..shapes.mining import Job, MiningView
from ..shapes.render import job_view

MAX_JOB: Final = 100_000
"""Blocks in one job."""
WORKER_SECONDS: Final = 4.0
"""How long a job waits for a worker that is just starting."""
_LOOK_SECONDS: Final = 0.1
_CALLER_SECONDS: Final = 2.0
"""Between two looks whether the caller that waits for a job is still there."""
_SWITCH_SECONDS: Final = 2.0
"""How long an answer waits for the worker to say that it does what it was told."""
_SWITCH_LOOK_SECONDS: Final = 0.02

MODE_PATTERN: Final = r"^(demand|instant|continuous|interval[: ][0-9]{1,5}([.][0-9]{1,6})?)$"
_JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


class MineBody(Struct, forbid_unknown_fields=True):
    blocks: Annotated[int, Meta(ge=1, le=MAX_JOB)] = 1
    address: Annotated[str, Meta(max_length=200)] | None = None
    """Who is paid; the worker's own account where none is named."""


class ModeBody(Struct, forbid_unknown_fields=True):
    mode: Annotated[
        str,
        Meta(
            max_length=40,
            pattern=MODE_PATTERN,
            description=mining.MODES,
            extra={"known": ("demand", "instant", "continuous", "interval:5")},
        ),
    ]


def create_job(node: Node, wanted: int, receiver: bytes | None) -> JobRow:
    """A job that is durable when this returns."""
    now = int(time.time())
    return node.store.write(lambda conn: mining.create(conn, wanted, receiver, now))


def read_job(node: Node, job_id: str) -> JobRow | None:
    """A job as it stands; None where there is none of that name."""
    with node.store.read() as conn:
        return mining.get(conn, job_id)


def await_worker(node: Node, seconds: float = WORKER_SECONDS) -> None:
    """Return once a worker lives. Raises NoWorker when none has come in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not node.store.living(WORKER):
        left = deadline - time.monotonic()
        if left <= 0:
            folder = node.config.data.absolute()
            here = f"`moneyer worker --data {typed(folder)}`"
            if node.config.database_url is not None:
                here += " and the same --database, or without --data on any machine"
            raise NoWorker(f"no worker mines for this node: start one with {here}", data=str(node.config.data))
        pause.wait(min(left, _LOOK_SECONDS))


def await_job(node: Node, job_id: str, seconds: float, call: Call[object, object]) -> JobRow:
    """The job once it is over, or as it is after `seconds`. Raises CallerGone once nobody waits for `call` any more."""
    deadline = time.monotonic() + seconds
    while True:
        seen = node.store.data_version()
        job = read_job(node, job_id)
        if job is None:
            raise NotFound("this job is gone", job=job_id)
        left = deadline - time.monotonic()
        if job.state != mining.OPEN or left <= 0:
            return job
        node.store.wait_for_change(seen, min(left, _CALLER_SECONDS))
        call.parts.flights.check_caller(call.flight)


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
def mine(node: Node, call: Call[None, MineBody]) -> Job:
    body = call.body
    receiver = None if body.address is None else payable(node.coin, body.address)
    return job_view(node.coin, create_job(node, body.blocks, receiver))


@endpoint("GET", "/v1/jobs/{job}", "How far a job is", reply=Job, errors=(404,))
def show_job(node: Node, call: Call[None, None]) -> Job:
    job_id = call.path["job"]
    if not _JOB_ID.fullmatch(job_id):
        raise BadField("a job is named by the `job` that asking for it answered", field="job", found=job_id[:80])
    row = read_job(node, job_id)
    if row is None:
        raise NotFound("there is no such job", job=job_id)
    return job_view(node.coin, row)


def mining_view(node: Node) -> MiningView:
    """The mode that stands, and what the worker and the Stratum server say."""
    with node.store.read() as conn:
        mode = mining.mode(conn) or mining.DEFAULT
    return MiningView(mode=str(mode), worker=worker_status(node.store), stratum=stratum_status(node.store))


@endpoint("GET", "/v1/mining", "Who mines, how fast, and when", reply=MiningView)
def show_mining(node: Node, call: Call[None, None]) -> MiningView:
    return mining_view(node)


@endpoint(
    "POST",
    "/v1/mining",
    "Switch when the worker mines: demand, instant, continuous or interval:SECONDS",
    reply=MiningView,
    body=ModeBody,
    changes=True,
    token=True,
)
def switch_mining(node: Node, call: Call[None, ModeBody]) -> MiningView:
    try:
        wanted = mining.parse_mode(call.body.mode)
    except BadMode as error:
        raise BadField(error.message, **error.details) from None
    node.store.write(lambda conn: mining.set_mode(conn, wanted))
    deadline, pause = time.monotonic() + _SWITCH_SECONDS, threading.Event()
    while (view := mining_view(node)).worker.mode not in (None, str(wanted)) and time.monotonic() < deadline:
        pause.wait(_SWITCH_LOOK_SECONDS)
    return view
