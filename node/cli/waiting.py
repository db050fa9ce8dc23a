"""What keeps a transfer waiting: nobody mines, and what to type about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .place import Place

_STARTING = 20.0
"""Seconds that a worker may need which was started together with its node."""
_LOOK_SECONDS = 0.2
_WHEN_ASKED = "demand"


def mining_of(place: Place, seconds: float, is_over: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """`/v1/mining`, as it is now; of a node whose worker is still starting, once that has said its mode.

    It is waited for until `is_over` says that the answer is not needed any more, for `seconds` at most. Raises
    ClientError.
    """
    from ..system.advice import has_workers

    is_coming = place.folder is not None and has_workers(place.folder)
    end = time.monotonic() + min(seconds, _STARTING)
    while True:
        mining: dict[str, Any] = place.client.get("/v1/mining")
        is_alive, mode = mining["worker"]["alive"], mining["worker"]["mode"]
        if is_over() or time.monotonic() >= end or (mode if is_alive else not is_coming):
            return mining
        time.sleep(_LOOK_SECONDS)


def why_no_block(place: Place, peers: int, seconds: float, is_over: Callable[[], bool]) -> str | None:
    """A sentence where the node's own worker will not mine by itself; None where it does, or nobody can tell.

    `peers`: how many other nodes are connected, whose workers may. `seconds`, `is_over`: see `mining_of`.
    """
    from ..client import ClientError
    from ..system.advice import typed
    from .folders import where

    try:
        mining = mining_of(place, seconds, is_over)
        is_alive, mode = bool(mining["worker"]["alive"]), mining["worker"]["mode"]
        if is_over():
            return None
    except (ClientError, KeyError, TypeError):
        return None
    at = where(place.folder) if place.folder is not None else f" --node {typed(place.url)}"
    others = "unless another node does, nobody" if peers else "nobody"
    if not is_alive:
        return f"{others} mines: no worker runs for this node. `moneyer worker{at}` in another terminal starts one"
    if mode == _WHEN_ASKED:
        return f"{others} mines until asked (mode demand): type `moneyer mine{at}` in another terminal"
    return None
