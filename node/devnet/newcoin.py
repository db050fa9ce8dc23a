"""A new coin: from a person's few wishes to all 17 fields, and what will become of its supply."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core import pow
from ..core.coin import Coin, parse_amount
from ..core.coinfile import coin_from_json
from ..core.errors import BadCoin
from ..core.types import LATEST_RULES, MAX_MONEY
from ..system.text import is_visible, shown
from ..system.words import quoted

YEAR = 31_557_600
"""Seconds: 365.25 days."""
HALVING_YEARS = 4
"""As Bitcoin's."""
_EASIEST = 65_536
"""Hashes a block at least, so that every block hash shows its work: four zeros."""
_HASHES_PER_SECOND = 8_192
"""Hashes a block for each second of block time, at the easiest: a hundredth of what one laptop core does in Python.

The difficulty rises from there within a window of blocks; it could not sink below, so this has to be easy.
"""
_NO_WORDS = {"coin", "token", "money", "the", "a", "an", "my", "of"}
_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
"""Letters that Unicode's decomposition leaves as they are."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants of their coin. Amounts in coins, as text; times in seconds."""

    name: str
    symbol: str
    decimals: int = 6
    block_time: int = 30
    reward: str = "50"
    halving_interval: int | None = None
    """Blocks; None: every four years."""
    max_supply: str | None = None
    hrp: str | None = None
    message: str = ""
    pow_limit: int | None = None
    premine: Mapping[str, str] = field(default_factory=dict)
    """Name -> coins."""
    rules: int = LATEST_RULES
    """2: with assets and contracts; 1: without, and nodes from before there were any can run it."""


def default_symbol(name: str) -> str | None:
    """`Beach Coin` -> BEACH, `Ünïcode` -> UNICODE; None where no letter of a-z is left: one has to be given."""
    words = _words(name)
    telling = [word for word in words if word not in _NO_WORDS] or words
    return telling[0][:8].upper() if telling else None


def _words(name: str) -> list[str]:
    """The words of a name in a-z and 0-9, without accents; none where only words such as `coin` are left."""
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    plain = "".join(each for each in folded if not unicodedata.combining(each) and each not in "'’")
    words: list[str] = re.findall(r"[a-z0-9]+", plain)
    is_foreign = any(each.isalnum() and not each.isascii() and is_visible(each) for each in plain)
    return [] if is_foreign and _NO_WORDS.issuperset(words) else words


def default_hrp(symbol: str) -> str:
    """What addresses begin with: the letters of the symbol."""
    return re.sub(r"[^a-z]", "", symbol.lower())[:16] or "coin"


def slug(name: str) -> str | None:
    """`Beach Coin` -> beach-coin, for a folder; None as for `default_symbol`."""
    return "-".join(_words(name))[:40].strip("-") or None


def default_halving(block_time: int) -> int:
    """Blocks in four years."""
    return HALVING_YEARS * YEAR // block_time


def easiest_bits(block_time: int) -> int:
    """A `pow_limit` that a laptop meets in a hundredth of the block time, in compact bits."""
    return pow.encode_bits(2**256 // max(_EASIEST, block_time * _HASHES_PER_SECOND))


def make_coin(wishes: Wishes, addresses: Mapping[str, str], now: int) -> Coin:
    """The coin, its genesis at `now` (Unix seconds); `addresses`: of the names in `premine`.

    Raises BadCoin naming the field and what it may be, BadAmount.
    """
    premine = [[addresses[name], _amount(wishes, "premine", amount)] for name, amount in wishes.premine.items()]
    for name, (_, units) in zip(wishes.premine, premine, strict=True):
        if not units:
            raise BadCoin(f"coin: premine: {shown(name)} would get 0: give more, or leave that out", field="premine")
    reward = _amount(wishes, "reward", wishes.reward)
    fields = {
        "name": wishes.name,
        "symbol": wishes.symbol,
        "hrp": hrp_of(wishes),
        "decimals": wishes.decimals,
        "message": wishes.message,
        "timestamp": now,
        "block_time": wishes.block_time,
        "pow_limit": f"{easiest_bits(wishes.block_time) if wishes.pow_limit is None else wishes.pow_limit:08x}",
        "reward": reward,
        "halving_interval": (
            default_halving(wishes.block_time) if wishes.halving_interval is None else wishes.halving_interval
        ),
        "premine": premine,
        "rules": wishes.rules,
    }
    if wishes.max_supply is not None:
        fields["max_supply"] = _amount(wishes, "max_supply", wishes.max_supply)
    coin = coin_from_json(fields)
    _check_sense(coin)
    return coin


def hrp_of(wishes: Wishes) -> str:
    """What addresses of the coin begin with."""
    return wishes.hrp or default_hrp(wishes.symbol)


def _amount(wishes: Wishes, name: str, text: str) -> int:
    from ..core.errors import BadAmount

    try:
        return parse_amount(text, wishes.decimals)
    except BadAmount as error:
        raise BadCoin(f"coin: {name} {quoted(text)}: {error.message}", field=name, **error.details) from None


def _check_sense(coin: Coin) -> None:
    """Raises BadCoin for a coin that the protocol allows and nobody can mean."""
    if coin.name.strip() != coin.name:
        raise BadCoin(f"coin: name has spaces at an end: {quoted(coin.name)}", field="name")
    if not is_visible(coin.name):
        raise BadCoin(
            f"coin: name has characters that cannot be seen, here escaped: {shown(coin.name)}. Leave them out",
            field="name",
        )
    if coin.reward == 0 and coin.premine_sum == 0:
        raise BadCoin(
            "coin: reward is 0 and nobody has coins at the start: there would never be any. Give one, or --premine",
            field="reward",
        )
    if coin.reward > coin.max_supply:
        raise BadCoin(
            "coin: reward is more than max_supply: the first block alone would mint all there may ever be",
            field="reward",
        )
    if coin.premine_sum == coin.max_supply and coin.reward:
        raise BadCoin(
            "coin: the premine is all of max_supply, so that no block could mint its reward: take less, or reward 0",
            field="premine",
        )


@dataclass(frozen=True, slots=True)
class Prospect:
    """The supply of a coin over time, in base units."""

    premine: int
    after: dict[int, int]
    """Years -> supply, if blocks come as often as planned."""
    final: int
    """The greatest supply that there can be."""
    minted_out: float | None
    """Years until minting stops; None: not within a century."""


def prospect(coin: Coin, years: tuple[int, ...] = (1, 4, 20)) -> Prospect:
    """The supply to come."""

    def height(seconds: float) -> int:
        return int(seconds // coin.block_time)

    final = coin.issued(2**32 - 1)
    end = height(100 * YEAR)
    minted_out = None
    if coin.issued(end) == final and final > coin.premine_sum:
        low, high = 0, end
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if coin.issued(middle) == final else (middle + 1, high)
        minted_out = low * coin.block_time / YEAR
    return Prospect(
        premine=coin.premine_sum,
        after={year: coin.issued(height(year * YEAR)) for year in years},
        final=min(final, MAX_MONEY),
        minted_out=minted_out,
    )
