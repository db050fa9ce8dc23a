"""Stratum's words: one JSON object a line, its numbers for what went wrong, and its measure of difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

OTHER: Final = 20
JOB_NOT_FOUND: Final = 21
DUPLICATE: Final = 22
LOW_DIFFICULTY: Final = 23
UNAUTHORIZED: Final = 24
NOT_SUBSCRIBED: Final = 25

MAX_LINE: Final = 8_192
"""Bytes of a line; what miners send is far below."""
_MAX_ID: Final = 64

DIFFICULTY_1: Final = 0xFFFF << 208
"""The target of difficulty 1, as every miner has it."""
HASHES_OF_1: Final = 2**256 // (DIFFICULTY_1 + 1)
"""Hashes that a share of difficulty 1 stands for."""
MIN_DIFFICULTY: Final = 2.0**-32
"""Below it a target would not fit 256 bits."""
MAX_DIFFICULTY: Final = 1e15

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class StratumError(Exception):
    """An error as the protocol tells it: `[code, message, null]`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    id: int | str | None
    method: str
    params: list[Any]


def parse(line: bytes) -> Request | None:
    """The request in a line; None for an answer to something that was asked of the miner. Raises StratumError."""
    try:
        said = _decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise StratumError(OTHER, "this line is no JSON") from None
    if not isinstance(said, dict):
        raise StratumError(OTHER, "a message is a JSON object")
    if "method" not in said and ("result" in said or "error" in said):
        return None
    method, params = said.get("method"), said.get("params", [])
    if not isinstance(method, str):
        raise StratumError(OTHER, "a message has a method")
    return Request(_id(said.get("id")), method, params if isinstance(params, list) else [None])


def _id(given: Any) -> int | str | None:
    """The id as it can be sent back."""
    if isinstance(given, str) and len(given) <= _MAX_ID:
        return given
    return given if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 2**63 else None


def success(request_id: int | str | None, result: Any) -> bytes:
    return _line({"id": request_id, "result": result, "error": None})


def failure(request_id: int | str | None, error: StratumError) -> bytes:
    return _line({"id": request_id, "result": None, "error": [error.code, error.message, None]})


def notification(method: str, params: list[Any]) -> bytes:
    return _line({"id": None, "method": method, "params": params})


def _line(message: dict[str, Any]) -> bytes:
    return _encode(message) + b"\n"


def target_of(difficulty: float) -> int:
    """The target of a share of `difficulty` (from MIN_DIFFICULTY on)."""
    return min(int(DIFFICULTY_1 / difficulty), 2**256 - 1)


def difficulty_of(target: int) -> float:
    """Stratum's difficulty, which is not the coin's: 1 is Bitcoin's first target."""
    return DIFFICULTY_1 / target


def hex_bytes(text: Any, size: int, what: str) -> bytes:
    """`text` as exactly `size` bytes. Raises StratumError."""
    if isinstance(text, str) and len(text) == 2 * size and text.isascii() and text.isalnum():
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    raise StratumError(OTHER, f"{what} has {2 * size} hex digits")
