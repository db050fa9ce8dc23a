"""What a vertex and an edge may ask for: one reader a word, and what is said of a word or a value that is wrong.

Values come as text (`"0.1"`, `"yes"`) or as what JSON has; null is the same as no attribute.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ...core.errors import MoneyerError
from ...system.words import joined, nearest, told
from .graph import Place

MAX_LATENCY_MS: Final = 60_000
"""A minute: no request of a node waits longer for its answer."""
MAX_RATE: Final = 10**12
MAX_HASHES: Final = 10.0**15

_DECIMAL: Final = re.compile(r"[+-]?([0-9]{1,40}([.][0-9]{0,40})?|[.][0-9]{1,40})([eE][+-]?[0-9]{1,4})?", re.ASCII)
_RATE_OF_HASHES: Final = re.compile(r"(\S+?)\s*(|k|M|G|T)H/s", re.IGNORECASE)
_TIMES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_YES: Final = frozenset({"true", "yes", "1"})
_NO: Final = frozenset({"false", "no", "0"})


class Value(NamedTuple):
    """A value as it stands in a file."""

    value: Any
    line: int | None = None


Attributes = Mapping[str, Value]
"""By their names, as they stand in a file."""


class Hashes(float):
    """A rate of hashes in hashes a second, where it was written `2 kH/s`."""


class _Unfit(ValueError):
    """A value does not fit; the argument says what would."""


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in _YES or word in _NO:
        return word in _YES
    raise _Unfit("true or false")


def _number(value: Any, low: float, high: float, may_be: str, *, below: bool = False) -> float:
    """A finite number from `low` to `high`; `below`: it must be less than `high`."""
    number = math.nan
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        number = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) <= high else math.inf
    if low <= number <= high and not (below and number == high):
        return number
    raise _Unfit(may_be)


def _latency(value: Any) -> float:
    return _number(value, 0, MAX_LATENCY_MS, f"milliseconds from 0 to {MAX_LATENCY_MS:,}")


def _loss(value: Any) -> float:
    return _number(value, 0, 1, "a share from 0 up, below 1 (0.1 is a tenth)", below=True)


def _rate(value: Any) -> int:
    may_be = f"whole bytes a second from 1 to {MAX_RATE:,}"
    number = _number(value, 1, MAX_RATE, may_be)
    if not number.is_integer():
        raise _Unfit(may_be)
    return int(number)


def _hashrate(value: Any) -> float:
    found = _RATE_OF_HASHES.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        return Hashes(_hashes(found[1]) * _TIMES[found[2].lower()])
    return _number(value, 0, MAX_HASHES, 'a share of the work from 0 up, or hashes a second as "2 kH/s"')


def _hashes(value: Any) -> float:
    return _number(value, 0, MAX_HASHES, "hashes a second from 0 up")


def _mode(value: Any) -> str:
    from ...store.mining import MODES, BadMode, parse_mode

    try:
        return str(parse_mode(value if isinstance(value, str) else "")).replace(" ", ":")
    except BadMode:
        raise _Unfit(MODES) from None


def _name(value: Any) -> str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise _Unfit("text")


OF_NODES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "name": _name,
    "miner": _flag,
    "hashrate": _hashrate,
    "hashes": _hashes,
    "mode": _mode,
    "manual": _flag,
}
OF_EDGES: Final[Mapping[str, Callable[[Any], Any]]] = {"latency_ms": _latency, "loss": _loss, "rate": _rate}

_SYNONYMS: Final = {
    "latency": "latency_ms",
    "delay": "latency_ms",
    "delay_ms": "latency_ms",
    "ping": "latency_ms",
    "drop": "loss",
    "packet_loss": "loss",
    "bandwidth": "rate",
    "bytes": "rate",
    "speed": "rate",
    "mine": "miner",
    "mines": "miner",
    "mining": "miner",
    "is_miner": "miner",
    "share": "hashrate",
    "power": "hashrate",
    "hash_power": "hashrate",
    "hps": "hashes",
}
_DRAWING: Final = frozenset(
    [
        "id",
        "key",
        "networkx_key",
        "label",
        "color",
        "colour",
        "fillcolor",
        "fontcolor",
        "fontname",
        "fontsize",
        "style",
        "shape",
        "pos",
        "x",
        "y",
        "z",
        "size",
        "width",
        "height",
        "weight",
        "penwidth",
        "len",
        "tooltip",
        "comment",
        "description",
        "url",
    ]
)
"""What programs that draw graphs write of their own: passed over."""


def read(attributes: Attributes, known: Mapping[str, Callable[[Any], Any]], place: Place) -> dict[str, Any]:
    """The attributes with their values read. Raises BadGraph naming line, word and what would fit."""
    found: dict[str, Any] = {}
    for word, (value, line) in attributes.items():
        here = place.at(place.line if line is None else line, place.name)
        reader = known.get(word)
        if reader is None:
            if word.lower() in _DRAWING:
                continue
            near = nearest(word, known, _SYNONYMS)
            hint = f"did you mean {near}?" if near else f"it may have {joined(known, 'and')}"
            raise here.refuse(f"there is no attribute {told(word)}: {hint}")
        if value is None:
            continue
        try:
            found[word] = reader(value)
        except _Unfit as unfit:
            raise here.refuse(f"{word} must be {unfit}, not {told(value)}") from None
        except MoneyerError as error:
            raise here.refuse(error.message) from None
    return found
