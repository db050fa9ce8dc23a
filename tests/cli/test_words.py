"""Every command with a wrong word: the option, what it may be, what was found, the near miss; in no library's words."""

from __future__ import annotations

import ast
from pathlib import Path

import click
import pytest

from moneyer.node.cli.main import run
from tests.cli.test_main import all_commands
from tests.conftest import REPOSITORY
from tests.kit.words import NOT_FOR_PEOPLE

CLICKS_OWN = ("Invalid", "No such", "Missing", "is not a valid", "not in the range", "<=x", "unexpected", "requires an")
COMMANDS = [(name, command) for name, command in all_commands() if not isinstance(command, click.Group)]
GROUPS = [(name, command) for name, command in all_commands() if isinstance(command, click.Group)]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What stderr says of a wrong use."""
    assert run(arguments) == 2, arguments
    said = capsys.readouterr()
    assert said.out == ""
    assert not NOT_FOR_PEOPLE.search(said.err), (arguments, said.err)
    assert not any(each in said.err for each in CLICKS_OWN), (arguments, said.err)
    return " ".join(said.err.split())


def options_of(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_wrong_value_is_told_by_its_option(
    name: str, command: click.Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, folder = tmp_path / "file", tmp_path
    file.touch()
    for option in options_of(command):
        label = max(option.opts, key=len)
        if option.is_flag:
            assert f"{label} takes no value" in refused([*name.split(), f"{label}=x"], capsys)
            continue
        assert f"{label} wants a value" in refused([*name.split(), label], capsys)
        if isinstance(option.type, click.Path):
            wrong = str(file) if not option.type.file_okay else str(folder)
        elif isinstance(option.type, click.types.StringParamType | click.types.UnprocessedParamType):
            continue  # checked by the command itself
        else:
            wrong = "nonsense"
        said = refused([*name.split(), label, wrong], capsys)
        assert f"{label} must be " in said, said
        assert "not " in said, said


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_number_beyond_its_bounds_is_told(
    name: str, command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in options_of(command):
        if isinstance(option.type, click.IntRange | click.FloatRange):
            label = max(option.opts, key=len)
            said = refused([*name.split(), label, "-99999999999"], capsys)
            assert f"{label} must be a" in said, said
            assert 'not "-99999999999' in said, said


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_mistyped_option_gets_the_nearest_one(
    name: str, command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in options_of(command):
        label = max(option.opts, key=len)
        if len(label) > 6:
            misspelt = label[:4] + label[5:]
            assert f'there is no option "{misspelt}" here; did you mean --' in refused(
                [*name.split(), misspelt], capsys
            )
    assert "--help` lists those there are" in refused([*name.split(), "--zzzzzz"], capsys)


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_what_is_missing_and_what_is_too_much_is_told(
    name: str, command: click.Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MONEYER_DATA", "MONEYER_NODE"):
        monkeypatch.delenv(variable, raising=False)
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    if any(each.required for each in command.params):
        assert " is missing" in refused(name.split(), capsys)
    if all(each.nargs == 1 for each in arguments):
        required = [
            word
            for each in command.params
            if each.required and isinstance(each, click.Option)
            for word in (max(each.opts, key=len), "nothing")
        ]
        words = [str(each.type.choices[0]) if isinstance(each.type, click.Choice) else "3" for each in arguments]
        words.append("one too many")
        assert '"one too many" is too much here' in refused([*name.split(), *required, *words], capsys)


@pytest.mark.parametrize(("name", "group"), GROUPS)
def test_a_mistyped_command_of_a_group_gets_the_nearest_one(
    name: str, group: click.Group, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in group.commands:
        if len(each) > 4:
            said = refused([name, each[:2] + each[3:]], capsys)
            assert f"did you mean {each}?" in said, said


@pytest.mark.parametrize("name", ["", *(name for name, _ in GROUPS)])
def test_a_group_alone_shows_its_help_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"Usage: moneyer {name}".rstrip())
    assert said.err.count("Usage:") == 1
    assert "Error" not in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["send", "alice", "bob"], "AMOUNT is missing: it must be coins, such as 2.5"),
        (["tx"], "TXID is missing: it must be the hex digits of a transaction's id"),
        (["block"], "ID is missing: it must be a block's height or hash, or `tip`"),
        (["net", "kill"], "NODE… is missing: it must be the name of a node"),
        (["net", "cut"], "A-B… is missing: it must be the names of an edge's two nodes, such as 1-2"),
        (["net", "hashrate", "1", "fast"], '"fast" is no such value: give hashes a second, such as 5000 or 2kH/s'),
        (["net", "hashrate", "1", "2000GH/s"], '"2000GH/s" is too much: give hashes a second'),
        (["stratum", "--difficulty", "0"], '--difficulty must be a number from 2^-32 to 10^15, not "0"'),
        (["mining", "intreval:5"], "did you mean interval:5?"),
        (["mining", "instnat"], "did you mean instant?"),
        (["worker", "--engine", "sah"], 'there is no engine "sah": take auto, hashlib, simd, sha or mixed'),
        (["worker", "--limit", "'"], '--limit "\'" is no share of the time'),
        (["status", "--node", "5002"], '"5002" is no address of a node'),
        (["status", "--node", "5002"], "did you mean 127.0.0.1:5002?"),
        (["join", "5002"], "did you mean 127.0.0.1:5002?"),
    ],
)
def test_what_is_wrong_is_said_in_words_of_ours(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(arguments, capsys)


def test_no_sentence_has_a_repr() -> None:
    """Somebody's text stands in quotes, escaped, by `node.system.words.quoted`."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{each.lineno}"
        for folder in ("node", "worker")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.FormattedValue) and each.conversion in (ord("r"), ord("a"))
    ]
    assert found == []


def test_what_stands_in_the_environment_is_named_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONEYER_UP_NODES", "many")
    assert "MONEYER_UP_NODES (--nodes) must be a whole number from 1 to" in refused(["up"], capsys)


def test_a_mode_in_capitals_gets_the_one_that_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'not "Warning"; did you mean warning?' in refused(["node", "--log-level", "Warning"], capsys)
