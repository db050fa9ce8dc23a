"""What docs/dependencies.md says of each distribution is true. (That its names are the declared ones: test_project.)"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import files, in_backticks, name_of, page, rows, section

TO_RUN, EXTRAS, TO_DEVELOP = (
    {in_backticks(cells[0])[0]: " ".join(cells[1:]) for cells in rows(section(page("docs/dependencies.md"), heading))}
    for heading in ("## To run", "## Extras", "## To develop (the extra `dev`)")
)

PROGRAMS = {
    "build": ("tests/test_project.py", r'"-m", "build"'),
    "hatchling": ("pyproject.toml", r'^build-backend = "hatchling\.build"'),
    "import-linter": ("Makefile", r"\$\(BIN\)/lint-imports"),
    "mypy": ("Makefile", r"\$\(BIN\)/mypy"),
    "pytest-timeout": ("pyproject.toml", r"^timeout = \d+"),
    "pytest-xdist": ("Makefile", r"\$\(BIN\)/pytest -n \d"),
    "ruff": ("Makefile", r"\$\(BIN\)/ruff check"),
    "types-requests": ("node/p2p/peer/connection.py", r"^import requests"),
}
"""Distributions that are run, not imported, and where."""

PARTS = {"urllib3": "requests"}
"""Modules that come with another distribution, and are named in its row."""

HOST = "pytest"
"""Loads `moneyer/pytest_plugin.py`, the one file of the program that imports it, and so is there."""


@cache
def _imported(folders: tuple[str, ...]) -> frozenset[str]:
    """Top-level names that the files of these folders import, without the standard library and the project's own."""
    own = {"moneyer", "node", "worker", "migrations", "tests", "bench", "tools"}
    found: set[str] = set()
    for path in files():
        if path.suffix == ".py" and name_of(path).startswith(folders):
            found |= _imports(path)
    return frozenset(found - own - sys.stdlib_module_names)


def _imports(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


PROGRAM = ("node/", "worker/", "migrations/", "moneyer/")
REST = ("tests/", "bench/", "tools/")


def _module(distribution: str) -> str:
    return distribution.removesuffix("-py").replace("-", "_")


def test_the_program_imports_what_it_declares_and_nothing_else() -> None:
    assert {_module(name) for name in (*TO_RUN, *EXTRAS)} == _imported(PROGRAM) - {*PARTS, HOST}
    python = [path for path in files() if path.suffix == ".py" and name_of(path).startswith(PROGRAM)]
    assert [name_of(path) for path in python if HOST in _imports(path)] == ["moneyer/pytest_plugin.py"]
    for module, distribution in PARTS.items():
        assert f"`{module}`" in TO_RUN[distribution]


@pytest.mark.parametrize("name", TO_DEVELOP)
def test_what_development_needs_is_imported_or_run(name: str) -> None:
    if name in PROGRAMS:
        file, use = PROGRAMS[name]
        assert re.search(use, page(file), re.MULTILINE)
    else:
        assert _module(name) in _imported(REST)


def test_tests_benches_and_tools_import_nothing_that_is_not_declared() -> None:
    assert _imported(REST) <= {_module(name) for name in (*TO_RUN, *EXTRAS, *TO_DEVELOP)}


def test_what_is_said_to_be_imported_only_when_needed_is() -> None:
    lazy = [_module(name) for name, said in {**TO_RUN, **EXTRAS}.items() if "mported only " in said]
    assert {_module(name) for name in EXTRAS} <= {*lazy}
    assert {"cryptography", "rich", "slip10", "zeroconf"} <= {*lazy}
    script = f"""
import importlib, pkgutil, sys
from moneyer import node, worker
sys.modules["psycopg"] = None  # as where the extra is not installed
for package in (node, worker):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ImportError:  # of the store's own files for PostgreSQL: they are imported only for such a database
                assert module.name.startswith("moneyer.node.store."), module.name
del sys.modules["psycopg"]
print(*(name for name in {lazy} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.split() == []
