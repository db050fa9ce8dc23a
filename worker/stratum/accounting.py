"""Counts what each miner has brought: shares, blocks, and the hash rate that the shares prove."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import exp
from typing import Any

from .protocol import DUPLICATE, HASHES_OF_1, JOB_NOT_FOUND, LOW_DIFFICULTY

_WINDOW = 120.0
"""Seconds over which the hash rate is an average, exponentially weighted: old shares count less and less."""
_MAX_MINERS = 5_000
"""Miners that are remembered; the one that has been silent the longest is forgotten first."""
_SHOWN = 100
"""Miners that the summary lists."""

_KINDS = {JOB_NOT_FOUND: "stale", DUPLICATE: "duplicate", LOW_DIFFICULTY: "low_difficulty"}


class Rate:
    """Hashes a second, from the difficulty of shares."""

    def __init__(self, now: float) -> None:
        self._began = self._at = now
        self._weight = 0.0

    def add(self, difficulty: float, now: float) -> None:
        self._weight = self._faded(now) + difficulty
        self._at = now

    def per_second(self, now: float) -> float:
        # For a new miner the average is over the time since it came, ten seconds at least.
        seen = _WINDOW * (1 - exp(-max(now - self._began, 10.0) / _WINDOW))
        return self._faded(now) * HASHES_OF_1 / seen

    def _faded(self, now: float) -> float:
        return self._weight * exp(-(now - self._at) / _WINDOW)


@dataclass(slots=True, eq=False)
class Tally:
    """What one miner has brought: counts of its shares by what came of them."""

    rate: Rate
    accepted: int = 0
    stale: int = 0
    duplicate: int = 0
    low_difficulty: int = 0
    blocks: int = 0
    work: float = 0.0
    """Sum of the difficulty of its accepted shares."""
    last_share: int | None = None
    """Unix seconds."""
    connections: int = 0
    """Connections that it has now."""


class Shares:
    """The tallies of all miners, by user name. `now`: seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._tallies: OrderedDict[str, Tally] = OrderedDict()
        self.accepted = self.rejected = self.stale = self.blocks = 0

    def joined(self, user: str, now: float) -> None:
        """A connection has authorized as `user`."""
        self._of(user, now).connections += 1

    def left(self, user: str, now: float) -> None:
        """A connection of `user` has ended."""
        self._of(user, now).connections -= 1

    def accept(self, user: str, difficulty: float, now: float, clock: int) -> None:
        """Count a share. `clock`: Unix seconds."""
        tally = self._of(user, now)
        tally.accepted += 1
        tally.work += difficulty
        tally.last_share = clock
        tally.rate.add(difficulty, now)
        self.accepted += 1

    def reject(self, user: str, code: int, now: float) -> None:
        """Count a share that was refused. `code`: the protocol's error code."""
        kind = _KINDS.get(code)
        tally = self._of(user, now)
        if kind is not None:
            setattr(tally, kind, getattr(tally, kind) + 1)
        self.rejected += 1
        self.stale += code == JOB_NOT_FOUND

    def block(self, user: str, now: float) -> None:
        """Count a share that was a block, and was taken by the chain."""
        self._of(user, now).blocks += 1
        self.blocks += 1

    def hashrate(self, now: float) -> float:
        """Hashes a second of all miners."""
        return sum(tally.rate.per_second(now) for tally in self._tallies.values())

    def summary(self, now: float) -> dict[str, Any]:
        """JSON-ready: the sums, and the miners with the most work."""
        by_work = sorted(self._tallies.items(), key=lambda row: row[1].work, reverse=True)
        return {
            "hashrate": int(self.hashrate(now)),
            "accepted": self.accepted,
            "rejected": self.rejected,
            "stale": self.stale,
            "blocks": self.blocks,
            "miners": [
                {
                    "name": name,
                    "hashrate": int(tally.rate.per_second(now)),
                    "accepted": tally.accepted,
                    "stale": tally.stale,
                    "duplicate": tally.duplicate,
                    "low_difficulty": tally.low_difficulty,
                    "blocks": tally.blocks,
                    "work": float(f"{tally.work:.6g}"),
                    "last_share": tally.last_share,
                    "connections": tally.connections,
                }
                for name, tally in by_work[:_SHOWN]
            ],
        }

    def _of(self, user: str, now: float) -> Tally:
        tally = self._tallies.get(user)
        if tally is None:
            tally = self._tallies[user] = Tally(Rate(now))
            if len(self._tallies) > _MAX_MINERS:
                gone = next((name for name, held in self._tallies.items() if held.connections <= 0), None)
                if gone is not None and gone != user:
                    del self._tallies[gone]
        self._tallies.move_to_end(user)
        return tally
