"""The questions of `moneyer new`: each answer is checked where it is given, and asked again until it is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from node.net.newcoin import Wishes

_NO_LIMIT = "none"
"""What a person says for a supply without an end."""
_TRY_TIME = 1_700_000_000
"""A genesis time (Unix seconds) to check wishes with; the real one is taken when the coin is made."""


def check_wishes(**wishes: Any) -> Wishes:
    """Wishes that make a coin; what is not given is as by default. Raises UsageError, BadCoin."""
    from node.core.address import encode_address
    from node.core.errors import BadCoin
    from node.net.newcoin import Wishes, default_symbol, hrp_of, make_coin

    known = {key: value for key, value in wishes.items() if value is not None}
    if str(known.get("max_supply", "")).lower() == _NO_LIMIT:
        del known["max_supply"]
    if (symbol := known.setdefault("symbol", default_symbol(known["name"]))) is None:
        raise BadCoin("coin: symbol: none can be made of that name: give one, as in --symbol MINE", field="symbol")
    wanted = Wishes(**{**known, "symbol": symbol})
    hrp = hrp_of(wanted)
    # Any key will do here: an address is of one length, whoever has it.
    addresses = {
        name: encode_address(hrp, bytes(1) + number.to_bytes(32)) for number, name in enumerate(wanted.premine)
    }
    make_coin(wanted, addresses, _TRY_TIME)
    return wanted


def ask_name() -> str:
    """The coin's name."""
    # The symbol is asked next: a name that none can be made of is a name all the same.
    return str(_ask("The coin's name, such as Beach Coin", None, str, {"symbol": "X"}, "name"))


def ask_wishes(given: dict[str, Any], premine: Callable[[tuple[str, ...]], dict[str, str]]) -> dict[str, Any]:
    """`given` (as the fields of `Wishes`, None where the person said nothing) and the answers to what it lacks.

    `premine`: reads rows of NAME=COINS. Raises Abort where the person gives up.
    """
    from node.net.newcoin import default_halving, default_symbol

    said = dict(given)

    def want(key: str, question: str, default: Any, read: Callable[[str], Any]) -> None:
        if said.get(key) is None:
            said[key] = _ask(question, default, read, said, key)

    want("symbol", "Symbol, 1 to 12 of A-Z and 0-9", default_symbol(said["name"]), str)
    want("decimals", "Digits after the point, 0 to 8", 6, _number)
    want("block_time", "Seconds between blocks, such as 10 or 600", 30, _number)
    want("reward", "Coins that a block mints at first, such as 50 or 12.5", "50", str)
    want("halving_interval", "Blocks until that halves (0: never)", default_halving(said["block_time"]), _number)
    want("max_supply", "Coins at most, such as 21000000 (none: no limit but the number's)", _NO_LIMIT, str)
    if not said["premine"]:
        said["premine"] = _ask(
            "Coins from the start, such as anna=1000, ben=500 (empty: none)",
            "",
            lambda text: premine(tuple(part for part in re.split(r"\s*,\s*|\s+(?=[^\s=]+=)", text.strip()) if part)),
            said,
            "premine",
        )
    return said


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        raise click.UsageError("write a whole number, in digits")
    return int(text)


def _ask(question: str, default: Any, read: Callable[[str], Any], said: dict[str, Any], key: str) -> Any:
    """An answer that makes a coin together with what was said before it."""
    from node.core.errors import MoneyerError
    from node.text import shown

    def check(text: str) -> Any:
        try:
            value = read(str(text).strip())
            check_wishes(**{**said, key: value})
        except click.UsageError as error:
            option = f"--{key.replace('_', '-')} "
            raise click.UsageError(shown(error.message.removeprefix(option))) from None
        except MoneyerError as error:
            raise click.UsageError(shown(error.message.removeprefix("coin: "))) from None
        return value

    return click.prompt(question, default=default, value_proc=check, err=True, show_default=default != "")
