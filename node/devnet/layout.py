"""A network on one machine: where its nodes keep their data, and the ports at which they answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.coin import Coin
from .devcoin import node_folder


@dataclass(frozen=True)
class Network:
    """What `moneyer up` runs. `own`: a coin of one's own; else a development network, open on this machine."""

    data: Path
    coin: Coin
    ports: list[int]
    own: bool
    lan: bool
    manual: bool = False

    @property
    def folders(self) -> list[Path]:
        return [node_folder(self.data, number, own=self.own) for number in range(1, len(self.ports) + 1)]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]
