"""What a worker was told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..node.config import Config
from ..node.core.errors import MoneyerError
from ..node.store.mining import MODES, BadMode, Kind, Mode, parse_mode
from ..node.system.words import quoted

__all__ = ["MAX_PROCESSES", "MODES", "BadMode", "BadWorkerOption", "Kind", "Mode", "WorkerConfig", "parse_mode"]

MAX_PROCESSES = 1024
ON_BATTERY = ("full", "half", "stop")


class BadWorkerOption(MoneyerError):
    code = "bad_option"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    data: Path
    """The data folder of the node that it mines for."""
    engine: str = "auto"
    processes: int = 1
    address: str | None = None
    """Where rewards go; None: to the node's own miner account."""
    mode: str | None = None
    """As `parse_mode` reads it; None: as it was set last, else `demand`."""
    nice: int = 0
    """Added to the niceness of the hashing processes."""
    limit: float = 1.0
    """Share of the time in which they hash."""
    on_battery: str = "half"
    """What is left of it while a laptop runs on battery: one of ON_BATTERY."""
    log_level: str = "info"
    log_json: bool = False

    @property
    def config(self) -> Config:
        """Of the node, as far as a worker looks: where its files lie."""
        return Config(data=self.data)

    @property
    def code_cache(self) -> Path:
        """Folder for what the engines have compiled."""
        return self.data / "cache"

    def check(self) -> None:
        """Raises BadWorkerOption, BadMode."""
        if self.mode is not None:
            parse_mode(self.mode)
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise BadWorkerOption(
                f"a worker has 1 to {MAX_PROCESSES} hashing processes, not {self.processes}", found=self.processes
            )
        if not 0 <= self.nice <= 19:
            raise BadWorkerOption(f"--nice is 0 to 19, not {self.nice}", found=self.nice)
        if not 0.01 <= self.limit <= 1:
            raise BadWorkerOption(f"--limit is 1% to 100%, not {self.limit * 100:g}%", found=self.limit)
        if self.on_battery not in ON_BATTERY:
            raise BadWorkerOption(f"--on-battery is {', '.join(ON_BATTERY)}", found=self.on_battery[:40])


def parse_limit(text: str) -> float:
    """`50%`, `50` or `0.5`: a share of the time. Raises BadWorkerOption."""
    try:
        number = float(text.strip().removesuffix("%"))
        share = number / 100 if text.strip().endswith("%") or number > 1 else number
        if not 0.01 <= share <= 1:  # NaN fails too
            raise ValueError
    except ValueError:
        raise BadWorkerOption(
            f"--limit {quoted(text)} is no share of the time: 1% to 100%", expected="1% to 100%", found=text[:20]
        ) from None
    return share
