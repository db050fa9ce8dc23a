"""The nodes that this one knows of, gathered by their tips: one colour a tip, the same on each page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ...system.text import shown
from ..explorer.home_page import status_of
from ..frame.pages import Visit
from .fork_tree import Label

COLOURS: Final = 8
"""`--c0` to `--c7` of the style sheet."""
_LONGEST: Final = 22
"""Characters of a label."""


@dataclass(frozen=True, slots=True)
class KnownNode:
    name: str
    is_self: bool


@dataclass(frozen=True, slots=True)
class KnownTip:
    """A tip, and the nodes that say it is theirs."""

    hash: str
    height: int
    colour: int
    nodes: tuple[KnownNode, ...]


def tips_of(visit: Visit[Any]) -> list[KnownTip]:
    """The tips of all nodes, the most work first."""
    status = status_of(visit)
    return [KnownTip(status.tip, status.height, 0, (KnownNode("this node", True),))]


def labels_of(tip: KnownTip) -> list[Label]:
    return [Label(shown(each.name, _LONGEST), each.is_self, tip.colour) for each in tip.nodes]
