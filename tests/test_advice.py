"""Advice that names a path can be typed as it stands, and starts the node that it is about."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moneyer.node.cli.main import run
from moneyer.node.cli.place import how_to_mine, how_to_start
from moneyer.node.devnet.layout import ensure_network
from moneyer.node.system.advice import start_node, typed
from tests.conftest import REPOSITORY


def _network(folder: Path, options: str = "") -> Path:
    ensure_network(folder, 2, None)
    (folder / "Procfile").write_text(f"node1: moneyer node --data node1 --dev{options}\n")
    return folder


def test_a_node_of_a_network_is_started_with_its_network(tmp_path: Path) -> None:
    folder = _network(tmp_path / "my class")
    assert start_node(folder / "node1") == f"moneyer up --data '{folder}'"
    assert start_node(folder) == f"moneyer up --data '{folder}'"


def test_a_manual_network_stays_manual(tmp_path: Path) -> None:
    folder = _network(tmp_path / "data", " --manual")
    assert start_node(folder / "node2") == f"moneyer up --data {folder} --manual"


def test_a_development_node_of_its_own_is_started_as_one(tmp_path: Path) -> None:
    """Without --dev it refuses the wallet that its folder has."""
    folder = tmp_path / "alone"
    ensure_network(tmp_path / "made", 1, None)
    (tmp_path / "made" / "node1").rename(folder)
    if not (folder / "wallet.json").exists():
        (folder / "wallet.json").write_text('{"development": true}')
    assert start_node(folder) == f"moneyer node --data {folder} --dev"


@pytest.mark.parametrize("wallet", [b"", b"[]", b'{"development": false}', b"\xff", b"[" * 100_000])
def test_any_other_folder_is_started_as_it_is(tmp_path: Path, wallet: bytes) -> None:
    folder = tmp_path / "ben's"
    folder.mkdir()
    (folder / "wallet.json").write_bytes(wallet)
    assert shlex.split(start_node(folder)) == ["moneyer", "node", "--data", str(folder)]


def _worker_of(folder: Path) -> str:
    return f"moneyer worker --data {typed(folder)}"


@pytest.mark.parametrize(
    ("advice", "name", "elsewhere"), [(how_to_start, "node", start_node), (how_to_mine, "worker", _worker_of)]
)
def test_what_a_folder_needs_whose_chain_is_on_a_server_is_started_there(
    advice: Callable[[Path], str], name: str, elsewhere: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = _network(tmp_path / "beach")
    url = "postgresql://moneyer@db.example/beach"
    (folder / "chain.made").write_text(f"the chain of this folder is in {url}: chain 00\n")
    assert shlex.split(advice(folder)) == ["moneyer", name, "--data", str(folder), "--database", url]
    (folder / "chain.made").write_text("chain.db was made in this folder: chain 00\n")
    assert advice(folder) == elsewhere(folder)


@pytest.mark.parametrize("command", [["verify"], ["db", "check"], ["db", "upgrade"], ["db", "backup", "copy.db"]])
def test_a_command_whose_chain_is_on_a_server_asks_for_its_url_and_names_no_other_command(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_network(tmp_path, 1, None)
    folder = tmp_path / "node1"
    (folder / "chain.made").write_text("the chain of this folder is in postgresql://db.example/beach: chain 00\n")
    assert run([*command, "--data", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "is in postgresql://db.example/beach: give that with --database" in said
    assert "moneyer node" not in said


@pytest.mark.parametrize("command", [["db", "anew"], ["verify"], ["db", "check"]])
def test_the_folder_that_a_command_found_by_itself_is_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_network(tmp_path, 1, None)
    monkeypatch.chdir(tmp_path / "node1")
    run(command)
    said = "".join(capsys.readouterr())
    assert "None" not in said
    assert str(tmp_path / "node1") in said


def _put_in() -> Iterator[tuple[str, ast.expr]]:
    """(where, expression) of everything that an f-string puts behind `--data ` or `--node `."""
    for folder in ("node", "worker"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            for each in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(each, ast.JoinedStr):
                    continue
                for before, part in zip(each.values, each.values[1:], strict=False):
                    text = before.value if isinstance(before, ast.Constant) else ""
                    if isinstance(part, ast.FormattedValue) and str(text).endswith(("--data ", "--node ")):
                        yield f"{path.relative_to(REPOSITORY)}:{each.lineno}", part.value


def test_what_stands_behind_an_option_in_advice_is_quoted() -> None:
    found = list(_put_in())
    assert len(found) > 8
    raw = [
        where
        for where, value in found
        if not (isinstance(value, ast.Call) and getattr(value.func, "id", "") == "typed")
    ]
    assert raw == []
    assert typed("a b") == "'a b'"
