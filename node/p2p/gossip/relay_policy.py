"""What a node tells a peer about its main chain: two decisions, pure, that links and the simulation share.

A block is identified by whatever the caller has: its hash in a node, its number in a simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

Id = TypeVar("Id")

MAX_PATH: Final = 16
"""Blocks in a row that are pushed; a peer that lacks more is sent the tip, and fetches the rest itself."""


def is_news(tip_work: int, *, has_tip: bool, peer_work: int) -> bool:
    """Whether a peer is sent this node's tip: it does not have that block, and claims less work.

    Only tips are sent: a block of a side branch goes no further than the node that it loses at.
    """
    return not has_tip and peer_work < tip_work


def path_to(tip: Id, parent_of: Callable[[Id], Id | None], has: Callable[[Id], bool], limit: int) -> list[Id]:
    """The blocks above the last one that the peer `has`, up to the tip, oldest first; the tip alone if over `limit`.

    `parent_of` gives None where the parent is genesis, which all have.
    """
    way = [tip]
    parent = parent_of(tip)
    while parent is not None and not has(parent):
        if len(way) == limit:
            return [tip]
        way.append(parent)
        parent = parent_of(parent)
    return way[::-1]
