"""Reads from real nodes what a picture of the block tree shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ....client.errors import Refused
from ..pictures.tree_picture import TreeBlock, TreeScene

if TYPE_CHECKING:
    from ...live.live_network import Network
    from ...live.net_node import NodeHandle

_DEPTH: Final = 200
"""Heights that are read, as many as `/v1/tree` gives."""

NOWHERE: Final = "-"


def scene(net: Network, caption: str, notes: Mapping[str, str] | None = None, *, depth: int = _DEPTH) -> TreeScene:
    """All blocks that the running nodes have now, side branches too, and their tips.

    `notes`: what is written above blocks, by hash.
    """
    blocks: dict[str, TreeBlock] = {}
    tips: dict[str, str] = {}
    for node in net.running:
        rows = node.client.get(f"/v1/tree?depth={depth}")["blocks"]
        for row in rows:
            blocks[row["hash"]] = TreeBlock(
                row["hash"], row["prev_hash"], row["height"], (notes or {}).get(row["hash"], "")
            )
        tips[node.name] = next(row["hash"] for row in rows if row["main_chain"])  # the highest come first
    return TreeScene(caption, sorted(blocks.values(), key=lambda block: block.height), tips)


def is_beside(node: NodeHandle, block_hash: str) -> bool:
    """Whether a node has a block on a side branch."""
    rows = node.client.get(f"/v1/tree?depth={_DEPTH}")["blocks"]
    return any(row["hash"] == block_hash and not row["main_chain"] for row in rows)


def standing(node: NodeHandle, txid: str) -> str:
    """How a payment stands at a node: `confirmed` on its main chain, `ready` or `waiting` in its mempool, else `-`."""
    try:
        return str(node.client.transaction(txid)["status"])
    except Refused as error:
        if error.status != 404:
            raise
        return NOWHERE


def status_of(net: Network, txid: str) -> Callable[[str], str]:
    """For a column of the nodes' table: how a payment stands at the node of a name."""
    return lambda name: standing(net[name], txid)
