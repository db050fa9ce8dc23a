"""Pages of the lab, `/learn/experiments` and `/learn/attacks`, and the protocol, to which their rules are linked.

What they show are records of real runs, which come with the program: `python -m tools.experiments` runs each experiment
and `python -m tools.lab_pages` all attacks. They write what came out into `lab/`, the latter also docs/protocol.md as
HTML into `templates/learn/`. A page runs nothing and cannot: an experiment starts a network of nodes. Tests hold the
records to the lab's own list, and the text to the protocol.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
from markupsafe import Markup

from ..api.http.errors import NotFound
from .frame.pages import Page, Visit, page

FOLDER: Final = Path(__file__).parent / "lab"
_PLACE: Final = re.compile(r"docs/protocol\.md, section (\d+)(?:, stage (\d+))?")


def place_of(section: str) -> str:
    """Where the protocol's page has a section: `docs/protocol.md, section 7, stage 2` is `/learn/protocol#stage-2`."""
    found = _PLACE.match(section)
    if found is None:
        return "/learn/protocol"
    return f"/learn/protocol#{f'stage-{found[2]}' if found[2] else f'section-{found[1]}'}"


def said_place(section: str) -> str:
    """A section as a page names it: `Protocol, section 7, stage 2`."""
    return section.replace("docs/protocol.md", "Protocol")


class ShownRule(msgspec.Struct, frozen=True):
    """A rule that decided."""

    rule: str
    section: str
    function: str
    """Its file and its name."""
    code: str
    """Of its error, where it has one."""


class ShownTable(msgspec.Struct, frozen=True):
    """A table of an experiment."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | bool | None, ...], ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether a column holds numbers, which stand right."""
        return tuple(
            all(isinstance(row[place], int | float) for row in self.rows) for place in range(len(self.columns))
        )

    @property
    def cells(self) -> list[list[str]]:
        return [[_written(value) for value in row] for row in self.rows]


class ShownStep(msgspec.Struct, frozen=True):
    """A step of an experiment: what is done, and what there is to see."""

    step: str
    notes: tuple[str, ...]
    tables: tuple[ShownTable, ...]
    rules: tuple[ShownRule, ...]


class ShownClaim(msgspec.Struct, frozen=True):
    """What an experiment shows; in the run that is shown here it did."""

    claim: str


class ExperimentRecord(msgspec.Struct, frozen=True):
    """An experiment, and what came out of a run."""

    name: str
    title: str
    about: str
    shows: str
    seed: int
    held: bool
    claims: tuple[ShownClaim, ...]
    pictures: tuple[str, ...]
    """Names of SVG files that lie beside."""
    steps: tuple[ShownStep, ...]

    @property
    def href(self) -> str:
        return f"/learn/experiments/{self.name}"

    def drawing(self, name: str) -> Markup:
        """A picture as it goes into the page."""
        return Markup((FOLDER / f"{name}.svg").read_text("utf-8"))  # noqa: S704 - a file of the program


class ShownField(msgspec.Struct, frozen=True):
    """A field of a block's bytes that is not an honest block's."""

    name: str
    start: int
    hex: str
    was: str | None
    mark: str


class AttackRecord(msgspec.Struct, frozen=True):
    """An attack, the bytes in which it differs from an honest block, and the rule that stopped it."""

    name: str
    title: str
    story: str
    path: str
    size: int
    """Bytes that were sent."""
    fields: tuple[ShownField, ...]
    left_out: int
    """Further fields that differ."""
    rule: ShownRule
    status: int
    message: str
    expected: str
    found: str


def experiments() -> tuple[ExperimentRecord, ...]:
    """In the order of `moneyer lab list`."""
    return msgspec.json.decode((FOLDER / "experiments.json").read_bytes(), type=tuple[ExperimentRecord, ...])


def attacks() -> tuple[AttackRecord, ...]:
    """In the order of `moneyer lab list`."""
    return msgspec.json.decode((FOLDER / "attacks.json").read_bytes(), type=tuple[AttackRecord, ...])


@page("/learn/experiments")
def experiment_list(visit: Visit[None]) -> Page:
    return Page("learn/experiments.html", {"experiments": experiments()})


@page("/learn/experiments/{name}")
def one_experiment(visit: Visit[None]) -> Page:
    """Raises NotFound."""
    held = experiments()
    for place, record in enumerate(held):
        if record.name == visit.call.path["name"]:
            following = held[place + 1] if place + 1 < len(held) else None
            before = held[place - 1] if place else None
            content = {"record": record, "place": place + 1, "count": len(held), "before": before, "after": following}
            return Page("learn/experiment.html", {**content, "place_of": place_of, "said_place": said_place})
    raise NotFound("the lab has no such experiment: /learn/experiments lists them")


@page("/learn/attacks")
def attack_list(visit: Visit[None]) -> Page:
    return Page("learn/attacks.html", {"attacks": attacks(), "place_of": place_of, "said_place": said_place})


@page("/learn/protocol")
def protocol(visit: Visit[None]) -> Page:
    return Page("learn/protocol.html", {})


def _written(value: object) -> str:
    """As the command's tables write it."""
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
