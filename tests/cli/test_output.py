"""Tables, on a terminal that may be narrow, and elsewhere; times and counts for people."""

from __future__ import annotations

import time
import unicodedata

import pytest

from moneyer.node.cli import output
from moneyer.node.cli.output import ago, counted, fitted, print_pairs, print_table

HEADER = ("name", "coins", "memo", "address")
ROWS = [("anna", "1000", "for the ice cream that we had at the beach", "beach1" + "q" * 60), ("ben", "2.5", "", "b")]


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room: int | None) -> list[str]:
    monkeypatch.setattr(output, "terminal_width", lambda stream=None: room)
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
    header, anna, below, ben, last, *note = printed(capsys, monkeypatch, 40)
    assert header.split() == ["name", "coins", "memo"]
    assert len(anna) == 40
    assert anna.endswith("…")
    assert (below, last) == (f"  {ROWS[0][3][:37]}…", "  b")
    assert ben.split() == ["ben", "2.5"]
    assert "--json shows all" in " ".join(note)


@pytest.mark.parametrize("room", [5, 12, 25, 60, 80])
def test_no_line_of_a_table_is_longer_than_the_terminal_is_wide(
    room: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(capsys, monkeypatch, room)
    assert [line for line in lines[:4] if len(line) > room] == []
    assert lines[1].startswith("an")


def test_columns_that_find_no_room_are_left_out_and_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda stream=None: 30)
    print_table(("url", "state", "agent"), [("http://127.0.0.1:5001", "connected", "moneyer")], drop=("agent",))
    assert capsys.readouterr().out.splitlines()[:2] == ["url", "http://127.0.0.1:5001"]
    print_table(("url", "agent", "state"), [("http://127.0.0.1", "moneyer", "connected")], drop=("agent",))
    header, row, *note = capsys.readouterr().out.splitlines()
    assert (header.split(), row.split()) == (["url", "state"], ["http://127.0.0.1", "connected"])
    assert "without agent" in " ".join(note)


def test_pairs_go_on_below_themselves_word_by_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda stream=None: 30)
    output.print_pairs([("reward of a block", "50 BEACH, halved every four years"), ("tip", "0" * 64)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "reward of a block  50 BEACH,"
    assert lines[1] == "                   halved"
    assert max(map(len, lines)) <= 30
    assert "… is cut" in " ".join(lines)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(44.762964371116695, "44.76"), (0.01, "0.01"), (1, "1"), (12_882_834.4, "12,882,834"), (2.0**-32, "2.328e-10")],
)
def test_a_measured_number_has_the_digits_that_a_person_reads(value: float, shown: str) -> None:
    assert output.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds: int, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.5)
    assert ago(1_800_000_000 - seconds) == shown


def test_one_is_no_plural() -> None:
    assert (counted(1, "block"), counted(0, "block"), counted(2, "block")) == ("1 block", "0 blocks", "2 blocks")


WIDE = [("小明", "12", "für die Äpfel 海海海海", "海" * 40), ("e\u0301a", "1000", "🍦🍦 and more", "b")]


def columns_of(line: str) -> int:
    """As a terminal counts them."""
    return sum(
        2 if unicodedata.east_asian_width(each) in "WF" else 0 if unicodedata.combining(each) else 1 for each in line
    )


@pytest.mark.parametrize("room", [12, 25, 40, 60])
def test_letters_that_are_two_columns_wide_fit_too(
    room: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda stream=None: room)
    print_table(HEADER, WIDE, right=("coins",), cut=("memo",), below="address")
    print_pairs(zip(HEADER, WIDE[0], strict=True))
    print(fitted("海 " * 40))
    assert [line for line in capsys.readouterr().out.splitlines() if columns_of(line) > room] == []


def test_columns_stand_below_each_other_whatever_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "coins"), [(name, coins) for name, coins, _, _ in [*WIDE, *ROWS]], right=("coins",))
    assert {columns_of(line) for line in capsys.readouterr().out.splitlines()} == {len("name  coins")}
