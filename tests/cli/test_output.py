"""Tables, on a terminal that may be narrow, and elsewhere; times and counts for people."""

from __future__ import annotations

import time

import pytest

from node.cli import output
from node.cli.output import ago, counted, print_table

HEADER = ("name", "coins", "memo", "address")
ROWS = [("anna", "1000", "for the ice cream that we had at the beach", "beach1" + "q" * 60), ("ben", "2.5", "", "b")]


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room: int | None) -> list[str]:
    monkeypatch.setattr(output, "terminal_width", lambda: room)
    print_table(HEADER, ROWS, right=("coins",), cut=("memo",), below="address")
    return capsys.readouterr().out.splitlines()


def test_a_table_has_all_of_it_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (None, 200):
        header, anna, ben = printed(capsys, monkeypatch, room)
        assert header.split() == list(HEADER)
        assert [each.strip() for each in anna.split("  ") if each] == list(ROWS[0])
        assert ben.split() == ["ben", "2.5", "b"]


def test_a_table_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    header, anna, below, ben, last = printed(capsys, monkeypatch, 40)
    assert header.split() == ["name", "coins", "memo"]
    assert len(anna) == 40
    assert anna.endswith("…")
    assert (below, last) == (f"  {ROWS[0][3]}", "  b")
    assert ben.split() == ["ben", "2.5"]
    assert max(map(len, printed(capsys, monkeypatch, 5)[::2])) > 5, "what can't be cut any more stands as it is"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds: int, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.5)
    assert ago(1_800_000_000 - seconds) == shown


def test_one_is_no_plural() -> None:
    assert (counted(1, "block"), counted(0, "block"), counted(2, "block")) == ("1 block", "0 blocks", "2 blocks")
