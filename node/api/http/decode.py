"""JSON bodies, forms and query strings, from bytes that anybody may have sent to the structs that a handler takes.

Their length is bounded before they come here (`guard.read_body`). An error names the field, what was expected and what
was found; a key or parameter that is nearly a known one is told which (`system.words`).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec

from ...system.words import Problem, explain, joined, nearest, quoted, read_plain, type_of
from .errors import BadEncoding, BadField, BadJson, BadQuery, NoBody
from .guard import Environ, check_type

S = TypeVar("S", bound=msgspec.Struct)

_MAX_QUERY = 2_000
_FORM = "application/x-www-form-urlencoded"
_INTEGER = re.compile(r"[0-9]{1,16}", re.ASCII)
_NUMBERS_THAT_ARE_NONE = ("NaN", "Infinity", "-Infinity")
_SHOWN = 80
"""Characters of somebody's text that an error repeats."""
_MOST_KEYS = 32
"""Of a body whose keys may be spelled otherwise: each one that isn't known is compared with those that are."""
_NOT_THIS = "the body is not what this call takes: GET /docs lists its fields"


def json_of(environ: Environ, raw: bytes, kind: type[S]) -> S:
    """A JSON body as the struct `kind`. Raises NoBody, WrongType, BadEncoding, BadJson, BadField."""
    if not raw:
        raise NoBody("this call needs a JSON body", expected="application/json")
    check_type(environ, "application/json")
    return decode_json(raw, kind)


def decode_json(raw: bytes, kind: type[S]) -> S:
    """The struct that `raw` holds. Raises BadEncoding, BadJson, BadField."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadEncoding("the body is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise BadJson("the body begins with a byte order mark: JSON has none")
    try:
        value = msgspec.json.decode(_respelled(text, kind), type=kind)
    except msgspec.ValidationError:
        _refuse_value(text, kind)
    except RecursionError:
        raise BadJson("the body is nested too deep") from None
    except (msgspec.DecodeError, UnicodeError):
        _find_impossible_number(text)
        raise BadJson(f"the body is not JSON: {_where(text)}") from None
    _check_each_key_once(text, kind)
    return value


def _respelled(text: str, kind: type[msgspec.Struct]) -> str | bytes:
    """The body with the keys that `kind.spellings` takes for others under their own names. Raises BadField.

    A key that is neither known nor near a known one is left out: a tutorial's copies send keys of their own.
    """
    spellings: dict[str, str] | None = getattr(kind, "spellings", None)
    if spellings is None:
        return text
    try:
        given = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return text  # no object: refused by what reads it next
    if len(given) > _MOST_KEYS:
        raise BadField(
            f"the body has {len(given)} fields: this call takes {joined(kind.__struct_encode_fields__, 'and')}",
            field="",
            expected=f"at most {_MOST_KEYS} fields",
            found=str(len(given)),
        )
    known = {**{name: name for name in kind.__struct_encode_fields__}, **spellings}
    held: dict[str, msgspec.Raw] = {}
    for key, value in given.items():
        name = known.get(key.strip().lower())
        if name is None:
            if near := nearest(key, known):
                raise _bad_field(
                    Problem(key, joined(kind.__struct_encode_fields__, "and"), "a field", known[near], is_unknown=True)
                )
        elif name in held:
            raise BadField(f"{_printable(key)}: {name} stands there too, in other words: give one", field=name)
        else:
            held[name] = value
    return msgspec.json.encode(held)


def _check_each_key_once(text: str, kind: type[msgspec.Struct]) -> None:
    """Raises BadJson where a key stands twice: another reader (a proxy, a signer) may have taken the other value."""
    # Nearly every body is done with here. A key may be written with escapes, and a text may hold what looks like one.
    if (
        "\\u" not in text
        and not hasattr(kind, "spellings")
        and all(text.count(f'"{field}"') < 2 for field in _integers(kind))
    ):
        return

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadJson(f"the key {quoted(name)} stands twice", field=_printable(name))
            seen.add(name)

    try:
        json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise BadJson("the body is no JSON that every reader takes for the same") from None


def _printable(text: str, most: int = _SHOWN) -> str:
    """Somebody's text, short and fit for an answer: JSON lets half of a surrogate pair stand, UTF-8 does not."""
    return text[:most].encode("utf-8", "replace").decode()


def _refuse_value(text: str, kind: type[msgspec.Struct]) -> NoReturn:
    """Raises BadField: what about the body's values `kind` doesn't take."""
    try:
        problem = explain(kind, read_plain(_text_of(_respelled(text, kind))))
    except (ValueError, RecursionError):
        problem = None
    raise BadField(_NOT_THIS, field="") if problem is None else _bad_field(problem)


def _text_of(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode()


def _bad_field(problem: Problem) -> BadField:
    known = {"nearest": problem.nearest} if problem.nearest else {}
    found = {} if problem.found is None or problem.is_unknown else {"found": problem.found}
    return BadField(
        _printable(problem.sentence, 1_000),
        field=_printable(problem.field),
        expected=problem.expected,
        **found,
        **known,
    )


def _where(text: str) -> str:
    """The place where a text stops being JSON, and what is often meant."""
    try:
        json.loads(text)
    except RecursionError:
        return "it is nested too deep"
    except json.JSONDecodeError as error:
        rest = text[error.pos : error.pos + 20]
        if not rest.strip():
            return "it ends too early: is a quote, a } or a ] missing?"
        hint = "; JSON has double quotes" if rest.startswith("'") else ""
        return f"line {error.lineno}, column {error.colno} can't be read, at {quoted(rest)}{hint}"
    except ValueError:
        pass
    return "some text or number in it can't be read"


def _find_impossible_number(text: str) -> None:
    """`NaN` is no JSON, but everybody means a number by it: say which field it stands in. Raises BadField."""
    marks: list[str] = []

    def mark(constant: str) -> str:
        marks.append(constant)
        return constant

    try:
        value = json.loads(text, parse_constant=mark)
    except (ValueError, RecursionError):
        return
    if marks and isinstance(value, dict):
        field = _printable(next((name for name, held in value.items() if held in _NUMBERS_THAT_ARE_NONE), ""))
        raise BadField(f"{field or 'a number'}: {marks[0]} is no number", field=field, found=marks[0])


@cache
def _integers(kind: type[msgspec.Struct]) -> dict[str, bool]:
    """Field name -> whether it is a whole number."""
    info = type_of(kind)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - the parameter's type says so

    def whole(held: msgspec.inspect.Type) -> bool:
        if isinstance(held, msgspec.inspect.UnionType):
            return any(whole(each) for each in held.types)
        return isinstance(held, msgspec.inspect.IntType)

    return {field.encode_name: whole(field.type) for field in info.fields}


def form_of(environ: Environ, raw: bytes, kind: type[S]) -> S:
    """The fields of an HTML form as the struct `kind`. Raises WrongType, BadEncoding, BadQuery, BadField."""
    check_type(environ, _FORM)
    try:
        text = raw.decode("ascii")  # a browser writes every other character as %xx
    except UnicodeDecodeError:
        raise BadEncoding("the form is not percent-encoded UTF-8") from None
    return _struct_of(_pairs(text, "form"), kind)


def read_query(text: str, kind: type[S]) -> S:
    """A query string as the struct `kind`. Raises BadQuery, BadField."""
    if len(text) > _MAX_QUERY:
        raise BadQuery("the query is too long", expected=f"at most {_MAX_QUERY} characters")
    return _struct_of(_pairs(text, "query"), kind)


def _struct_of(pairs: list[tuple[str, str]], kind: type[S]) -> S:
    fields = _integers(kind)
    values: dict[str, object] = {}
    for name, value in pairs:
        if name not in fields:
            near = nearest(name, fields)
            hint = f"; did you mean {near}?" if near else f": there are {joined(sorted(fields), 'and')}"
            message = f"there is no parameter {quoted(name[:40])} here{hint}"
            raise BadQuery(message, expected=sorted(fields), field=name[:40])
        if name in values:
            raise BadQuery(f"{name} stands twice", field=name)
        values[name] = int(value) if fields[name] and _INTEGER.fullmatch(value) else value
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError:
        problem = explain(kind, values)
        if problem is None:
            raise BadField("the query is not what this call takes: GET /docs lists its parameters", field="") from None
        raise _bad_field(replace(problem, expected=problem.expected.removesuffix(" or null"))) from None


def _pairs(text: str, what: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=16, errors="strict")
    except ValueError:
        raise BadQuery(f"the {what} is no list of name=value in UTF-8") from None
