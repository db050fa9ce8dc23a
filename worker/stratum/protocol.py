"""Stratum v1's messages (one JSON object a line), its error codes, and its measure of difficulty. No state.

Sources: the protocol as slush's pool published it, BIP 310 (mining.configure), JSON-RPC 1.0.
"""

from __future__ import annotations

import re
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
"""Bytes of a line; miners send a few hundred."""
_MAX_ID: Final = 64
"""Characters of a request's id that is text."""

DIFFICULTY_1: Final = 0xFFFF << 208
"""The target of difficulty 1: Bitcoin's first, and every miner's."""
HASHES_OF_1: Final = 2**256 // (DIFFICULTY_1 + 1)
"""Hashes that a share of difficulty 1 stands for."""
MIN_DIFFICULTY: Final = 2.0**-32
"""Below it a target would not fit 256 bits."""
MAX_DIFFICULTY: Final = 1e15
"""Above that of Bitcoin itself (1.5e14 in 2025)."""

_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")
_DIFFICULTY: Final = re.compile(r"[/+]([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+)(?=[/+._]|$)")
"""A difficulty in a user name; it ends before a rig's name, another difficulty or the end."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class StratumError(Exception):
    """A request is refused. The protocol writes it as `[code, message, null]`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A message from a miner that asks for something."""

    id: int | str | None
    """None: a notification, which is carried out and never answered (JSON-RPC)."""
    method: str
    params: list[Any]


def parse(line: bytes) -> Request | None:
    """The request in a line; None for the miner's answer to a message of ours. Raises StratumError."""
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
    """The id as it can be sent back. Raises StratumError."""
    if given is None or (isinstance(given, str) and len(given) <= _MAX_ID):
        return given
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 2**63:
        return given
    raise StratumError(OTHER, f"an id is a whole number of 64 bits, or a text of at most {_MAX_ID} characters")


def success(request_id: int | str | None, result: Any) -> bytes:
    """The line that answers a request."""
    return _line({"id": request_id, "result": result, "error": None})


def failure(request_id: int | str | None, error: StratumError) -> bytes:
    """The line that refuses a request."""
    return _line({"id": request_id, "result": None, "error": [error.code, error.message, None]})


def notification(method: str, params: list[Any]) -> bytes:
    """The line of a message that wants no answer."""
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
    if isinstance(text, str) and len(text) == 2 * size and _HEX_DIGITS.issuperset(text):
        return bytes.fromhex(text)
    raise StratumError(OTHER, f"{what} has {2 * size} hex digits")


def hex_number(text: Any, size: int, what: str) -> int:
    """`text` as a number of at most `size` bytes. Miners leave out zeros in front. Raises StratumError."""
    if isinstance(text, str) and 0 < len(text) <= 2 * size and _HEX_DIGITS.issuperset(text):
        return int(text, 16)
    raise StratumError(OTHER, f"{what} has 1 to {2 * size} hex digits")


def checked_difficulty(given: Any) -> float:
    """A difficulty that a miner asks for. Raises StratumError."""
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= MAX_DIFFICULTY:
        return max(MIN_DIFFICULTY, float(given))
    raise StratumError(OTHER, "a difficulty is a number above 0")


def split_user(user: str) -> tuple[str, float | None]:
    """Split a user name: the payee, a rig's name or not, and the difficulty behind `/` or `+`. Raises StratumError.

    The forms are those of p2pool, where `NAME/SHARE+PSEUDOSHARE` has two: the last one is that of what miners send. A
    firmware adds its rig's name at the very end: `NAME+0.5.rig`.
    """
    numbers: list[str] = _DIFFICULTY.findall(user)
    who = _DIFFICULTY.sub("", user)
    if "/" in who or "+" in who:
        raise StratumError(UNAUTHORIZED, "behind / or + stands a difficulty, as in NAME/0.5")
    return who, [checked_difficulty(float(number)) for number in numbers][-1] if numbers else None
