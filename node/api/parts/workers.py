"""What the worker and the Stratum server, processes of their own, say of themselves in files."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ...config import Config
from ...system import locks
from ...system.decoding import prepare
from ..shapes.mining import StratumStatus, WorkerStatus

_MAX_WORKER_STATUS: Final = 4_096
_MAX_STRATUM_STATUS: Final = 262_144


class _WorkerFile(Struct):
    """What the worker writes into its lock file; more may stand there."""

    engine: Annotated[str, Meta(max_length=40)] | None = None
    hashrate: Annotated[float, Meta(ge=0, le=1e30)] = 0.0
    mode: Annotated[str, Meta(max_length=40)] | None = None
    processes: Annotated[int, Meta(ge=0)] = 0
    searching: bool = False
    share: float = 1.0
    blocks: Annotated[int, Meta(ge=0)] = 0
    stale: Annotated[int, Meta(ge=0)] = 0


prepare(_WorkerFile, StratumStatus)


NO_WORKER = WorkerStatus(alive=False)


def worker_status(config: Config) -> WorkerStatus:
    """Whether a mining worker lives, and what it says of itself."""
    path = config.worker_lock
    if not locks.is_held(path):
        return NO_WORKER
    try:
        with path.open("rb") as file:
            said = msgspec.json.decode(file.read(_MAX_WORKER_STATUS), type=_WorkerFile)
    except (OSError, ValueError):
        said = _WorkerFile()  # it is being written just now
    stale_share = said.stale / (said.blocks + said.stale) if said.stale else 0.0
    return WorkerStatus(alive=True, stale_share=stale_share, **msgspec.structs.asdict(said))


def stratum_status(config: Config) -> StratumStatus | None:
    """What the Stratum server says of itself; None where none runs, or none has said anything yet."""
    if not locks.is_held(config.stratum_lock):
        return None
    try:
        with config.stratum_status.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_STRATUM_STATUS), type=StratumStatus)
    except (OSError, ValueError):
        return None
