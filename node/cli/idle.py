"""What keeps a transfer waiting: nobody mines, and what to type about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.cli.place import Place

_WHEN_ASKED = "demand"


def why_no_block(place: Place, peers: int) -> str | None:
    """A sentence where the node's own worker will not mine by itself; None where it does, or nobody can tell.

    `peers`: how many other nodes are connected, whose workers may.
    """
    from node.advice import typed
    from node.cli.folders import where
    from node.client import ClientError

    try:
        mining = place.client.get("/v1/mining")
        is_alive, mode = bool(mining["worker"]["alive"]), str(mining["mode"])
    except (ClientError, KeyError, TypeError):
        return None
    at = where(place.folder) if place.folder is not None else f" --node {typed(place.url)}"
    others = "unless another node does, nobody" if peers else "nobody"
    if not is_alive:
        return f"{others} mines: no worker runs for this node. `moneyer worker{at}` in another terminal starts one"
    if mode == _WHEN_ASKED:
        return f"{others} mines until asked (mode demand): type `moneyer mine{at}` in another terminal"
    return None
