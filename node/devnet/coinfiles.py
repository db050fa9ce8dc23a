"""`coin.toml` files: reads them, makes one once among any number of processes, copies one into a data folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.coin import Coin
from ..core.coinfile import MAX_COIN_BYTES, coin_from_toml, coin_to_toml
from ..core.errors import BadCoin
from ..system.files import write_whole

COIN_FILE = "coin.toml"


def read_coin(path: Path) -> Coin:
    """The coin that a file describes. Raises BadCoin naming the file, FileNotFoundError, OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_COIN_BYTES + 1)
    try:
        return coin_from_toml(content.decode())
    except UnicodeDecodeError:
        raise BadCoin(f"{path} is not UTF-8 text: is it another file?", file=str(path)) from None
    except BadCoin as error:
        raise BadCoin(f"{path}: {error.message}", file=str(path), **error.details) from None


def make_once(path: Path, make: Callable[[], Coin]) -> Coin:
    """The coin at `path`; where there is none yet, `make()` is written there first.

    Any number of processes may call this at once: they all get the coin of the first. A file is whole or not there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        return read_coin(path)
    with _locked(path.parent):
        if not path.exists():
            # Readable by all: a coin is made to be passed on.
            write_whole(path, coin_to_toml(make()).encode(), mode=0o644)
    return read_coin(path)


def place_coin(source: Path, data: Path) -> Coin:
    """Copy the coin of `source` into a data folder that has none. Raises BadCoin where it has another coin."""
    coin = read_coin(source)
    here = make_once(data / COIN_FILE, lambda: coin)
    if here.coin_digest != coin.coin_digest:
        raise BadCoin(
            f"{data} keeps another coin ({here.name}, chain {_short(here)}) than {source} ({coin.name}, chain "
            f"{_short(coin)}): use another data folder, or leave --coin out",
            expected=here.chain_id[::-1].hex(),
            found=coin.chain_id[::-1].hex(),
        )
    return coin


def _short(coin: Coin) -> str:
    return coin.chain_id[::-1].hex()[:12]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
