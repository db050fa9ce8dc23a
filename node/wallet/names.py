"""Names of accounts and contacts: which are allowed, and when two are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from ..system.text import is_visible, shown
from ..system.words import quoted
from .errors import BadName

MAX_NAME: Final = 32
"""Code points, in NFC. The shortest address has 61, so no name can pass for one."""
INSIDE: Final = " .'_-"
"""Characters that may stand between two letters or digits."""
_RESERVED: Final = frozenset({"coinbase"})
"""The tutorial's calls show it as the sender of a reward."""
_MAY_BE: Final = "1 to 32 letters and digits of any script, with space . ' _ and - between them"


def check_name(name: str) -> str:
    """The name as it is kept: in NFC, no space at its ends. Raises BadName saying what is wrong with it."""
    clean = unicodedata.normalize("NFC", name.strip(" "))
    wrong = _wrong(clean)
    if wrong:
        raise BadName(f"{wrong}: a name has {_MAY_BE}", expected=_MAY_BE, found=shown(name, 40))
    return clean


def is_name(name: str) -> bool:
    """Whether `check_name` takes the name as it is."""
    return name == unicodedata.normalize("NFC", name) and not _wrong(name)


def _wrong(name: str) -> str | None:
    """What is wrong with a name in NFC; None where nothing is."""
    if not name:
        return "an empty name"
    if len(name) > MAX_NAME:
        return f"{shown(name, MAX_NAME)} has {len(name)} characters"
    if name_key(name) in _RESERVED:
        return f"{name} is what rewards come from, and no name"
    for place, letter in enumerate(name):
        if _is_letter(letter, place):
            continue
        if letter not in INSIDE or not is_visible(letter):
            return f"{shown(name)} has {quoted(letter)} in it, which is neither letter nor digit"
        if place in (0, len(name) - 1):
            return f"{shown(name)} {'ends' if place else 'begins'} with {quoted(letter)}"
        if letter == name[place - 1] == " ":
            return f"{shown(name)} has two spaces together"
    return None


def _is_letter(letter: str, place: int) -> bool:
    """Whether it is a letter or decimal digit; behind the first also a mark, by which many scripts write vowels."""
    category = unicodedata.category(letter)
    known = category[0] == "L" or category == "Nd" or (place > 0 and category in ("Mn", "Mc"))
    return known and is_visible(letter)


def name_key(name: str) -> str:
    """The key by which names are compared: equal for the same name in another case (Unicode's caseless match, NFC)."""
    plain = unicodedata.normalize("NFC", name.strip(" "))
    return unicodedata.normalize("NFC", plain.casefold())


def find_name(names: Iterable[str], wanted: str) -> str | None:
    """The one of `names` that is the same name as `wanted`, as it is written there."""
    key = name_key(wanted)
    return next((name for name in names if name_key(name) == key), None)
