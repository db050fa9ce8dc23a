"""The development coin: quick to mine, and five people with published keys have coins from the start."""

from __future__ import annotations

import time
from pathlib import Path

from ..core.coin import Coin
from ..core.coinfile import coin_from_json
from ..core.types import LATEST_RULES, MAX_MONEY
from .coinfiles import COIN_FILE, make_once, place_coin, read_coin

SYMBOL = "DEV"
DECIMALS = 6
ALICE = "c223e581224abac211cbe18f7416285debe060cbdf1f3f52efdc0607f7831640"
"""Public key of the first published account: a coin whose premine pays it is a development coin."""
PREMINE = 1000
"""Coins each of the five named accounts has in genesis."""
FAUCET_COINS = 1_000_000
"""Coins that the faucet has in genesis."""
POW_LIMIT = 0x1F00FFFF
"""65,536 hashes a block, a tenth of a second of one core in Python; every block hash begins with four zeros."""
BLOCK_TIME = 5
"""Seconds."""


def development_coin(now: int, block_time: int = BLOCK_TIME, *, retarget: bool = False) -> Coin:
    """The coin of a network that starts at `now` (Unix seconds; so each network is a coin of its own).

    `block_time`: seconds. Raises BadCoin for a clock past what a header can hold.
    """
    # Here and not above: deriving keys loads a large library.
    from ..core.address import encode_address
    from ..wallet.derive import FAUCET, development_key, development_keys

    unit = 10**DECIMALS
    coin = Coin(
        name="Development Coin",
        symbol=SYMBOL,
        hrp="dev",
        decimals=DECIMALS,
        message="worth nothing: everybody knows the keys",
        timestamp=now,
        block_time=block_time,
        retarget=retarget,
        pow_limit=POW_LIMIT,
        # Without a retarget tens of thousands of blocks can be mined at once; with one, coins allow no more.
        clock_tolerance=min(60, 6 * block_time) if retarget else 7200,
        reward=10 * unit,
        max_supply=MAX_MONEY,
        rules=LATEST_RULES,
        premine=tuple(
            (encode_address("dev", key.payload), coins * unit)
            for key, coins in [
                *((key, PREMINE) for key in development_keys().values()),
                (development_key(FAUCET), FAUCET_COINS),
            ]
        ),
    )
    return coin_from_json(coin.as_json())


def is_development(coin: Coin) -> bool:
    """Whether published keys have coins from the start: then nothing on this chain is worth protecting."""
    return any(coin.payload(address)[1:].hex() == ALICE for address, _ in coin.premine[:5])


def ensure_coin(path: Path, like: Path | None = None) -> Coin:
    """The development coin at `path`, made now unless it is there: as the one in the file `like`, where that exists.

    Safe for nodes that start at once. Raises BadCoin, OSError.
    """

    def make() -> Coin:
        return read_coin(like) if like is not None and like.exists() else development_coin(int(time.time()))

    return make_once(path, make)


def prepare_folder(data: Path, coin_file: Path | None, *, development: bool) -> None:
    """Make sure that `data` holds its `coin.toml` before a node opens it.

    With `coin_file` it is that coin. On a development network a coin that is missing is made, at `coin_file` if one is
    named: the network's nodes start at once and share it. Raises BadCoin, OSError.
    """
    own = data / COIN_FILE
    if coin_file is not None:
        if development:
            ensure_coin(coin_file, like=own)
        place_coin(coin_file, data)
    elif development:
        ensure_coin(own)
