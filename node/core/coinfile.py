"""`coin.toml` and `GET /v1/coin` -> Coin, every field checked; and back to a commented file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from . import codec, pow
from .coin import Coin, format_amount, parse_amount
from .errors import BadAddress, BadAmount, BadBits, BadCoin, quoted
from .types import LATEST_RULES, MAX_MONEY

MAX_COIN_BYTES = 4_000_000
"""A larger file is refused before it is parsed. Room for the premine rows that a genesis of 1 MB holds."""

_LATEST_GENESIS = 2**32 - 2
"""A header holds seconds up to 2**32 - 1, and block 1 must be later than genesis."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MISSING: Any = object()
_SHOWN = 60  # characters of a refused value that an error repeats


def _shown(value: Any) -> str:
    """A refused value for a person: short, printable, and never itself an error."""
    if isinstance(value, str):
        return quoted(value[:_SHOWN])
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, int) and value.bit_length() > 64:  # Python refuses to print those of thousands of digits
        return "a number beyond 64 bits"
    return str(value)[:_SHOWN]


def _refuse(field: str, expected: str, found: Any) -> BadCoin:
    if found is _MISSING:
        return BadCoin(f"coin: {field} is missing; it must be {expected}", field=field, expected=expected)
    shown = _shown(found)
    return BadCoin(f"coin: {field} must be {expected}, not {shown}", field=field, expected=expected, found=shown)


def _whole(value: Any, field: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _refuse(field, f"a whole number from {low} to {high}", value)
    return value


def _flag(value: Any, field: str) -> bool:
    if type(value) is not bool:
        raise _refuse(field, "true or false", value)
    return value


def _text(value: Any, field: str, pattern: str, expected: str) -> str:
    if type(value) is not str or not re.fullmatch(pattern, value, re.ASCII | re.DOTALL):
        raise _refuse(field, expected, value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refuse(field, "Unicode text without lone surrogates", value) from None
    return value


def _message(value: Any) -> str:
    expected = "text of at most 100 bytes of UTF-8"
    message = _text(value, "message", ".*", expected)
    if len(message.encode()) > 100:
        raise _refuse("message", expected, message)
    return message


def _pow_limit(value: Any) -> int:
    text = _text(value, "pow_limit", "[0-9a-fA-F]{8}", '8 hex digits in quotes, such as "1f00ffff"')
    bits = int(text, 16)
    try:
        target = pow.decode_bits(bits)
    except BadBits:
        raise _refuse("pow_limit", "compact bits of a target between 1 and 2^256-1", text) from None
    if pow.encode_bits(target) != bits:
        raise _refuse("pow_limit", f'compact bits in their shortest form, here "{pow.encode_bits(target):08x}"', text)
    return bits


class _Toml:
    """How `coin.toml` spells what JSON spells otherwise."""

    @staticmethod
    def amount(value: Any, field: str, decimals: int) -> int:
        expected = f'a decimal string in coins with at most {decimals} decimals, such as "10"'
        if type(value) is not str:
            raise _refuse(field, expected, value)
        try:
            return parse_amount(value, decimals)
        except BadAmount as error:
            raise _refuse(field, f"{expected} ({error.message})", value) from None

    @staticmethod
    def timestamp(value: Any) -> int:
        expected = f"Unix seconds from 0 to {_LATEST_GENESIS}, or a date-time with offset and whole seconds"
        if isinstance(value, datetime) and value.tzinfo is not None and not value.microsecond:
            seconds = (value - _EPOCH) // timedelta(seconds=1)
        elif type(value) is int:
            seconds = value
        else:
            raise _refuse("timestamp", expected, value)
        if not 0 <= seconds <= _LATEST_GENESIS:
            raise _refuse("timestamp", expected, value)
        return seconds

    @staticmethod
    def premine_row(row: Any, field: str) -> tuple[Any, Any]:
        if not isinstance(row, Mapping):
            raise _refuse(field, "a [[premine]] table with address and amount", row)
        for name in row:
            if name not in ("address", "amount"):
                raise _unknown(f"{field}.{name}", ["address", "amount"])
        return row.get("address", _MISSING), row.get("amount", _MISSING)


class _Json:
    """How `coin_digest` and `GET /v1/coin` spell a coin."""

    @staticmethod
    def amount(value: Any, field: str, decimals: int) -> int:
        return _whole(value, field, 0, MAX_MONEY)

    @staticmethod
    def timestamp(value: Any) -> int:
        return _whole(value, "timestamp", 0, _LATEST_GENESIS)

    @staticmethod
    def premine_row(row: Any, field: str) -> tuple[Any, Any]:
        if not isinstance(row, list | tuple) or len(row) != 2:
            raise _refuse(field, "a pair of address and amount", row)
        return row[0], row[1]


def _unknown(field: str, known: list[str]) -> BadCoin:
    field = field[:_SHOWN].encode("ascii", "backslashreplace").decode()
    return BadCoin(
        f"coin: {quoted(field)} is no field of a coin; there are {', '.join(known)}", field=field, expected=known
    )


def _build(fields: Mapping[str, Any], spelling: type[_Toml] | type[_Json]) -> Coin:
    known = list(Coin.__dataclass_fields__)
    for name in fields:
        if name not in known:
            raise _unknown(str(name), known)

    def get(name: str, default: Any = _MISSING) -> Any:
        return fields.get(name, default)

    decimals = _whole(get("decimals"), "decimals", 0, 8)
    retarget = _flag(get("retarget", True), "retarget")
    block_time = _whole(get("block_time"), "block_time", 2 if retarget else 1, 86400)
    latest = min(7200, 6 * block_time) if retarget else 7200
    coin = Coin(
        name=_text(get("name"), "name", ".{1,64}", "text of 1 to 64 characters"),
        symbol=_text(get("symbol"), "symbol", "[A-Z0-9]{1,12}", "1 to 12 of A-Z and 0-9"),
        hrp=_text(get("hrp"), "hrp", "[a-z]{1,16}", "1 to 16 letters a-z"),
        decimals=decimals,
        timestamp=spelling.timestamp(get("timestamp")),
        block_time=block_time,
        pow_limit=_pow_limit(get("pow_limit")),
        reward=spelling.amount(get("reward"), "reward", decimals),
        message=_message(get("message", "")),
        retarget=retarget,
        difficulty_window=_whole(get("difficulty_window", 45), "difficulty_window", 3, 1000),
        max_block_bytes=_whole(get("max_block_bytes", 1_000_000), "max_block_bytes", 10_000, 32_000_000),
        clock_tolerance=_whole(get("clock_tolerance", min(60, 6 * block_time)), "clock_tolerance", 1, latest),
        halving_interval=_whole(get("halving_interval", 0), "halving_interval", 0, 2**32 - 1),
        max_supply=spelling.amount(get("max_supply"), "max_supply", decimals) if "max_supply" in fields else MAX_MONEY,
        premine=_premine(get("premine", ()), decimals, spelling),
        rules=_whole(get("rules", 1), "rules", 1, LATEST_RULES),
    )
    _check_premine(coin)
    return coin


def _premine(rows: Any, decimals: int, spelling: type[_Toml] | type[_Json]) -> tuple[tuple[str, int], ...]:
    if not isinstance(rows, list | tuple):
        raise _refuse("premine", "rows of address and amount", rows)
    premine = []
    for number, row in enumerate(rows):
        address, amount = spelling.premine_row(row, f"premine[{number}]")
        if type(address) is not str:
            raise _refuse(f"premine[{number}].address", "an address of this coin, as text", address)
        units = spelling.amount(amount, f"premine[{number}].amount", decimals)
        if units < 1:
            raise _refuse(f"premine[{number}].amount", "at least 1 base unit", amount)
        premine.append((address, units))
    return tuple(premine)


def _check_premine(coin: Coin) -> None:
    seen = set()
    for number, (address, _) in enumerate(coin.premine):
        field = f"premine[{number}].address"
        try:
            coin.payload(address)
        except BadAddress as error:
            raise _refuse(field, f"an address of this coin ({error.message})", address) from None
        if address != address.lower():
            raise _refuse(field, "in lower case", address)
        if address in seen:
            raise _refuse(field, "an address that no row before it has", address)
        seen.add(address)
    if coin.premine_sum > coin.max_supply:
        raise _refuse("premine", f"at most max_supply in sum ({coin.max_supply} base units)", coin.premine_sum)
    size = len(codec.encode_block(coin.genesis))
    if size > coin.max_block_bytes:
        raise _refuse("premine", f"small enough for a genesis block of {coin.max_block_bytes} bytes", size)


def coin_from_toml(text: str) -> Coin:
    """The coin that a `coin.toml` describes. Raises BadCoin naming the field and what it may be."""
    if len(text) > MAX_COIN_BYTES:
        raise BadCoin(f"coin: the file is over {MAX_COIN_BYTES} bytes")
    try:
        fields = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a plain ValueError, for a number of thousands of digits
        raise BadCoin(f"coin: this is no TOML: {_place(str(error))}") from None
    return _build(fields, _Toml)


def _place(said: str) -> str:
    """Where a TOML file can't be read, from what the library says of it."""
    place = re.search(r"at line (\d+), column (\d+)", said)
    where = f"line {place[1]}, column {place[2]}" if place else "something at its end, or a number in it,"
    return f'{where} can\'t be read (a line looks like: name = "Beach Coin", or: decimals = 6)'


def coin_from_json(fields: Any) -> Coin:
    """The coin that a `GET /v1/coin` answer describes (amounts in base units). Raises BadCoin."""
    if not isinstance(fields, Mapping):
        raise BadCoin("coin: a JSON object is wanted")
    return _build(fields, _Json)


def coin_to_toml(coin: Coin) -> str:
    """A commented `coin.toml` that reads back as the same coin."""

    def quoted(text: str) -> str:
        # JSON's escapes are TOML's, once it is not asked to split astral characters; TOML also escapes DEL.
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

    def coins(units: int) -> str:
        return quoted(format_amount(units, coin.decimals))

    def about(line: str, comment: str) -> str:
        return f"{line:<30}  # {comment}"

    lines = [
        "# A Moneyer coin. Every field is part of the coin: change one, and it is another coin.",
        f"name = {quoted(coin.name)}",
        f"symbol = {quoted(coin.symbol)}",
        about(f"hrp = {quoted(coin.hrp)}", "every address begins with this and a 1"),
        f"decimals = {coin.decimals}",
        f"message = {quoted(coin.message)}",
        about(f"timestamp = {coin.timestamp}", "genesis, Unix seconds"),
        about(f"block_time = {coin.block_time}", "seconds wanted between blocks"),
        about(f"retarget = {str(coin.retarget).lower()}", "false: the difficulty never moves (development)"),
        about(f"difficulty_window = {coin.difficulty_window}", "solve times that the retarget looks back on"),
        about(f'pow_limit = "{coin.pow_limit:08x}"', "the easiest work allowed, compact bits"),
        f"max_block_bytes = {coin.max_block_bytes}",
        about(f"clock_tolerance = {coin.clock_tolerance}", "seconds a block may be ahead of the clock"),
        about(f"reward = {coins(coin.reward)}", "coins that the first block mints"),
        about(f"halving_interval = {coin.halving_interval}", "blocks between halvings of the reward, 0: never"),
        f"max_supply = {coins(coin.max_supply)}",
    ]
    if coin.rules != 1:  # an older node refuses a field that it does not know, and can run coins of rules 1
        lines.append(about(f"rules = {coin.rules}", "2: assets and contracts"))
    for address, amount in coin.premine:
        lines += ["", "[[premine]]", f"address = {quoted(address)}", f"amount = {coins(amount)}"]
    return "\n".join(lines) + "\n"
