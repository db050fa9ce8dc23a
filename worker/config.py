"""What a worker was told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from node.config import Config
from node.core.errors import MoneyerError

MAX_PROCESSES = 1024
MAX_INTERVAL = 86_400


class BadWorkerOption(MoneyerError):
    code = "bad_option"


class Kind(Enum):
    """When blocks are mined beside those that a job asks for: jobs are served in every mode."""

    DEMAND = "demand"
    INSTANT = "instant"
    INTERVAL = "interval"
    CONTINUOUS = "continuous"


@dataclass(frozen=True, slots=True)
class Mode:
    kind: Kind
    seconds: float = 0
    """Between blocks, for `interval`."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.seconds:g}" if self.kind is Kind.INTERVAL else self.kind.value


MODES = "demand, instant, continuous or interval:SECONDS"


def parse_mode(text: str) -> Mode:
    """`demand`, `instant`, `continuous`, `interval:5` or `interval 5`. Raises BadWorkerOption."""
    word, _, rest = text.strip().lower().replace(":", " ").partition(" ")
    try:
        kind = Kind(word)
        if kind is not Kind.INTERVAL:
            if rest:
                raise ValueError
            return Mode(kind)
        seconds = float(rest)
        if not 0 < seconds <= MAX_INTERVAL:  # NaN fails too
            raise ValueError
    except ValueError:
        raise BadWorkerOption(
            f"there is no mining mode {text[:40]!r}: take {MODES} (more than 0, at most {MAX_INTERVAL})",
            expected=MODES,
            found=text[:40],
        ) from None
    return Mode(kind, seconds)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    data: Path
    """The data folder of the node that it mines for."""
    engine: str = "auto"
    processes: int = 1
    address: str | None = None
    """Where rewards go; None: to the node's own miner account."""
    mode: str = "demand"
    """As `parse_mode` reads it."""
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
        """Raises BadWorkerOption."""
        parse_mode(self.mode)
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise BadWorkerOption(
                f"a worker has 1 to {MAX_PROCESSES} hashing processes, not {self.processes}", found=self.processes
            )
