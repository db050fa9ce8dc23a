"""From bytes that anybody may have sent to values that a handler can trust. Nothing is parsed before it is bounded."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from node.api.errors import (
    BadEncoding,
    BadField,
    BadJson,
    BadQuery,
    Incomplete,
    NoBody,
    TooLarge,
    WrongType,
)

S = TypeVar("S", bound=msgspec.Struct)
Environ = dict[str, Any]

_CHUNK = 65_536
_MAX_QUERY = 2_000
_INTEGER = re.compile(r"[0-9]{1,16}", re.ASCII)
_NAMED = re.compile(r"field `(\w+)`|at `\$\.?([^`]+)`$")
_NUMBERS_THAT_ARE_NONE = ("NaN", "Infinity", "-Infinity")
_SHOWN = 80
_MAX_PROBLEM = 200
"""Characters of somebody's text that an error repeats."""


def read_body(environ: Environ, limit: int, oversize: type[TooLarge] = TooLarge) -> bytes:
    """The whole body, at most `limit` bytes; no more than one over that is ever read. Raises TooLarge, Incomplete."""
    declared = _declared(environ)
    if declared is not None and declared > limit:
        raise _too_large(limit, oversize)
    stream, parts, size = environ["wsgi.input"], [], 0
    while size <= limit:
        part = stream.read(min(_CHUNK, limit + 1 - size))
        if not part:
            break
        parts.append(part)
        size += len(part)
    if size > limit:
        raise _too_large(limit, oversize)
    if declared is not None and declared != size:
        raise Incomplete("the body ended before its Content-Length", expected=declared, found=size)
    return b"".join(parts)


def is_declared(environ: Environ) -> bool:
    """Whether the body's length is known beforehand."""
    return _declared(environ) is not None


def _declared(environ: Environ) -> int | None:
    """The Content-Length, where there is one. What has over 20 digits is a number as large as they are."""
    digits = environ.get("CONTENT_LENGTH") or ""
    if not digits.isascii() or not digits.isdigit():
        return None
    return int(digits.lstrip("0")[:20] or "0")  # Python refuses to read thousands of digits, zeros too


def _too_large(limit: int, oversize: type[TooLarge]) -> TooLarge:
    return oversize(f"the body is over {limit} bytes", expected=f"at most {limit}")


def check_type(environ: Environ, expected: str) -> None:
    """Raises WrongType unless the body is said to be `expected`, and not compressed."""
    coding = environ.get("HTTP_CONTENT_ENCODING") or ""
    if coding.strip().lower() not in ("", "identity"):
        raise WrongType("send the body as it is, without Content-Encoding", expected="identity", found=coding[:80])
    given = environ.get("CONTENT_TYPE") or ""
    kind, _, parameters = given.partition(";")
    charset = re.search(r"charset=\"?([\w-]+)", parameters, re.IGNORECASE)
    if kind.strip().lower() != expected or (charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii")):
        raise WrongType(f"send the header Content-Type: {expected}", expected=expected, found=given[:80])


def read_binary(environ: Environ, limit: int, oversize: type[TooLarge] = TooLarge) -> bytes:
    """A body of bytes, as it is. Raises NoBody, WrongType, TooLarge."""
    raw = read_body(environ, limit, oversize)
    if raw:
        check_type(environ, "application/octet-stream")
    return raw


def read_json(environ: Environ, kind: type[S], limit: int) -> S:
    """A JSON body as the struct `kind`. Raises NoBody, WrongType, TooLarge, BadEncoding, BadJson, BadField."""
    raw = read_body(environ, limit)
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
        value = msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise _bad_field(str(error)) from None
    except RecursionError:
        raise BadJson("the body is nested too deep") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        _find_impossible_number(text)
        raise BadJson(f"the body is not JSON: {error}") from None
    _check_each_key_once(text, kind)
    return value


def _check_each_key_once(text: str, kind: type[msgspec.Struct]) -> None:
    """Raises BadJson where a key stands twice: who signed, proxied or logged the request may have read the other."""
    # Nearly every body is done with here. A key may be written with escapes, and a text may hold what looks like one.
    if "\\u" not in text and all(text.count(f'"{field}"') < 2 for field in _integers(kind)):
        return

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadJson(f"the key {_printable(name)!r} stands twice", field=_printable(name))
            seen.add(name)

    try:
        json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise BadJson("the body is no JSON that every reader takes for the same") from None


def _printable(text: str) -> str:
    """Somebody's text, short and fit for an answer: JSON lets half of a surrogate pair stand, UTF-8 does not."""
    return text[:_SHOWN].encode("utf-8", "replace").decode()


def _bad_field(problem: str) -> BadField:
    named = _NAMED.search(problem)
    field = next((group for group in named.groups() if group), "") if named else ""
    field, plain = field[:_SHOWN], problem.partition(" - at")[0][:_MAX_PROBLEM]
    return BadField(f"{field}: {plain}" if field else plain, field=field, expected=plain)


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
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - the parameter's type says so

    def whole(held: msgspec.inspect.Type) -> bool:
        if isinstance(held, msgspec.inspect.UnionType):
            return any(whole(each) for each in held.types)
        return isinstance(held, msgspec.inspect.IntType)

    return {field.encode_name: whole(field.type) for field in info.fields}


def read_query(text: str, kind: type[S]) -> S:
    """A query string as the struct `kind`. Raises BadQuery, BadField."""
    fields = _integers(kind)
    values: dict[str, Any] = {}
    for name, value in _pairs(text):
        if name not in fields:
            raise BadQuery(f"there is no parameter {name[:40]!r} here", expected=sorted(fields), field=name[:40])
        if name in values:
            raise BadQuery(f"{name} stands twice", field=name)
        if fields[name]:
            if not _INTEGER.fullmatch(value):
                raise BadField(f"{name} must be a whole number", field=name, expected="digits", found=value[:40])
            values[name] = int(value)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise _bad_field(str(error)) from None


def _pairs(text: str) -> list[tuple[str, str]]:
    if len(text) > _MAX_QUERY:
        raise BadQuery("the query is too long", expected=f"at most {_MAX_QUERY} characters")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=16, errors="strict")
    except ValueError:
        raise BadQuery("the query is no list of name=value in UTF-8") from None
