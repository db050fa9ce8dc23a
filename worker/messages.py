"""What the supervisor and its hashing processes say to each other. Imports little: hashing processes start quickly."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of nonces to try on one header."""

    template_id: int
    """Which template the header belongs to; grows with every new one."""
    header: bytes
    """80 bytes; its nonce is not looked at."""
    target: int
    start: int
    count: int

    def rest(self, position: int) -> Unit:
        """What is left of it when everything below the nonce `position` has been tried."""
        return replace(self, start=position, count=self.start + self.count - position)


@dataclass(frozen=True, slots=True)
class Pace:
    """To a hashing process: from now on, hash for this share of the time (above 0, at most 1)."""

    share: float


@dataclass(frozen=True, slots=True)
class Ready:
    """From a hashing process, once: its engine is made, and it reads what it is told from now on."""


@dataclass(frozen=True, slots=True)
class Report:
    """From a hashing process, several times a second while it searches, and when it finds or ends.

    While it rests for long to keep its pace, one with no hashes says that it lives.
    """

    unit: Unit
    position: int
    """Nonces of the unit below this one have been tried."""
    hashes: int
    """Tried since the last report, of this unit or of one before."""
    nonce: int | None
    """What it found; it waits for another unit then, as it does at the unit's end."""
