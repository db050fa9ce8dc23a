"""Amounts as people type them into a page: what is wrong with them, in a sentence."""

from __future__ import annotations

from ...core.coin import Coin, format_amount, parse_amount
from ...core.errors import BadAmount

_MINUS = "-\N{MINUS SIGN}\N{EN DASH}"


def amount_of(text: str, coin: Coin) -> tuple[int, str | None]:
    """Base units of an amount in coins that is above 0, and None; or 0, and what is wrong with it."""
    text = text.strip().removesuffix(coin.symbol).strip()
    if not text:
        return 0, "give an amount"
    if text[0] in _MINUS:
        return 0, "the amount is below 0: who gets coins sends none"
    if "," in text:
        return 0, "write the amount without a comma: a point stands before the decimals, as in 1000.5"
    try:
        units = parse_amount(text, coin.decimals)
    except BadAmount as error:
        return 0, error.message
    if not units:
        least = format_amount(1, coin.decimals)
        return 0, f"the amount is 0: there is nothing to send ({least} {coin.symbol} is the least)"
    return units, None
