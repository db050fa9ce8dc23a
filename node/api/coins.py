"""Amounts in coins as exact JSON numbers: the digits that were sent are read, and the digits are written; no float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Raw

from node.api.errors import BadField
from node.core.errors import BadAmount
from node.core.money import format_amount, parse_amount
from node.text import shown

Coins = Annotated[Raw, Meta(extra_json_schema={"type": "number", "minimum": 0, "description": "coins"})]

_LONGEST: Final = 40
_NUMBER: Final = re.compile(rb"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")


def write_coins(units: int, decimals: int) -> Raw:
    """Base units as a JSON number of coins."""
    return Raw(format_amount(units, decimals).encode())


def read_coins(number: Raw, field: str, decimals: int) -> int:
    """Base units of a JSON number of coins. Raises BadField."""
    raw = bytes(memoryview(number))
    if len(raw) > _LONGEST or not _NUMBER.fullmatch(raw):
        found = raw[:_LONGEST].decode("utf-8", "replace")
        quotes = ", without quotes" if raw.startswith(b'"') else ""
        raise BadField(
            f"{field} must be a number of coins such as 12.5{quotes}, not {shown(found)}",
            field=field,
            expected="a number from 0 up",
            found=found,
        )
    text = f"{Decimal(raw.decode()):f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    try:
        return parse_amount(
            f"{whole.lstrip('0') or '0'}.{fraction}" if fraction else whole.lstrip("0") or "0", decimals
        )
    except BadAmount as error:
        raise BadField(f"{field}: {error.message}", field=field, **error.details) from None
