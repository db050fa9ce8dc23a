"""What an entry of the lab's list is, and what a run is told: the shape that attacks and experiments have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any


class Kind(Enum):
    """What an entry of the list is."""

    EXPERIMENT = "experiment"
    ATTACK = "attack"


@dataclass(frozen=True, slots=True)
class LabRun:
    """What a run is told."""

    say: Callable[[str], None]
    """Takes a line for a person; it may have a list's or a table's shape."""
    node: str | None = None
    """URL of the development node to use; None: the run makes what it needs, on a temporary folder."""
    folder: Path | None = None
    """Where pictures are written; None: nowhere."""
    seed: int | None = None
    """Makes what is left to chance the same in each run; None: chance."""
    is_quick: bool = False
    """Whether an experiment takes few samples: its figures are rougher then."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that the lab can run."""

    name: str
    """A word that is typed: small letters and hyphens."""
    kind: Kind
    title: str
    about: str
    """What is done, in a paragraph."""
    shows: str
    """What it shows: the rule that decides, or the figure that comes out."""
    run: Callable[[LabRun], dict[str, Any]]
    """Gives the result as JSON; `held` in it says whether it showed what it should. Raises MoneyerError."""
