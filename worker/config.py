"""What a worker was told at its start.

The command line imports this file for its help, so it loads nothing heavy: no database, no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..node.config import Config
from ..node.core.errors import MoneyerError

ENGINES: Final = ("hashlib", "simd", "sha", "mixed")
"""The names of the engines (`worker.engines.registry.ENGINES`; a test holds the two equal)."""
MAX_PROCESSES: Final = 1024
"""More than any machine of today has cores; a guard against a slip of the finger."""
MAX_NICE: Final = 19
"""The highest niceness of POSIX systems."""
LEAST_LIMIT: Final = 0.01
ON_BATTERY: Final = ("full", "half", "stop")


class BadWorkerOption(MoneyerError):
    """An option of the worker has a value that it cannot have."""

    code = "bad_option"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """One worker's options; `check` says whether they can be meant."""

    data: Path
    """The data folder of the node that it mines for; NO_FOLDER where it has none, and its chain is on a server."""
    engine: str = "auto"
    """One of ENGINES, or `auto`: the fastest that runs here."""
    processes: int = 1
    """Hashing processes, 1 to MAX_PROCESSES."""
    address: str | None = None
    """Where rewards go; None: to the node's own miner account."""
    mode: str | None = None
    """As `parse_mode` reads it; None: as it was set last, else `demand`."""
    nice: int = 0
    """Added to the niceness of the hashing processes, 0 to MAX_NICE."""
    limit: float = 1.0
    """Share of the time in which they hash, LEAST_LIMIT to 1."""
    on_battery: str = "half"
    """How much of `limit` is left while a laptop runs on battery: one of ON_BATTERY."""
    log_level: str = "info"
    log_json: bool = False
    database_url: str | None = field(default=None, repr=False)
    """`postgresql://…`: the chain is there, and not in the data folder. It may hold a password."""
    unsafe_database: bool = False

    @property
    def config(self) -> Config:
        """The node's configuration, as far as a worker needs it: where its chain is."""
        return Config(data=self.data, database_url=self.database_url, unsafe_database=self.unsafe_database)

    @property
    def code_cache(self) -> Path:
        """Folder for what the engines have compiled: of this user, else in the data folder."""
        from .engines.code_cache import of_this_user

        return of_this_user() or self.data / "cache"

    def check(self) -> None:
        """Raises BadWorkerOption, BadMode."""
        from ..node.store.mining import parse_mode

        if self.mode is not None:
            parse_mode(self.mode)
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise BadWorkerOption(
                f"a worker has 1 to {MAX_PROCESSES} hashing processes, not {self.processes}", found=self.processes
            )
        if not 0 <= self.nice <= MAX_NICE:
            raise BadWorkerOption(f"--nice is 0 to {MAX_NICE}, not {self.nice}", found=self.nice)
        if not LEAST_LIMIT <= self.limit <= 1:
            raise BadWorkerOption(f"--limit is 1% to 100%, not {self.limit * 100:g}%", found=self.limit)
        if self.address is None and not self.config.has_folder:
            raise BadWorkerOption(
                "say with --address who gets the rewards, or with --data which folder has the wallet of who does"
            )
        if self.on_battery not in ON_BATTERY:
            raise BadWorkerOption(f"--on-battery is {', '.join(ON_BATTERY)}", found=self.on_battery[:40])


def parse_limit(text: str) -> float:
    """`50%`, `50` or `0.5`: a share of the time. Raises BadWorkerOption."""
    from ..node.system.words import quoted

    try:
        number = float(text.strip().removesuffix("%"))
        share = number / 100 if text.strip().endswith("%") or number > 1 else number
        if not LEAST_LIMIT <= share <= 1:  # NaN fails too
            raise ValueError
    except ValueError:
        raise BadWorkerOption(
            f"--limit {quoted(text)} is no share of the time: 1% to 100%", expected="1% to 100%", found=text[:20]
        ) from None
    return share
