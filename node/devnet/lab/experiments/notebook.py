"""What an experiment writes into: steps, tables, rules, pictures, and claims that hold or don't."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....system.text import shown
from ..pictures.tree_picture import short

if TYPE_CHECKING:
    from ...live.live_network import Network

Networks = Callable[..., AbstractContextManager["Network"]]
"""Makes a network: takes what `Network` takes."""

PROTOCOL: Final = "docs/protocol.md"
_INDENT: Final = "   "
_WIDTH: Final = 100
"""Columns of a line; a table may be wider."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Something to see on a network of real nodes."""

    name: str
    """A word that is typed: small letters and hyphens."""
    title: str
    about: str
    """What is done, in a paragraph."""
    shows: str
    """What comes out, and which rule decides."""
    act: Callable[[Notebook], None]


def percent(share: float) -> str:
    """A share as people read it: `37.5 %`."""
    return f"{share * 100:.1f} %"


class Notebook:
    """One run of an experiment. What is written is also said, line by line, while it runs."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        folder: Path | None = None,
        seed: int | None = None,
        is_quick: bool = False,
        networks: Networks | None = None,
    ) -> None:
        """`say` takes lines. `folder`: where pictures are written. `networks`: instead of new ones for each call.

        Raises OSError where the folder cannot be made.
        """
        self._say = say
        if folder is not None:  # at once, since a run may take minutes
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._networks = networks
        self.is_quick = is_quick
        """Whether to take few samples: for a first look, and for tests."""
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self.chance = random.Random(self.seed)  # noqa: S311 - an experiment's chance has to be repeatable
        """Draws what is left to chance."""
        self.steps: list[dict[str, Any]] = []
        self.pictures: dict[str, str] = {}
        """SVG documents by name."""
        self.facts: dict[str, Any] = {}
        """What was measured and seen, for programs."""
        self.claims: dict[str, bool] = {}
        """What the experiment says, and whether it was so."""

    def network(self, graph: Any, **wishes: Any) -> AbstractContextManager[Network]:
        """A network for a `with`: takes what `Network` takes."""
        if self._networks is not None:
            return self._networks(graph, **wishes)
        from ...live.live_network import Network

        return Network(graph, **wishes)

    def step(self, text: str) -> None:
        """Begin a step, with a sentence that says what is done."""
        if self.steps:
            self._say("")
        self.steps.append({"step": text, "notes": [], "tables": [], "rules": []})
        self._write(f"{len(self.steps)}. ", text)

    def note(self, text: str) -> None:
        """A sentence on what there is to see."""
        self._at["notes"].append(text)
        self._write(_INDENT, text)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table: texts stand left, numbers right."""
        held = [list(row) for row in rows]
        self._at["tables"].append({"columns": list(columns), "rows": held})
        cells = [list(columns), *([_written(value) for value in row] for row in held)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
        is_number = [
            bool(held) and all(isinstance(row[place], int | float) for row in held) for place in range(len(columns))
        ]
        for row in cells:
            padded = (
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(row, widths, is_number, strict=True)
            )
            self._say(_INDENT + "  ".join(padded).rstrip())

    def nodes(self, net: Network, **more: Callable[[str], object]) -> None:
        """A table of what each node has: height and tip, and a column for each of `more`, which take a node's name."""
        rows = []
        for node in net.running:
            status = node.status()
            values = (value(node.name) for value in more.values())
            rows.append([node.name, status["height"], short(status["tip"]), *values])
        self.table(("node", "height", "tip", *(name.replace("_", " ") for name in more)), rows)

    def rule(self, sentence: str, section: str, function: Callable[..., Any], code: str = "") -> None:
        """The rule that decided: what it says, where in the protocol it is written, the function that is it, and the
        code of its error where it has one."""
        path = function.__module__.removeprefix("moneyer.").replace(".", "/")
        where = f"{path}.py {function.__qualname__}"
        found = {"rule": sentence, "section": f"{PROTOCOL}, section {section}", "function": where, "code": code}
        self._at["rules"].append(found)
        self._write(f"{_INDENT}Rule: ", sentence)
        self._write(f"{_INDENT}      ", f"{f'{code}: ' if code else ''}{found['section']}; {where}")

    def picture(self, name: str, svg: str) -> None:
        """A picture; it is written to the folder, where there is one, as `NAME.svg`."""
        self.pictures[name] = svg
        if self._folder is not None:
            path = self._folder / f"{name}.svg"
            path.write_text(svg, "utf-8")
            self._say(f"{_INDENT}Picture: {path}")

    def fact(self, **values: Any) -> None:
        """Values for programs: a test asserts them."""
        self.facts.update(values)

    def claim(self, sentence: str, holds: object) -> None:
        """What the experiment says it shows, and whether this run did."""
        self.claims[sentence] = bool(holds)
        self._write(f"{_INDENT}{'So' if holds else 'NOT so'}: ", sentence)

    @property
    def held(self) -> bool:
        """Whether every claim held; there is one at least."""
        return bool(self.claims) and all(self.claims.values())

    def as_json(self) -> dict[str, Any]:
        """All of it but the pictures, of which the names."""
        return {
            "seed": self.seed,
            "steps": self.steps,
            "facts": self.facts,
            "claims": [{"claim": claim, "held": held} for claim, held in self.claims.items()],
            "pictures": list(self.pictures),
            "held": self.held,
        }

    def _write(self, start: str, text: str) -> None:
        for line in textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)):
            self._say(line)

    @property
    def _at(self) -> dict[str, Any]:
        if not self.steps:
            self.step("Begin")
        return self.steps[-1]


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return shown(value)
