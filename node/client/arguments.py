"""Checks the arguments of a client's calls: a wrong one is a BadArgument with a sentence, whatever its type."""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import Any

from ..core import codec
from ..core.coin import Coin, format_amount, parse_amount
from ..core.errors import BadAmount
from ..core.signing import is_payable, payload_of
from ..core.types import HASH_SIZE, MAX_MONEY, PAYLOAD_SIZE, SIGNATURE_SIZE, Envelope, Spend, Transfer
from .errors import BadArgument

_MOST_SECONDS = 1e9
"""Some thirty years: more overflows in time-outs."""
_PATH = re.compile(r"/[!-~]*")


def units(amount: object, decimals: int, name: str = "amount") -> int:
    """Base units of an amount: text or Decimal in coins (`"2.5"`), or a whole number of base units (2_500_000).

    Raises BadAmount; of a float too, which can't hold most decimal amounts.
    """
    if isinstance(amount, float):
        raise BadAmount(
            f'{name}: a float is not exact: write coins as text, "2.5", or as Decimal("2.5")', field=name, found="float"
        )
    if isinstance(amount, Decimal) and amount.is_finite() and abs(amount.adjusted()) < 40:
        amount = f"{amount:f}"
    if isinstance(amount, str):
        return parse_amount(amount, decimals)
    if isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= MAX_MONEY:
        return amount
    raise BadAmount(
        f'{name} is coins as text, "2.5", or as Decimal("2.5"), or whole base units from 0 to {MAX_MONEY}',
        field=name,
        found=_kind(amount),
    )


def coins(amount: int, decimals: int) -> Decimal:
    """Base units as coins: exact, and what `units` takes."""
    return Decimal(format_amount(whole(amount, "amount", -MAX_MONEY, MAX_MONEY), decimals))


def text(value: object, name: str, longest: int = 1_000) -> str:
    """Raises BadArgument for what is no text, or longer, or can't be sent."""
    if not isinstance(value, str) or len(value) > longest:
        raise _bad(name, f"text of at most {longest} characters", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _bad(name, "text without half surrogate pairs", value) from None
    return value


def token(value: object) -> str | None:
    """A token that can stand in a header; None where none is given."""
    if value is None or (isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value):
        return value or None
    raise _bad("token", "the line of the file DATA/api.token, as text", value)


def event_id(value: object) -> str:
    """An event's id, as a node gave it."""
    if isinstance(value, str) and len(value) <= 100 and value.isascii() and value.isprintable():
        return value
    raise _bad("last_event_id", "an event's id, as `Event.id` has it", value)


def path(value: object) -> str:
    """The path of a call, with its query."""
    if isinstance(value, str) and _PATH.fullmatch(value):
        return value
    raise _bad("path", "text such as /v1/status, with %… for other characters than ASCII", value)


def whole(value: object, name: str, low: int, high: int) -> int:
    """A whole number within bounds; True is none."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise _bad(name, f"a whole number from {low} to {high}", value)


def most(value: object) -> int | None:
    """How many of a list are wanted; None for all."""
    return None if value is None else whole(value, "limit", 0, 2**63)


def seconds(value: object, name: str) -> float:
    """Seconds, 0 or more."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS:
        return float(value)
    raise _bad(name, "seconds, 0 or more", value)


def secret(value: object) -> bytes:
    """The 32 bytes of a secret key. The error never shows them."""
    if isinstance(value, bytes) and len(value) == 32:
        try:
            payload_of(value)
            return value
        except ValueError:
            pass
    raise BadArgument("secret is the 32 bytes of a key, as `moneyer wallet export NAME` shows them", field="secret")


def receiver(value: object, coin: Coin) -> bytes:
    """The payload of an address, or a payload as it is. Raises BadAddress, BadArgument."""
    if isinstance(value, str):
        value = coin.payload(value)
    if isinstance(value, bytes) and is_payable(value):
        return value
    raise _bad("receiver", f"an address as text, or the {PAYLOAD_SIZE} bytes of its payload", value)


def asset(value: object) -> bytes:
    """The 32 bytes of an asset's id."""
    if isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value, re.ASCII):
        return bytes.fromhex(value)
    raise _bad("asset", "an asset's id, 64 hex digits", value)


def digest(value: object) -> bytes:
    """A SHA-256."""
    if isinstance(value, bytes) and len(value) == HASH_SIZE:
        return value
    raise _bad("content", f"the {HASH_SIZE} bytes of a SHA-256", value)


def size_of(unsigned: Spend) -> int:
    """Bytes of a spend of a key once it is signed."""
    if isinstance(unsigned, Transfer):
        return codec.transaction_size(unsigned)
    return codec.transaction_size(unsigned) + SIGNATURE_SIZE


def encoded(spend: object) -> bytes:
    """The bytes of a signed transfer."""
    try:
        if isinstance(spend, Transfer | Envelope):
            return codec.encode_transaction(spend)  # type: ignore[arg-type] # an envelope is one of its four kinds
    except (struct.error, TypeError, ValueError, AttributeError, OverflowError):
        pass
    raise _bad("transfer", "a signed Transfer, as `Sent.transfer` has it", spend)


def _bad(name: str, expected: str, found: object) -> BadArgument:
    return BadArgument(f"{name} is {expected}; here it is {_kind(found)}", field=name, expected=expected)


def _kind(value: Any) -> str:
    """What a value is, in words; never a value itself, which may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, float):
        return "a float" if math.isfinite(value) else "no number"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, str | bytes):
        return f"{'text' if isinstance(value, str) else 'bytes'} of length {len(value)}"
    return f"of the kind {type(value).__name__}"
