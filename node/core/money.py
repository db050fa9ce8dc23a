"""Amounts between people's decimal text and base units. No float anywhere."""

from __future__ import annotations

import re

from .errors import BadAmount
from .types import MAX_MONEY

_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", re.ASCII)
_LONGEST = 40


def parse_amount(text: str, decimals: int) -> int:
    """Base units of a decimal string in coins. Raises BadAmount when it is no number, too fine or too large."""
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        raise BadAmount(
            'an amount is digits with at most one point, such as "12.5"',
            expected=f"digits, at most {decimals} after the point",
            found=text[:_LONGEST],
        )
    whole, _, fraction = text.partition(".")
    if len(fraction.rstrip("0")) > decimals:
        raise BadAmount(
            f"this coin has {decimals} decimals: the amount is finer than that",
            expected=f"at most {decimals} digits after the point",
            found=text,
        )
    units = int((whole or "0") + fraction[:decimals].ljust(decimals, "0"))
    if units > MAX_MONEY:
        raise BadAmount(
            "the amount is more than any coin can hold", expected=f"at most {MAX_MONEY} base units", found=text
        )
    return units


def format_amount(units: int, decimals: int) -> str:
    """Coins as a decimal string without needless zeros: 1250000 at 6 decimals is `1.25`."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, 10**decimals)
    text = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"
