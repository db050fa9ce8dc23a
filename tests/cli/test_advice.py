"""Every command that a message, a help text or a page suggests is one that can be typed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from moneyer.node.cli.main import cli
from moneyer.node.system.advice import as_typed, moneyer
from tests.conftest import REPOSITORY

_IN_BACKTICKS = re.compile(r"`moneyer ([^`\n]+)`")
_IN_A_LINE = re.compile(r"^(?:\$ |[A-Za-z ]+: +)?moneyer ([a-z].*)$", re.MULTILINE)
_NO_COMMANDS = {"COMMAND", "…"}
_WHERE = {"where", "at"}
"""Names of variables that hold ` --data DIR`, or nothing."""
VALUES = {
    "N": "1",
    "K": "2",
    "[N]": "1",
    "SECONDS": "5",
    "HASHES": "1000",
    "MODE": "instant",
    "[MODE]": "instant",
    "AMOUNT": "1",
    "PORT": "5001",
    "P": "5001",
    "{bash|zsh|fish}": "bash",
}
"""What stands for a number or a word of a list where a text shows how a command is written."""
_DATABASE = "postgresql://moneyer@db.example/beach"
"""What stands for `URL`, or for what code puts in, behind `--database`."""


def _texts(tree: ast.AST) -> Iterator[str]:
    """Each string of a module; what an f-string puts in is a word of its own, or nothing where it touches a word."""
    inside: set[int] = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr):
            parts = [_text_of(part) for part in each.values]
            inside.update(id(part) for part in each.values)
            text = ""
            for part in parts:
                if isinstance(part, str):
                    text += part
                elif text.endswith((" ", "=", "'", "--")) or not text:
                    text += "1"
            yield text
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in inside:
            yield each.value


def _text_of(part: ast.expr) -> str | None:
    """A part of an f-string; None where it is put in and may be any word."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    inner = part.value if isinstance(part, ast.FormattedValue) else part
    return "" if isinstance(inner, ast.Name) and inner.id in _WHERE else None


def _advice() -> Iterator[tuple[str, str]]:
    """(where, the words behind `moneyer`) of each piece of advice in code and documents."""
    for folder in ("node", "worker", "migrations"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            where = str(path.relative_to(REPOSITORY))
            for text in _texts(ast.parse(path.read_text("utf-8"))):
                lines = [line.strip() for line in text.splitlines()]
                yield from ((where, words) for words in _IN_BACKTICKS.findall(text))
                yield from ((where, words) for line in lines for words in _IN_A_LINE.findall(line))
    for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        text = path.read_text("utf-8")
        where = str(path.relative_to(REPOSITORY))
        yield from ((where, words) for words in _IN_BACKTICKS.findall(text))
        yield from ((where, words) for words in _IN_A_LINE.findall(text))


def _words(text: str) -> list[str]:
    """As a shell splits them: no comment, no redirection, one of each pair of alternatives."""
    text = re.split(r"\s{2,}(?=\S)| [>|&] ?|  #| # ", text)[0].rstrip(" &:.,")
    text = re.sub(r"(?<=--database )(URL|1)\b", _DATABASE, text)
    words = shlex.split(text.replace("[,", ","))
    return [VALUES.get(word, word.strip("[]")) for word in words if word not in ("…", "...", "[OPTIONS]")]


def test_a_command_that_is_suggested_can_be_typed() -> None:
    advice = {(where, words) for where, words in _advice() if words.split()[0] not in _NO_COMMANDS}
    assert len(advice) > 60
    assert {"new", "join", "up", "worker", "verify", "db", "wallet"} <= {words.split()[0] for _, words in advice}
    wrong = {place: why for place in advice if (why := _why_it_cannot_be_typed(place[1])) is not None}
    assert not wrong


def _why_it_cannot_be_typed(words: str) -> str | None:
    arguments = _words(words)
    context = click.Context(cli, info_name="moneyer")
    command: click.Command = cli
    while isinstance(command, click.Group):
        if not arguments or arguments[0].startswith("-"):
            break  # `moneyer --help`, `moneyer wallet`
        found = command.get_command(context, arguments[0])
        if found is None:
            return f"there is no {arguments[0]}"
        name = arguments.pop(0)
        context, command = click.Context(found, info_name=name, parent=context), found
    if isinstance(command, click.Group):
        return None
    try:
        command.make_context(context.info_name, arguments, parent=context.parent)
    except click.exceptions.Exit:
        return None  # --help
    except click.MissingParameter:
        return None if "…" in words or not arguments else "it lacks an argument"
    except click.UsageError as error:
        return error.format_message()
    return None


def test_advice_names_moneyer_as_the_next_terminal_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_typed("type `moneyer up`, or `moneyer` alone") == "type `moneyer up`, or `moneyer` alone"
    monkeypatch.setenv("PATH", str(tmp_path))
    moneyer.cache_clear()
    try:
        typed = as_typed("no node runs: `moneyer up --data x` starts one")
        assert re.fullmatch(r"no node runs: `\S*bin/moneyer up --data x` starts one", typed)
    finally:
        moneyer.cache_clear()
