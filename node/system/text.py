"""Makes text of strangers safe to show: memos, agents, coin names, user names, URLs, errors of other nodes.

A terminal obeys control characters, a bidirectional mark reverses a line, and an invisible letter makes two names look
alike. `shown` is the one function such text passes through before it reaches a terminal, a log or a page;
`shown_json` does the same for a JSON document, which stays the same document for the program that reads it.
"""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import Final

_INVISIBLE: Final = (
    "\u034f"  # combining grapheme joiner
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u17b4\u17b5"  # Khmer vowels that are not written
    "\u180b-\u180f"  # Mongolian variation selectors
    "\u2800"  # Braille without a dot
    "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors
    "\ufffc"  # stands for an object that is not there
    "\U00016fe4"  # Khitan filler
    "\U0001d159"  # a note without a head
)
"""Characters that show nothing although Python calls them printable: Unicode's Default_Ignorable_Code_Point, blanks."""
_DECEPTIVE: Final = re.compile(f"[{_INVISIBLE}]")


def shown(text: object, longest: int | None = None) -> str:
    r"""`text` as one line of visible characters, all others escaped as Python has it: `\n`, `\x1b`, `\u202e`.

    Escaped are the Unicode categories Cc, Cf, Zl, Zp, Co, Cs, Cn, every Zs but the usual space, and what shows nothing.
    `longest`: characters of the result at most, the last of them `…` where something was cut. What was shown once stays
    as it is when it is shown again: a backslash is not escaped, so this is for readers, not to be read back.
    """
    line = str(text)
    if longest is not None:
        line = line[: longest + 1]  # an escape is never shorter than what it stands for
    if not is_visible(line):
        line = "".join(each if is_visible(each) else ascii(each)[1:-1] for each in line)
    if longest is not None and len(line) > longest:
        line = f"{line[: max(longest - 1, 0)]}…"
    return line


def is_visible(text: str) -> bool:
    """Whether `shown` leaves the text as it is."""
    return text.isprintable() and (text.isascii() or not _DECEPTIVE.search(text))


def shown_json(document: str) -> str:
    r"""A JSON document with the same characters as JSON's `\u` escapes; the line breaks that indent it are kept."""
    if is_visible(document):
        return document
    return "".join(each if is_visible(each) or each == "\n" else _json_escape(each) for each in document)


def lettered(number: int) -> str:
    """0, 1, … as A, B, … Z, AA, AB, …"""
    text = ""
    while number >= 0:
        text = ascii_uppercase[number % 26] + text
        number = number // 26 - 1
    return text


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
