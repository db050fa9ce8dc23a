"""What strangers write is shown, never obeyed: every code point, by its category."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from moneyer.node.system.text import is_visible, shown, shown_json

HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Co", "Cs", "Cn"}
FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc"
INVISIBLE = FILLERS + "\u180b\u180c\u180d\u180f\ufe00\ufe0f\U000e0100\U000e01ef"
NAMED = "\x00\x07\x1b\x7f\x85\x9b\u061c\u200b\u200e\u202a\u202e\u2028\u2029\u2066\ufeff\ue000\udcff\U000e0041\U0010ffff"
EVIL = "Evil\x1b]0;OWNED\x07\n\u202e"


def test_every_code_point_is_escaped_or_shown_by_its_category() -> None:
    for number in range(sys.maxunicode + 1):
        letter = chr(number)
        category = unicodedata.category(letter)
        is_hidden = category in HIDDEN or (category == "Zs" and letter != " ") or letter in INVISIBLE
        text = shown(letter)
        if is_hidden:
            assert text.isascii(), hex(number)
            assert text.startswith("\\"), hex(number)
        elif category[0] in "LNPS" and text != letter:
            assert unicodedata.name(letter).rpartition(" ")[2] in {"FILLER", "CHARACTER", "NOTEHEAD"}, hex(number)


@pytest.mark.parametrize("letter", NAMED + INVISIBLE)
def test_what_a_terminal_obeys_or_nobody_sees_is_escaped(letter: str) -> None:
    for text in (letter, f"a{letter}b", f"{letter}ü{letter}"):
        assert not is_visible(text)
        assert letter not in shown(text)
        assert letter not in shown_json(json.dumps(text, ensure_ascii=False))
        assert json.loads(shown_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", ["", "plain", "Größe ß", "日本 שלום سلام", "😀", "a\\nb", "c:\\u202e"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert shown(text) == text
    assert is_visible(text)


def test_the_escapes_are_those_that_a_reader_knows() -> None:
    assert shown(EVIL) == r"Evil\x1b]0;OWNED\x07\n\u202e"
    assert shown("\U000e0041\udcff\x9b") == r"\U000e0041\udcff\x9b"


def test_what_was_shown_once_is_shown_the_same_again() -> None:
    for text in (EVIL, NAMED, "x" * 30 + NAMED):
        for longest in (None, 7, 20):
            assert shown(shown(text, longest), longest) == shown(text, longest)


@pytest.mark.parametrize("longest", [1, 2, 5, 8, 12])
def test_a_length_is_of_what_is_shown(longest: int) -> None:
    for text in (EVIL, "abcdefgh" * 4, "\x1b" * 40):
        assert len(shown(text, longest)) == longest
        assert shown(text, longest).endswith("…")
    assert shown("a" * longest, longest) == "a" * longest


def test_other_things_than_text_are_shown_as_their_text() -> None:
    assert shown(12) == "12"
    assert shown(None) == "None"
    assert shown(ValueError(EVIL)) == shown(EVIL)


def test_a_json_document_keeps_its_lines() -> None:
    document = json.dumps({"name": EVIL, "emoji": "😀"}, ensure_ascii=False, indent=2)
    escaped = shown_json(document)
    assert escaped.splitlines()[0] == "{"
    assert json.loads(escaped) == {"name": EVIL, "emoji": "😀"}
    assert "\u202e" not in escaped
    assert "😀" in escaped
