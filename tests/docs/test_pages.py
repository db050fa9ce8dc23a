"""Paths, names and links that documents, docstrings and comments have lead somewhere, and lines fit a screen."""

from __future__ import annotations

import ast
import importlib
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import PAGES, files, name_of, page, rows

WIDTH = 120

_IN_BACKTICKS = re.compile(r"`+([^`\n]+)`+")
_PATH = re.compile(r"[\w.-]+(/[\w.*-]+)*/?")
_DOTTED = re.compile(r"(moneyer\.)?(node|worker|migrations)(\.(?!(?:lock|py)$)\w+)+")
_METHOD = re.compile(r"([A-Z][a-z]\w+)\.(\w+)(\(.*\))?")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SOURCES = {".py", ".md", ".toml", ".sh", ".txt", ".mako", ".typed"}
_ROOMS = {"node", "worker", "migrations", "moneyer", "tests", "bench", "tools", "docs", ".ci"}
# Files of a data folder or of a person, and what an example in words calls a file.
_ELSEWHERE = {"coin.toml", "beach.toml", "moneyer.py", "node.py", "migrations.py", "json.py", "pickle.py"}


@cache
def _all_files() -> frozenset[str]:
    return frozenset(map(name_of, files()))


def _exists(path: str) -> bool:
    """Whether a file or folder of the project has this path, or ends in it."""
    path = path.rstrip("/")
    pattern = re.compile(rf"(.*/)?{re.escape(path)}(/.*)?".replace(r"\*", "[^/]*"))
    return any(pattern.fullmatch(name) for name in _all_files())


def _resolves(name: str) -> bool:
    """Whether a dotted name is a module of the project, or stands in one."""
    parts = name.removeprefix("moneyer.").split(".")
    for size in range(len(parts), 0, -1):
        folder = REPOSITORY.joinpath(*parts[:size])
        if not (folder.with_suffix(".py").is_file() or (folder / "__init__.py").is_file()):
            continue
        found: Any = importlib.import_module(".".join(("moneyer", *parts[:size])))
        for part in parts[size:]:
            fields = getattr(found, "__annotations__", {})
            if not hasattr(found, part) and part not in fields:
                return False
            found = getattr(found, part, None)
        return True
    return False


@cache
def _members() -> dict[str, set[str]]:
    """Class -> every name that it, or a class that it is made of, defines or uses, of all classes of the project."""
    found: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for path in files():
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    names = found.setdefault(node.name, set())
                    bases.setdefault(node.name, set()).update(
                        base.id for base in node.bases if isinstance(base, ast.Name)
                    )
                    for each in ast.walk(node):
                        match each:
                            case ast.FunctionDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                                names.add(name)
    return {name: names.union(*(found.get(base, ()) for base in bases[name])) for name, names in found.items()}


def _named(text: str) -> Iterator[str]:
    """What stands in backticks and is a path or a dotted name of the project."""
    for word in _IN_BACKTICKS.findall(text):
        if _DOTTED.fullmatch(word):
            yield word
        elif _PATH.fullmatch(word) and word not in _ELSEWHERE:
            parts = word.split("/")
            if (parts[0] in _ROOMS and len(parts) > 1) or (Path(word).suffix in {".py", ".md"} and parts[0] != "data"):
                yield word


def _words_of(path: Path) -> str:
    """The docstrings and comments of a Python file; the whole of a page."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    with path.open("rb") as file:
        comments = [each.string for each in tokenize.tokenize(file.readline) if each.type == tokenize.COMMENT]
    tree = ast.parse(path.read_text("utf-8"))
    strings = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join([*comments, *strings])


WRITTEN = sorted({*PAGES, *(path for path in files() if path.suffix == ".py")})


@pytest.mark.parametrize("path", WRITTEN, ids=map(name_of, WRITTEN))
def test_every_path_and_name_that_is_written_is_there(path: Path) -> None:
    named = set(_named(_words_of(path)))
    assert not [each for each in sorted(named) if not (_resolves(each) if _DOTTED.fullmatch(each) else _exists(each))]


@pytest.mark.parametrize("path", PAGES, ids=map(name_of, PAGES))
def test_every_method_that_a_page_names_is_one_of_its_class(path: Path) -> None:
    for word in _IN_BACKTICKS.findall(path.read_text("utf-8")):
        named = _METHOD.fullmatch(word)
        if named:
            assert named[2] in _members().get(named[1], ()), word


@pytest.mark.parametrize("path", PAGES, ids=map(name_of, PAGES))
def test_every_name_that_a_page_finds_in_a_file_is_there(path: Path) -> None:
    for name, file in re.findall(r"`(\w+)` (?:in|\()\s*`([\w/]+\.py)`", path.read_text("utf-8")):
        assert re.search(rf"\b{name}\b", page(file)), f"{name} in {file}"


@pytest.mark.parametrize("path", PAGES, ids=map(name_of, PAGES))
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in _anchors(there), target


def _anchors(path: Path) -> set[str]:
    """The headings of a page, as GitHub names them in links."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=map(name_of, PAGES))
def test_no_line_of_a_page_is_too_long(path: Path) -> None:
    """But for rows of tables, and lines of an example that cannot be broken: with a URL, or an event's `data:`."""
    in_example = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        in_example ^= line.lstrip().startswith("```")
        unbreakable = line.startswith("|") or (in_example and re.search(r"https?://|^data: ", line))
        assert len(line) <= WIDTH or unbreakable, f"{name_of(path)}:{number} has {len(line)} characters"


def test_the_index_has_a_line_for_each_page() -> None:
    listed = [_LINK.findall(cells[0])[0] for cells in rows(page("docs/README.md"))]
    assert sorted(listed) == sorted(
        {"../README.md", *(path.name for path in PAGES if path.parent == REPOSITORY / "docs")} - {"README.md"}
    )
