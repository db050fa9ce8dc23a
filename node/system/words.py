"""Turns a wrong value into words: which field, what it may be, what was found, and the nearest known word.

`explain` walks a msgspec type and the value that doesn't fit it; msgspec's own sentences never reach a person.
A type says what it may be by its bounds, or by `Meta(description=…)` where it has a pattern; `Meta(extra={"known": …})`
lists words of which the nearest is offered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from .text import shown

if TYPE_CHECKING:  # msgspec is loaded by those who check JSON; the command line only wants `nearest`
    from msgspec.inspect import Type

SYNONYMS: Final[Mapping[str, str]] = {
    "recipient": "receiver",
    "reciever": "receiver",
    "to": "receiver",
    "from": "sender",
    "payer": "sender",
    "value": "amount",
    "coins": "amount",
    "count": "blocks",
    "number": "blocks",
    "note": "memo",
    "message": "memo",
    "nonce": "sequence",
    "node": "url",
    "nodes": "url",
    "peer": "url",
    "tx": "raw",
}
"""Other programs' names for fields of ours, whose spelling is not near enough to be found."""

_SHOWN: Final = 60
"""Characters of a refused value that an error repeats."""
_LONGEST_NAME: Final = 40
"""Characters of a word that is compared with known ones: longer ones take long, and none is near."""
_LONGEST_NUMBER: Final = 40
"""Digits of a number that is read: Python refuses thousands of them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value doesn't fit. `field`: as in `node[2]`, empty for the whole; `found`: None where it is missing."""

    field: str
    expected: str
    found: str | None
    nearest: str | None = None
    is_unknown: bool = False
    """Whether `field` is a key that doesn't exist; `expected` then lists those that do."""

    @property
    def sentence(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        if self.is_unknown:
            return f"there is no field {quoted(self.field)} here{hint or f': it takes {self.expected}'}"
        if self.found is None:
            return f"{self.field} is missing: it must be {self.expected}"
        return f"{self.field or 'the body'} must be {self.expected}, not {self.found}{hint}"


def of_system(error: OSError) -> str:
    """An error of the operating system in words: the file, where there is one, and the system's own sentence."""
    what = error.strerror or "the system refused it"
    return what if error.filename is None or isinstance(error.filename, int) else f"{error.filename}: {what}"


def nearest(word: str, known: Iterable[str], synonyms: Mapping[str, str] = {}) -> str | None:
    """The known word that `word` was probably meant to be; None where none is near."""
    from difflib import get_close_matches

    folded = {each.casefold(): each for each in known}
    plain = word.strip().casefold()
    if len(plain) > _LONGEST_NAME:
        return None
    if plain in folded:
        return folded[plain]
    if synonyms.get(plain) in folded:
        return folded[synonyms[plain]]
    near = get_close_matches(plain, folded, n=1, cutoff=0.65)
    return folded[near[0]] if near else None


def quoted(text: str) -> str:
    """A stranger's text in quotes, cut and escaped."""
    return f'"{shown(text, _SHOWN)}"'


def told(value: Any) -> str:
    """A refused value for a person: short, and in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list | tuple):
        return "an empty list" if not value else f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "an object" if value else "an empty object"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number beyond all bounds"
    return str(value)[:_SHOWN]


def joined(names: Iterable[str], word: str = "or") -> str:
    """`a, b or c`."""
    *rest, last = list(names)
    return f"{', '.join(rest)} {word} {last}" if rest else last


def read_plain(text: str) -> Any:
    """JSON as plain values, for `explain`; huge numbers become infinite. Raises ValueError, RecursionError."""

    def whole(digits: str) -> int | float:
        return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf

    return json.loads(text, parse_int=whole)


def explain(kind: Any, value: Any) -> Problem | None:
    """The first thing about `value` that a type of msgspec's would refuse; None where nothing is found."""
    return _check(type_of(kind), value, "")


@cache
def type_of(kind: Any) -> Type:
    """What msgspec knows of a type; remembered, as it takes seven times as long as the rest of `explain`."""
    import msgspec.inspect as inspect

    return inspect.type_info(kind)


def sentence_of(kind: Any, value: Any, otherwise: str) -> str:
    """`explain` as one sentence; `otherwise` where it finds nothing."""
    problem = explain(kind, value)
    return otherwise if problem is None else problem.sentence


def place_of(kind: Any, content: bytes) -> str:
    """Where the JSON of a file is damaged, and what belongs there; never its content, which may be secret."""
    try:
        problem = explain(kind, read_plain(content.decode()))
    except (ValueError, RecursionError):
        return "it is no JSON"
    if problem is None:
        return "a value is not what it should be"
    if problem.is_unknown:
        return "a field is there that doesn't belong there"
    return f"{problem.field or 'all of it'} must be {problem.expected}"


def describe(kind: Type) -> str:
    """What a value of this type may be."""
    import msgspec.inspect as inspect

    if isinstance(kind, inspect.Metadata):
        about = (kind.extra_json_schema or {}).get("description")
        inner = kind.type
        if about and isinstance(inner, inspect.IntType):
            return f"{describe(inner)} ({about})"
        return str(about) if about else describe(inner)
    if isinstance(kind, inspect.UnionType):
        return joined(describe(each) for each in kind.types)
    if isinstance(kind, inspect.LiteralType):
        return joined(str(each) for each in kind.values)
    if isinstance(kind, inspect.StructType):
        names = joined((field.encode_name for field in kind.fields), "and")
        return f"a JSON object with {names}"
    if isinstance(kind, inspect.ListType):
        most = "" if kind.max_length is None else f" of at most {kind.max_length}"
        return f"a list{most}, each {describe(kind.item_type)}"
    describer = _DESCRIBERS.get(type(kind).__name__)
    return describer(kind) if describer else "something else"


def _describe_text(kind: Any) -> str:
    if kind.min_length and kind.max_length:
        return f"text of {kind.min_length} to {kind.max_length} characters"
    return "text" if kind.max_length is None else f"text of at most {kind.max_length} characters"


def _describe_number(kind: Any) -> str:
    what = "a whole number" if type(kind).__name__ == "IntType" else "a number"
    low = kind.ge if kind.ge is not None else None if kind.gt is None else f"above {kind.gt}"
    high = kind.le if kind.le is not None else None if kind.lt is None else f"below {kind.lt}"
    if low is not None and high is not None:
        return f"{what} from {low} to {high}"
    return f"{what} from {low} up" if low is not None else what


_DESCRIBERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "StrType": _describe_text,
    "IntType": _describe_number,
    "FloatType": _describe_number,
    "BoolType": lambda kind: "true or false",
    "NoneType": lambda kind: "null",
    "DictType": lambda kind: "a JSON object",
    "RawType": lambda kind: "a value",
    "AnyType": lambda kind: "a value",
}


def _check(kind: Type, value: Any, path: str) -> Problem | None:
    import msgspec.inspect as inspect

    held = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(held, inspect.UnionType):
        return _check_union(held, kind, value, path)
    if isinstance(held, inspect.StructType) and isinstance(value, Mapping):
        return _check_struct(held, value, path)
    if isinstance(held, inspect.ListType) and isinstance(value, list | tuple):
        if len(value) < (held.min_length or 0) or (held.max_length is not None and len(value) > held.max_length):
            return Problem(path, describe(kind), told(value))
        found = (_check(held.item_type, each, f"{path}[{number}]") for number, each in enumerate(value))
        return next((problem for problem in found if problem), None)
    if isinstance(held, inspect.DictType) and isinstance(value, Mapping):
        return _check_dict(held, value, path)
    if _fits(held, value):
        return None
    known = (kind.extra or {}).get("known", ()) if isinstance(kind, inspect.Metadata) else ()
    if isinstance(held, inspect.LiteralType):
        known = [str(each) for each in held.values]
    near = nearest(value, known) if isinstance(value, str) and known else None
    return Problem(path, describe(kind), told(value), near)


def _check_union(held: Any, kind: Type, value: Any, path: str) -> Problem | None:
    problems = [_check(each, value, path) for each in held.types]
    if None in problems:
        return None
    deeper = next((problem for problem in problems if problem and problem.field != path), None)
    return deeper or Problem(path, describe(kind), told(value))


def _check_struct(kind: Any, value: Mapping[str, Any], path: str) -> Problem | None:
    fields = {field.encode_name: field for field in kind.fields}
    begin = f"{path}." if path else ""
    if kind.forbid_unknown_fields:
        for name in value:
            if name not in fields:
                near = nearest(name, [each for each in fields if each not in value], SYNONYMS)
                return Problem(f"{begin}{name}", joined(fields, "and"), "a field", near, is_unknown=True)
    for name, field in fields.items():
        if name not in value:
            if field.required:
                return Problem(f"{begin}{name}", describe(field.type), None)
        elif problem := _check(field.type, value[name], f"{begin}{name}"):
            return problem
    return None


def _check_dict(kind: Any, value: Mapping[str, Any], path: str) -> Problem | None:
    for name, each in value.items():
        where = f"{path}.{name}" if path else name
        problem = _check(kind.key_type, name, where) or _check(kind.value_type, each, where)
        if problem:
            return problem
    return None


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value fits a type that holds no others."""
    import re

    name = type(kind).__name__
    if name in ("RawType", "AnyType"):
        return True
    if name == "NoneType":
        return value is None
    if name == "BoolType":
        return isinstance(value, bool)
    if name == "LiteralType":
        return value in kind.values
    if name == "StrType":
        return (
            isinstance(value, str)
            and (kind.min_length or 0) <= len(value) <= (math.inf if kind.max_length is None else kind.max_length)
            and (kind.pattern is None or re.search(kind.pattern, value) is not None)
        )
    if name in ("IntType", "FloatType"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if name == "IntType" and not float(value).is_integer():
            return False
        return (
            (kind.ge is None or value >= kind.ge)
            and (kind.le is None or value <= kind.le)
            and (kind.gt is None or value > kind.gt)
            and (kind.lt is None or value < kind.lt)
        )
    return False
