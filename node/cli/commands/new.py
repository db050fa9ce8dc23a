"""`moneyer new`: makes a coin of a person's own, and a wallet for its owner.

The command first, then what it is made from: name and folder, wishes, questions, keys, files; at last what is printed.
An answer to a question is checked at once, together with all that was said before, and asked again until it fits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import FOLDER, IntRange, as_json, option, passphrase_file

if TYPE_CHECKING:
    from ...core.coin import Coin
    from ...core.errors import BadCoin
    from ...devnet.newcoin import Wishes
    from ...wallet.derive import Key

_NO_LIMIT = "none"
"""The answer that means a supply without a limit."""
_TRY_TIME = 1_700_000_000
"""A genesis time (Unix seconds) to check wishes with; the real one is set when the coin is made."""
_SECONDS = IntRange(2, 86_400)
_DECIMALS = IntRange(0, 8)
_RULES = IntRange(1, 2)
_BLOCKS = IntRange(0, 2**32 - 1)


@click.command()
@click.argument("name", required=False)
@option("--symbol", metavar="S", help="1 to 12 of A-Z and 0-9.  [default: from the name]")
@option("--block-time", type=_SECONDS, metavar="SECONDS", help="Between blocks, 2 to 86400.  [default: 30]")
@option("--reward", metavar="COINS", help="What the first block mints.  [default: 50]")
@option("--halving-interval", type=_BLOCKS, metavar="BLOCKS", help="0: never.  [default: every four years]")
@option("--max-supply", metavar="COINS", help="Where minting stops.  [default: as much as a number can hold]")
@option("--decimals", type=_DECIMALS, metavar="N", help="Digits after the point, 0 to 8.  [default: 6]")
@option("--premine", multiple=True, metavar="NAME=COINS", help="Coins from the start, for a key of this wallet.")
@option("--hrp", metavar="H", help="What addresses begin with, 1 to 16 of a-z.  [default: from the symbol]")
@option("--message", metavar="TEXT", help="A line for the genesis block, 100 bytes.  [default: its hour of birth]")
@option("--pow-limit", metavar="HEX", help="The easiest work, compact bits.  [default: easy for a laptop]")
@option("--rules", type=_RULES, metavar="N", help="2: with assets and contracts, 1: without.  [default: 2]")
@option("--data", type=FOLDER, metavar="DIR", help="The data folder to make.  [default: one named like the coin]")
@option("--yes", is_flag=True, help="Take the defaults for what is not given, and ask nothing but a passphrase.")
@option("--open", is_flag=True, help="Leave the wallet without a passphrase.")
@passphrase_file
@as_json
def new(
    name: str | None, data: Path | None, premine: tuple[str, ...], passphrase_file: Path | None, **given: Any
) -> None:
    """Make a coin of your own.

    Writes coin.toml and an encrypted wallet into a new data folder. On a terminal it asks what it isn't told.

    \b
    moneyer new
    moneyer new "Beach Coin" --block-time 30 --premine anna=1000 --premine ben=500
    moneyer new Pebble --decimals 0 --halving-interval 0 --max-supply 1000000
    """
    from ...core.errors import BadCoin
    from ...devnet.newcoin import slug
    from ...system.advice import typed
    from ..exits import effect
    from ..place import terminal
    from ..secret import new_passphrase

    as_json, is_open = given.pop("json"), given.pop("open")
    ask = not given.pop("yes") and terminal()
    name = name if name is not None else _asked_name(ask=ask)
    folder = _folder(name, data, slug(name)).expanduser()
    _check_folder(folder)
    try:
        wishes = _wishes(name, _premine(premine), ask=ask, **given)
        phrase, keys = _keys(list(wishes.premine))
        coin = _coin(wishes, keys)  # before a passphrase is asked: what is wrong should be said at once
    except BadCoin as error:
        raise click.UsageError(_of_option(error)) from None
    passphrase = new_passphrase(passphrase_file, may_be_open=is_open)
    _write(folder, coin, keys, phrase, passphrase)
    effect().done(f"The coin was made in {folder}: `moneyer wallet list --data {typed(folder)}` shows its keys")
    addresses = {name: coin.address(key.payload) for name, key in keys.items()}
    if as_json:
        _print_json(coin, folder, addresses)
    else:
        _print(coin, folder, addresses, phrase)


def _of_option(error: BadCoin) -> str:
    """What is wrong with a coin, named by the option that it came from."""
    field, sentence = str(error.details.get("field", "")), error.message.removeprefix("coin: ")
    option = "NAME" if field == "name" else f"--{field.replace('_', '-')}"
    known = {"NAME", *(opt for each in new.params for opt in each.opts)}
    return f"{option}{sentence.removeprefix(field)}" if option in known and sentence.startswith(field) else sentence


def _asked_name(*, ask: bool) -> str:
    """The coin's name, from a person. Raises UsageError where nobody can be asked."""
    if not ask:
        raise click.UsageError('say what the coin is called, such as `moneyer new "Beach Coin"`')

    # The symbol is asked next: a name that no symbol can be made of is a name all the same.
    return str(_ask("The coin's name, such as Beach Coin", None, str, {"symbol": "X"}, "name"))


def _folder(name: str, data: Path | None, usual: str | None) -> Path:
    """The data folder to make. Raises UsageError for no name, ClickException where no folder can be named like it."""
    from ...system.words import quoted

    if not name.strip():
        raise click.UsageError('NAME must be text of 1 to 64 characters, as in moneyer new "Beach Coin"')
    if data is None and usual is None:
        raise click.ClickException(
            f"no folder and no symbol can be made of {quoted(name)}: give them, as in --data my-coin --symbol MINE"
        )
    return data or Path(str(usual))


def _check_folder(folder: Path) -> None:
    """Raises ClickException for a folder that is in use."""
    for name, what in (("coin.toml", "a coin"), ("wallet.json", "a wallet"), ("chain.db", "a chain")):
        if (folder / name).exists():
            raise click.ClickException(f"{folder} has {what} already: take another name, or another folder with --data")


def _premine(rows: tuple[str, ...]) -> dict[str, str]:
    """Name -> coins, from rows of NAME=COINS. Raises UsageError."""
    from ...system.words import quoted
    from ...wallet.errors import BadName
    from ...wallet.keystore import MINER
    from ...wallet.names import check_name, find_name, name_key

    premine: dict[str, str] = {}
    for row in rows:
        name, separator, amount = row.partition("=")
        if not separator or not amount.strip():
            raise click.UsageError(f"--premine {quoted(row)}: write NAME=COINS, such as anna=1000")
        try:
            name = check_name(name)
        except BadName as error:
            raise click.UsageError(f"--premine {quoted(row)}: {error.message}") from None
        if find_name(premine, name) is not None:
            raise click.UsageError(f"--premine: {name} stands twice")
        premine[MINER if name_key(name) == MINER else name] = amount.strip()
    return premine


def _wishes(name: str, premine: dict[str, str], *, ask: bool, **given: Any) -> Wishes:
    """What was given, what is asked, and defaults for the rest. Raises BadCoin, UsageError."""
    from dataclasses import replace

    from ...core.errors import BadCoin

    said = {**given, "name": name, "premine": premine, "pow_limit": _bits(given["pow_limit"])}
    try:
        _check_wishes(**said)  # before anything is asked: no answer is lost to a bad option
    except BadCoin as error:
        if not ask or said.get(error.details.get("field", "")):
            raise
    if ask:
        said = _ask_wishes(said, _premine)
    wishes = _check_wishes(**said)
    return wishes if given["message"] is not None else replace(wishes, message=_birth_note())


def _birth_note() -> str:
    """The default message: date, and random digits so that two coins made in one second are two chains."""
    import secrets

    return f"made {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC, {secrets.token_hex(4)}"


def _bits(text: str | None) -> int | None:
    """Compact bits from hex. Raises UsageError."""
    from ...system.words import quoted

    if text is None:
        return None
    try:
        bits = int(text, 16)
    except ValueError:
        bits = -1
    if len(text) != 8 or bits < 0:
        raise click.UsageError(f"--pow-limit {quoted(text)}: 8 hex digits, such as 1f00ffff")
    return bits


def _keys(names: list[str]) -> tuple[str, dict[str, Key]]:
    """A fresh phrase, and its keys: `miner` is account 0, the names of the premine follow."""
    from ...wallet.derive import key_from_phrase, new_phrase
    from ...wallet.keystore import MINER

    phrase = new_phrase()
    wanted = [MINER, *(name for name in names if name != MINER)]
    return phrase, {name: key_from_phrase(phrase, number) for number, name in enumerate(wanted)}


def _coin(wishes: Wishes, keys: dict[str, Key]) -> Coin:
    """The coin, its genesis now. Raises BadCoin."""
    from ...core.address import encode_address
    from ...devnet.newcoin import hrp_of, make_coin

    addresses = {name: encode_address(hrp_of(wishes), key.payload) for name, key in keys.items()}
    return make_coin(wishes, addresses, int(time.time()))


def _write(folder: Path, coin: Coin, keys: dict[str, Key], phrase: str, passphrase: str | None) -> None:
    """The wallet, then the coin: a folder with a coin.toml is whole. Takes back what it made where that fails."""
    from contextlib import suppress

    from ...devnet.coinfiles import make_once
    from ...wallet.keystore import create_wallet

    made = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wallet = folder / "wallet.json"
    try:
        create_wallet(wallet, keys, development=False, phrase=phrase, passphrase=passphrase)
        try:
            make_once(folder / "coin.toml", lambda: coin)
        except BaseException:
            wallet.unlink()  # its keys own nothing without the coin, and nobody has seen its phrase
            raise
    except BaseException:
        with suppress(OSError):
            if made:
                folder.rmdir()
        raise


def _check_wishes(**wishes: Any) -> Wishes:
    """The wishes, once a coin can be made of them; defaults for what is not given. Raises UsageError, BadCoin."""
    from ...core.address import encode_address
    from ...core.errors import BadCoin
    from ...devnet.newcoin import Wishes, default_symbol, hrp_of, make_coin

    known = {key: value for key, value in wishes.items() if value is not None}
    if str(known.get("max_supply", "")).lower() == _NO_LIMIT:
        del known["max_supply"]
    if (symbol := known.setdefault("symbol", default_symbol(known["name"]))) is None:
        raise BadCoin("coin: symbol: none can be made of that name: give one, as in --symbol MINE", field="symbol")
    wanted = Wishes(**{**known, "symbol": symbol})
    hrp = hrp_of(wanted)
    # Any key will do here: every address has the same length.
    addresses = {
        name: encode_address(hrp, bytes(1) + number.to_bytes(32)) for number, name in enumerate(wanted.premine)
    }
    make_coin(wanted, addresses, _TRY_TIME)
    return wanted


def _ask_wishes(given: dict[str, Any], premine: Callable[[tuple[str, ...]], dict[str, str]]) -> dict[str, Any]:
    """`given` (as the fields of `Wishes`, None where the person said nothing) and the answers to what it lacks.

    `premine`: reads rows of NAME=COINS. Raises Abort where the person gives up.
    """
    from ...devnet.newcoin import default_halving, default_symbol

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
    from ...core.errors import MoneyerError
    from ...system.text import shown

    def check(text: str) -> Any:
        try:
            value = read(str(text).strip())
            _check_wishes(**{**said, key: value})
        except click.UsageError as error:
            option = f"--{key.replace('_', '-')} "
            raise click.UsageError(shown(error.message.removeprefix(option))) from None
        except MoneyerError as error:
            raise click.UsageError(shown(error.message.removeprefix("coin: "))) from None
        return value

    return click.prompt(question, default=default, value_proc=check, err=True, show_default=default != "")


def _print_json(coin: Coin, folder: Path, addresses: dict[str, str]) -> None:
    from ...devnet.newcoin import prospect
    from ..output import print_json

    ahead = prospect(coin)
    print_json(
        {
            "data": str(folder),
            "chain_id": coin.chain_id[::-1].hex(),
            "coin": coin.as_json(),
            "supply": {f"after_{year}_years": units for year, units in ahead.after.items()} | {"final": ahead.final},
            "accounts": addresses,
        }
    )


def _print(coin: Coin, folder: Path, addresses: dict[str, str], phrase: str) -> None:
    import sys

    from ...system.advice import as_typed, typed
    from ...system.text import shown
    from ..output import fitted, print_pairs, style

    where = f"--data {typed(folder)}"
    named, chain = f"{shown(coin.name)} ({coin.symbol})", coin.chain_id[::-1].hex()[:16]
    click.echo(f"{style(named, bold=True)} is made: chain {chain}…\n")
    print_pairs(describe(coin))
    click.echo()
    print_pairs([*addresses.items(), ("data folder", folder)])
    if sys.stdout.isatty():
        click.echo("\nWrite these words down: they are every key of this wallet.\n")
        click.echo(style(fitted(f"    {phrase}"), bold=True))
    else:
        click.echo(as_typed(f"\n`moneyer wallet export --phrase {where}` shows the recovery phrase: write it down."))
    click.echo(as_typed(f"\nNext:  moneyer up {where}"))


def describe(coin: Coin) -> list[tuple[str, str]]:
    """What will become of a coin, in rows for people."""
    from ...devnet.newcoin import YEAR, prospect
    from ..output import coins

    def amount(units: int) -> str:
        return coins(units, coin.decimals, coin.symbol, group=True)

    ahead = prospect(coin)
    halving = (
        f", halved every {coin.halving_interval:,} blocks ({coin.halving_interval * coin.block_time / YEAR:.1f} years)"
        if coin.halving_interval
        else ", for ever"
    )
    rows = [
        ("time between blocks", f"{coin.block_time} s"),
        ("reward of a block", f"{amount(coin.reward)}{halving}"),
        ("at the start", f"{amount(ahead.premine)}" if ahead.premine else "no coins: all of them are mined"),
    ]
    rows += [(f"after {year} year{'s' if year > 1 else ''}", amount(units)) for year, units in ahead.after.items()]
    end = "" if ahead.minted_out is None else f", reached after {ahead.minted_out:,.1f} years"
    rows.append(("at most", f"{amount(ahead.final)}{end}"))
    rows.append(("rules", "1: transfers only" if coin.rules == 1 else f"{coin.rules}: transfers, assets and contracts"))
    return rows
