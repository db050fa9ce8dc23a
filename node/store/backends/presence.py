"""Who is alive on a database: what processes of any machine say of themselves for as long as they live."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

WORKER: Final = "worker"
STRATUM: Final = "stratum"
NODE: Final = "node"
"""A node that does not speak to other nodes now."""
PEER: Final = "peer"
"""The one node of a database that speaks to other nodes."""
MOST_SAID: Final = 65_536
"""Bytes that a process may say of itself on a server; more is not written."""


@dataclass(frozen=True, slots=True)
class Living:
    """A process that lives. `status`: what it says of itself, JSON; empty where it has not said anything yet."""

    status: bytes


class Presence(ABC):
    """A process's sign of life. It ends with `release` or with the process, however that ends."""

    @abstractmethod
    def say(self, status: bytes) -> None:
        """Have others read `status`, JSON of at most MOST_SAID bytes, in place of what was said before.

        Raises OSError where it cannot be written now; whether this process lives is seen all the same.
        """

    @abstractmethod
    def release(self) -> None:
        """Be alive no longer, as others see it; a second time does nothing."""
