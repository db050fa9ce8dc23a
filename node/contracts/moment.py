"""The moment at which a spend is judged, and when a leaf of height or time comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..core.coin import Coin
from ..core.policy import AfterHeight, AfterTime

Lock = AfterHeight | AfterTime
"""A leaf that is true from some block on."""

LAST_TIME: Final = 2**32 - 2
"""The greatest median_time_past of a block (2106): its own timestamp is later, and has 32 bits."""

_UNITS: Final = ((31_557_600, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class Moment:
    """What a spend is judged by: the block that it would enter, usually the one that follows the tip."""

    height: int
    median_time_past: int
    """Unix seconds, over the up to 11 blocks before it."""

    def has_come(self, lock: Lock) -> bool:
        """Whether a leaf of height or time is true in this block, and so in all that follow."""
        if isinstance(lock, AfterHeight):
            return self.height >= lock.height
        return self.median_time_past >= lock.time

    def seconds_until(self, lock: Lock, coin: Coin) -> int:
        """Seconds until a leaf is expected to be true, 0 or less where it is; of a height by the coin's block_time."""
        if isinstance(lock, AfterHeight):
            return (lock.height - self.height) * coin.block_time
        return lock.time - self.median_time_past


def genesis_moment(coin: Coin) -> Moment:
    """The first block of a coin, for those who do not know where its chain is now."""
    return Moment(1, coin.timestamp)


def date_text(time: int) -> str:
    """Unix seconds as the policy language has them, UTC: `2027-01-01`, with hours, minutes and seconds where needed."""
    moment = datetime.fromtimestamp(time, UTC)
    if time % 86_400 == 0:
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%Y-%m-%d %H:%M" if time % 60 == 0 else "%Y-%m-%d %H:%M:%S")


def utc_text(time: int) -> str:
    """Unix seconds for a reader: `2027-01-01 00:00 UTC`."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M}{'' if time % 60 == 0 else f':{time % 60:02}'} UTC"


def lock_text(lock: Lock) -> str:
    """`block 5000`, or `2027-01-01 00:00 UTC`."""
    return f"block {lock.height}" if isinstance(lock, AfterHeight) else utc_text(lock.time)


def about(seconds: int) -> str:
    """A span of time, rounded: `about 3 days`, `less than a minute`."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = (seconds + size // 2) // size
            return f"about {count:,} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
