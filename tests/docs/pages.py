"""The Markdown pages of the repository, as the tests of this folder read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY

FOLDERS = ("node", "worker", "migrations", "tests", "bench", "tools", "docs", ".ci")
"""Where files of the project lie; `moneyer/` besides, whose links to three of them are not followed."""

PAGES = (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").glob("*.md")))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def page(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def files() -> Iterator[Path]:
    """Every file of the project."""
    yield from (path for path in REPOSITORY.iterdir() if path.is_file())
    yield from (path for path in (REPOSITORY / "moneyer").iterdir() if path.is_file())
    for folder in FOLDERS:
        yield from (
            path for path in (REPOSITORY / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = heading.split(" ", 1)[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in `text`, without headings and rules."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
    return found


def in_backticks(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
