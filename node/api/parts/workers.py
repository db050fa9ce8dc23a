"""What workers and Stratum servers, processes of their own, say of themselves: on a file there is one of each."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ...store.backends.presence import STRATUM, WORKER
from ...store.engine import Store
from ...system.decoding import prepare
from ..shapes.mining import StratumStatus, WorkerStatus

_MAX_WORKER_STATUS: Final = 4_096
_MOST_MINERS: Final = 100
"""Of several Stratum servers together; as many as one tells of."""


class _WorkerFile(Struct):
    """What a worker says; there may be more in it."""

    engine: Annotated[str, Meta(max_length=40)] | None = None
    hashrate: Annotated[float, Meta(ge=0, le=1e30)] = 0.0
    mode: Annotated[str, Meta(max_length=40)] | None = None
    processes: Annotated[int, Meta(ge=0)] = 0
    searching: bool = False
    share: float = 1.0
    blocks: Annotated[int, Meta(ge=0)] = 0
    stale: Annotated[int, Meta(ge=0)] = 0


prepare(_WorkerFile, StratumStatus)

NO_WORKER = WorkerStatus(alive=False, count=0)


def worker_status(store: Store) -> WorkerStatus:
    """What the mining workers that live say of themselves, as one. Raises StoreUnavailable, OSError."""
    said = [_said_by_worker(living.status) for living in store.living(WORKER)]
    if not said:
        return NO_WORKER
    shown = next((each for each in said if each.searching), said[0])
    blocks, stale = sum(each.blocks for each in said), sum(each.stale for each in said)
    return WorkerStatus(
        alive=True,
        count=len(said),
        hashrate=sum(each.hashrate for each in said),
        engine=shown.engine,
        mode=shown.mode,
        processes=sum(each.processes for each in said),
        searching=shown.searching,
        share=shown.share,
        blocks=blocks,
        stale=stale,
        stale_share=stale / (blocks + stale) if stale else 0.0,
    )


def _said_by_worker(status: bytes) -> _WorkerFile:
    try:
        return msgspec.json.decode(status[:_MAX_WORKER_STATUS], type=_WorkerFile)
    except ValueError:
        return _WorkerFile()  # it is being written just now


def stratum_status(store: Store) -> StratumStatus | None:
    """What the Stratum servers say of themselves, as one; None where none runs, or none has said anything yet.

    Raises StoreUnavailable, OSError.
    """
    said = [each for living in store.living(STRATUM) if (each := _said_by_stratum(living.status)) is not None]
    if len(said) < 2:
        return said[0] if said else None
    miners = sorted((miner for each in said for miner in each.miners), key=lambda miner: -miner.work)
    return StratumStatus(
        host=said[0].host,
        port=said[0].port,
        servers=len(said),
        connections=sum(each.connections for each in said),
        hashrate=sum(each.hashrate for each in said),
        accepted=sum(each.accepted for each in said),
        rejected=sum(each.rejected for each in said),
        stale=sum(each.stale for each in said),
        blocks=sum(each.blocks for each in said),
        miners=miners[:_MOST_MINERS],
    )


def _said_by_stratum(status: bytes) -> StratumStatus | None:
    try:
        return msgspec.json.decode(status, type=StratumStatus)
    except ValueError:
        return None
