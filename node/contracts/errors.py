"""The one error of this room: a policy that cannot be read, or should not be used."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from ..core.errors import MoneyerError
from ..system.text import shown

_AROUND: Final = 40
"""Characters of a long text that are shown before the wrong one, and behind it."""


class BadPolicy(MoneyerError):
    """A policy that is refused. `details` has `position` (a character's, from 0) or `node` (pre-order) where known."""

    code = "bad_policy"

    def __init__(self, why: str, *, text: str | None = None, position: int | None = None, **details: Any) -> None:
        """`why`: a sentence without its place. `text`: what was read; `position`: the index of the character in it."""
        if position is not None:
            details["position"] = position
        super().__init__(why if position is None else f"{why} (at character {position + 1})", **details)
        self.why = why
        self.text = text
        self.position = position

    def pointed(self) -> str:
        """The sentence, and below it the text with a caret under the character, for a terminal. A long text is cut."""
        if self.text is None or self.position is None:
            return self.message
        start, end = max(0, self.position - _AROUND), self.position + _AROUND
        before = _one_line(self.text[start : self.position])
        if start:
            before = f"…{before}"
        behind = _one_line(self.text[self.position : end]) + ("…" if end < len(self.text) else "")
        return f"{self.message}\n  {before}{behind}\n  {' ' * sum(map(_columns, before))}^"


def _one_line(text: str) -> str:
    return shown("".join(" " if each in "\t\r\n" else each for each in text))


def _columns(letter: str) -> int:
    """How many columns of a terminal a visible character takes."""
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1
