"""On terminals of 60 and 80 columns no line is longer than that: columns are left out, words go on below."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.cli.commands.networks.net_look import on_screen
from tests.kit.commands import asked, talk
from tests.kit.running import RunningNode, own_node

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """With a block, and a transfer with a long memo that waits."""
    with own_node(tmp_path_factory.mktemp("narrow") / "data") as running:
        running.extend()
        asked(
            "send",
            "alice",
            "bob",
            "12.345678",
            "--memo",
            "for the ice cream at the beach",
            "--data",
            running.config.data,
        )
        added = running.call("POST", "/v1/peers", {"url": "http://127.0.0.1:1"}, running.bearer)
        assert added.status in (201, 422, 503), added.body
        yield running


def shown(node: RunningNode, columns: int, command: str) -> list[str]:
    arguments: list[str | Path] = [*command.split(), "--data", str(node.config.data)]
    status, text = talk(arguments, [], env={"COLUMNS": str(columns), "NO_COLOR": "1"})
    assert status == 0, text
    return text.replace("\r", "").splitlines()


NARROW = ["status", "mempool", "block 1", "history alice", "balance", "wallet list", "wallet show alice", "mining"]


@pytest.mark.parametrize(("columns", "command"), [*((60, each) for each in NARROW), (80, "mempool"), (80, "status")])
def test_no_line_is_longer_than_the_terminal_is_wide(node: RunningNode, columns: int, command: str) -> None:
    lines = shown(node, columns, command)
    assert [line for line in lines if len(line) > columns] == []
    assert len(lines) > 1


def test_a_sentence_of_a_refusal_breaks_between_words(node: RunningNode) -> None:
    arguments: list[str | Path] = ["send", "alice", "bob", "5000", "--data", str(node.config.data)]
    status, text = talk(arguments, [], env={"COLUMNS": "60"})
    lines = text.replace("\r", "").splitlines()
    assert status == 1
    assert len(lines) > 1
    assert [line for line in lines if len(line) > 60] == []
    assert "are missing" in " ".join(lines)


def test_a_number_for_people_has_neither_16_digits_nor_a_plural_of_one(node: RunningNode) -> None:
    rows = dict(line.split(maxsplit=1) for line in shown(node, 80, "status") if " " in line)
    assert rows["mempool"].startswith("1 transfer, ")
    assert len(rows["difficulty"]) <= 9


def test_a_screen_that_is_drawn_anew_leaves_nodes_out_and_says_what_is_true_of_all() -> None:
    table = ["node", "1", "2", "3", "4", "", "one tip at height 3,\non 4 nodes", "cut: 1-2"]
    end = ["", "one tip at height 3,", "on 4 nodes", "cut: 1-2"]
    assert on_screen(table, 9) == ["node", "1", "2", "3", "4", *end]
    assert on_screen(table, 7) == ["node", "1", "… and 3 lines more", *end]
    assert on_screen(table, 3) == ["node", "… and 7 lines more", ""]
