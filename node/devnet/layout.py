"""A network on one machine: where its nodes keep their data, and the ports at which they answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.coin import Coin
from .coinfiles import COIN_FILE, place_coin
from .devcoin import ensure_coin, is_development


@dataclass(frozen=True)
class Network:
    """What `moneyer up` runs."""

    data: Path
    """The folder that `up` was given."""
    coin: Coin
    ports: list[int]
    """Of node 1, node 2, …"""
    own: bool
    """Whether it is a coin of a person's own; else a development network, open on this machine."""
    lan: bool
    """Whether other machines may reach its nodes."""
    manual: bool = False
    """Whether nodes neither push nor pull blocks unless told."""

    @property
    def folders(self) -> list[Path]:
        """The data folder of each node."""
        return [node_folder(self.data, number, own=self.own) for number in range(1, len(self.ports) + 1)]

    @property
    def urls(self) -> list[str]:
        """The URL of each node on this machine."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]


def node_folder(data: Path, number: int, *, own: bool = False) -> Path:
    """The data folder of a network's node; the first is 1.

    `own`: a coin of a person's own, whose node 1 has `data` itself, so that its wallet and chain are the same whether
    `up` or `node` runs it.
    """
    return data if own and number == 1 else data / f"node{number}"


def ensure_network(data: Path, nodes: int, coin_file: Path | None = None) -> Coin:
    """Make the coin of a network and its `nodes` data folders where there are none; with `coin_file` it is that coin.

    Raises BadCoin, OSError.
    """
    coin = ensure_coin(data / COIN_FILE) if coin_file is None else place_coin(coin_file, data)
    for number in range(1, nodes + 1):
        place_coin(data / COIN_FILE, node_folder(data, number, own=not is_development(coin)))
    return coin
