"""What can become of a block that broke no rule. `status` is the interface's word for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Extended:
    """The block is the new tip, on the old one."""

    status: ClassVar[str] = "extended"
    block_hash: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Reorganized:
    """The block's branch won: `disconnected` blocks above `fork_height` left the main chain."""

    status: ClassVar[str] = "reorganized"
    block_hash: bytes
    height: int
    fork_height: int
    disconnected: int


@dataclass(frozen=True, slots=True)
class SideBranch:
    """Stored; its branch has not more work than the main chain."""

    status: ClassVar[str] = "side_branch"
    block_hash: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """Held in memory until its parent comes. `height` is unknown: -1."""

    status: ClassVar[str] = "orphan"
    block_hash: bytes
    height: int = -1


@dataclass(frozen=True, slots=True)
class AlreadyKnown:
    status: ClassVar[str] = "already_known"
    block_hash: bytes
    height: int


Outcome = Extended | Reorganized | SideBranch | Orphan | AlreadyKnown
