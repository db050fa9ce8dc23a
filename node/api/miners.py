"""Who mines for this node: its worker and when it does, and other people's miners."""

from __future__ import annotations

import threading
import time
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from node import locks
from node.api.context import NodeContext
from node.api.endpoint import Call, endpoint
from node.api.errors import BadField
from node.api.miningjson import MiningView, StratumStatus
from node.api.status import worker_status
from node.config import Config
from node.store import mining
from node.store.mining import BadMode

_MAX_STRATUM_STATUS: Final = 262_144
_SWITCH_SECONDS: Final = 2.0
"""How long an answer waits for the worker to say that it does what it was told."""
_LOOK_SECONDS: Final = 0.02


MODE_PATTERN: Final = r"^(demand|instant|continuous|interval[: ][0-9]{1,5}([.][0-9]{1,6})?)$"


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


def stratum_status(config: Config) -> StratumStatus | None:
    """What the Stratum server says of itself; None where none runs, or none has said anything yet."""
    if not locks.is_held(config.stratum_lock):
        return None
    try:
        with config.stratum_status.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_STRATUM_STATUS), type=StratumStatus)
    except (OSError, ValueError):
        return None


def mining_view(node: NodeContext) -> MiningView:
    with node.store.read() as conn:
        mode = mining.mode(conn) or mining.DEFAULT
    return MiningView(mode=str(mode), worker=worker_status(node), stratum=stratum_status(node.config))


@endpoint("GET", "/v1/mining", "Who mines, how fast, and when", reply=MiningView)
def show_mining(node: NodeContext, call: Call) -> MiningView:
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
def switch_mining(node: NodeContext, call: Call) -> MiningView:
    body: ModeBody = call.body
    try:
        wanted = mining.parse_mode(body.mode)
    except BadMode as error:
        raise BadField(error.message, **error.details) from None
    node.store.write(lambda conn: mining.set_mode(conn, wanted))
    deadline, pause = time.monotonic() + _SWITCH_SECONDS, threading.Event()
    while (view := mining_view(node)).worker.mode not in (None, str(wanted)) and time.monotonic() < deadline:
        pause.wait(_LOOK_SECONDS)
    return view
