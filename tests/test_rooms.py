"""The tree is what CONTRIBUTING says of it: rooms that are small enough to see at once, and one name for one module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

MOST_FILES = 13
"""In one folder: about a dozen, beside its `__init__`."""
SMALL = 60
"""Lines under which a file with one importer wants a reason."""
LONGEST_FUNCTION = 60

REASONS = {
    "node/api/shapes/policies.py": "the shapes of one group of calls",
    "node/store/opening/behind.py": "the one thread of this room",
    "node/web/explorer/search_page.py": "one file a group of pages",
    "node/web/explorer/block_pages.py": "one file a group of pages",
    "node/web/network/network_page.py": "one file a group of pages",
    "node/web/owner/session_pages.py": "one file a group of pages",
    "node/web/docs_page.py": "one file a group of pages",
    "worker/engines/mixed.py": "one file an engine",
    "worker/engines/simd.py": "one file an engine",
}
"""Small files with one importer."""

OFTEN = {"errors", "config", "__init__", "__main__"}
"""Names that several rooms may have: each layer's errors, a program's options."""

AFTER_OTHERS = ("node/cli/commands", "node/api/shapes")
"""Their files are named after what is typed, and after the calls that answer with these shapes."""

FOLDERS = sorted({path.parent for top in ("node", "worker") for path in (REPOSITORY / top).rglob("*.py")})
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def imported_by(path: Path) -> set[Path]:
    """Our files that a file imports, by its relative imports; functions' own too."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [base, *(base / alias.name for alias in node.names)]
            found.update(file for name in names if name.name and (file := name.with_suffix(".py")).is_file())
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_room_says_how_it_works_and_has_about_a_dozen_files(folder: Path) -> None:
    page = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    assert len(page.splitlines()) >= 4, "its __init__ says what goes in and out, its threads and locks, a reading order"
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MOST_FILES


def test_a_name_is_the_name_of_one_module() -> None:
    places = defaultdict(list)
    for path in FILES:
        if path.stem not in OFTEN and name_of(path.parent) not in AFTER_OTHERS:
            places[path.stem].append(name_of(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_small_file_with_one_importer_has_a_reason() -> None:
    importers = defaultdict(set)
    for path in FILES:
        for file in imported_by(path):
            importers[file].add(path)
    small = {
        name_of(path)
        for path in FILES
        if len(importers[path]) == 1 and len(path.read_text("utf-8").splitlines()) < SMALL and path.stem not in OFTEN
    }
    assert small == set(REASONS)


def test_a_function_can_be_read_at_once() -> None:
    long = [
        f"{name_of(path)}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_a_call_goes_through_few_files() -> None:
    """In a process of its own: it traces every thread."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.road"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True
    )
    files = {name: int(count) for name, count in re.findall(r"^(\w+ \S+): (\d+) files$", done.stdout, re.MULTILINE)}
    assert files["POST /p2p/block"] <= 23  # for assets, for who calls and for statements of two databases one each
    assert files["GET /v1/status"] <= 12
