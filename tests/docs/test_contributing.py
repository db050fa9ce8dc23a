"""CONTRIBUTING.md has the rooms and the contracts between them as they are."""

from __future__ import annotations

import re
import tomllib

from tests.conftest import REPOSITORY
from tests.docs.pages import page, rows, section

PAGE = section(page("CONTRIBUTING.md"), "## Where things are")


def test_the_layers_are_those_of_the_contracts() -> None:
    contracts = tomllib.loads(page("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [
        " > ".join(
            re.sub(r"[\w.]+\.|[()]", "", layer).replace(" | web", "").replace(" | ", ", ") for layer in row["layers"]
        )
        for row in contracts
        if row["type"] == "layers"
    ]
    assert [cells[1] for cells in rows(PAGE)] == layers


def test_every_room_of_the_node_has_its_line() -> None:
    rooms = {path.name for path in (REPOSITORY / "node").iterdir() if (path / "__init__.py").is_file()}
    tree = PAGE.partition("```\n")[2].partition("```")[0]
    assert rooms == set(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE))
