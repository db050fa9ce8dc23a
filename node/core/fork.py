"""Fork choice: which branch wins, and the way from one tip to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tip:
    """A block that a chain could end with. `joined`: order in which it joined the tree, body and ancestors known."""

    block_hash: bytes
    height: int
    work: int
    joined: int


def wins(candidate: Tip, tip: Tip) -> bool:
    """Whether `candidate` is to replace `tip`: more work, or as much and there first."""
    return (candidate.work, -candidate.joined) > (tip.work, -tip.joined)


@dataclass(frozen=True, slots=True)
class Route:
    """From the current tip to a new one: disconnect newest first, then connect oldest first."""

    fork_point: bytes
    disconnect: tuple[bytes, ...]
    connect: tuple[bytes, ...]


def route(current: tuple[bytes, int], target: tuple[bytes, int], parent: Callable[[bytes], bytes]) -> Route:
    """The way between two (block_hash, height) of one tree. `parent` gives a block's prev_hash."""
    disconnect: list[bytes] = []
    connect: list[bytes] = []
    here, here_height = current
    there, there_height = target
    while here != there:
        if here_height >= there_height:
            disconnect.append(here)
            here, here_height = parent(here), here_height - 1
        else:
            connect.append(there)
            there, there_height = parent(there), there_height - 1
    return Route(here, tuple(disconnect), tuple(reversed(connect)))
