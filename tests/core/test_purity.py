"""`node.core` is pure: what its source imports says so, and so does importing it in a bare interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

CORE = REPOSITORY / "node" / "core"
FORBIDDEN = {
    *("sqlalchemy", "alembic", "bottle", "requests", "logging", "os", "random", "socket", "sqlite3", "threading"),
    *("time", "secrets", "pathlib", "io", "subprocess", "multiprocessing", "asyncio", "urllib", "http", "uuid"),
}
CURVE = "btclib_secp256k1"
IMPURE_CALLS = {"open", "print", "input", "float", "now", "utcnow", "today"}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            names.update(alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level < 2, "core imports nothing of the project that is above it"
            names.add(f"moneyer.node.core.{each.module or ''}" if each.level else each.module or "")
    return names


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.name)
def test_a_module_of_core_imports_only_core_the_curve_and_pure_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for name in imported(tree):
        top = name.partition(".")[0]
        assert top not in FORBIDDEN
        assert name.startswith("moneyer.node.core") or top == CURVE or top in sys.stdlib_module_names, name
    called = {each.func for each in ast.walk(tree) if isinstance(each, ast.Call)}
    names = {each.id for each in called if isinstance(each, ast.Name)}
    names |= {each.attr for each in called if isinstance(each, ast.Attribute)}
    assert not names & IMPURE_CALLS


def test_core_without_its_curve_loads_nothing_that_is_forbidden() -> None:
    """What the interpreter itself and the curve library load is not ours to judge."""
    modules = [f"moneyer.node.core.{path.stem}" for path in CORE.glob("*.py") if path.stem != "__init__"]
    script = (
        f"import sys, importlib, {CURVE}.ssa, {CURVE}.xonly, {CURVE}.keys\n"
        "import json, re, tomllib, datetime, dataclasses, functools, typing, hashlib, struct, decimal\n"
        "before = set(sys.modules)\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    assert not set(found.stdout.split()) & FORBIDDEN
    assert "moneyer" in found.stdout.split()
