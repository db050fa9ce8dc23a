"""Which data folder a command means, which node, and what names there are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..client import Client, ClientError
from ..client.transport import DEADLINE
from ..core.errors import MoneyerError
from ..devnet.running import is_running
from ..system.text import shown
from ..system.words import nearest, quoted
from .folders import find_folder, running_url
from .holder import FolderToken

# The node that a command asks, which may turn out to be another program with JSON of its own.


_NUMBERS: Final = frozenset(
    {
        "amount",
        "balance",
        "bytes",
        "count",
        "duplicate",
        "fee",
        "fees",
        "hashrate",
        "incoming",
        "last_share",
        "low_difficulty",
        "outgoing",
        "stale",
    }
)
"""What a command calculates with: a number under this name, wherever it stands, or null."""


class NodeClient(Client):
    """A client whose answers are sure to have the keys that a command reads; without one, no node has answered.

    Nor has one where something else stands for a number that is reckoned with. Only for commands: to a program of
    somebody's own a missing key is a KeyError, as it is in any dictionary.
    """

    def get(self, path: str, deadline: float = DEADLINE) -> Any:
        return self._known(super().get(path, deadline))

    def post(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        return self._known(super().post(path, body, deadline))

    def delete(self, path: str, deadline: float = DEADLINE) -> Any:
        return self._known(super().delete(path, deadline))

    def _known(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise self._transport.nonsense()
        return _checked(answer, self._transport.nonsense)


class _Object(dict[str, Any]):
    """A JSON object of an answer; `nonsense` makes the error for a key that it lacks."""

    def __init__(self, held: dict[str, Any], nonsense: Callable[[], ClientError]) -> None:
        super().__init__(held)
        self._nonsense = nonsense

    def __missing__(self, key: str) -> Any:
        raise self._nonsense()


def _checked(value: Any, nonsense: Callable[[], ClientError]) -> Any:
    if isinstance(value, dict):
        if any(not isinstance(value[key], int | float | None) for key in _NUMBERS & value.keys()):
            raise nonsense()
        return _Object({key: _checked(each, nonsense) for key, each in value.items()}, nonsense)
    if isinstance(value, list):
        return [_checked(each, nonsense) for each in value]
    return value


if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..client import Client
    from ..core.coin import Coin
    from ..wallet.keystore import Wallet

_NAMES = 8
"""Names that a sentence lists."""
DEFAULT_URL = "http://127.0.0.1:5001"


class UnknownWho(MoneyerError):
    """A name that neither the wallet nor the contacts know."""

    code = "unknown_name"


class WrongCoin(MoneyerError):
    """The node runs another coin than the data folder."""

    code = "other_coin"


@dataclass(frozen=True)
class Place:
    """A data folder (None: no wallet is at hand) and the URL of the node to ask (None: it does not run)."""

    folder: Path | None
    node: str | None

    @property
    def url(self) -> str:
        """Raises NoAnswer where the folder's node does not run."""
        if self.node is not None:
            return self.node
        from ..client import NoAnswer
        from ..system.advice import start_node

        start = "moneyer up" if self.folder is None else start_node(self.folder)
        raise NoAnswer(f"the node of {self.folder} does not run: start it with `{start}`, or name another with --node")

    @cached_property
    def client(self) -> Client:

        return NodeClient(self.url, token=None if self.folder is None else FolderToken(self.folder))

    @cached_property
    def coin(self) -> Coin:
        """The coin of the data folder, else of the node. Raises WrongCoin where the two differ."""
        theirs = self.client.coin
        if self.folder is None or not (self.folder / "coin.toml").is_file():
            return theirs
        from ..devnet.coinfiles import read_coin

        ours = read_coin(self.folder / "coin.toml")
        if ours.chain_id != theirs.chain_id:
            raise WrongCoin(
                f"the node at {self.url} runs {label(theirs)}, and {self.folder} is of {label(ours)}: name the right "
                "one with --node or --data"
            )
        return ours

    def wallet_path(self) -> Path:
        """Where the wallet lies. Raises ClickException where no data folder is known."""
        if self.folder is None:
            raise click.ClickException(
                "there is no data folder here: name one with --data DIR, or make a coin with `moneyer new NAME`"
            )
        return self.folder / "wallet.json"

    @cached_property
    def wallet(self) -> Wallet | None:
        """The open half of the wallet; None where there is none."""
        from ..wallet.errors import WalletMissing
        from ..wallet.keystore import open_wallet

        if self.folder is None:
            return None
        try:
            return open_wallet(self.folder / "wallet.json")
        except WalletMissing:
            return None

    @property
    def held(self) -> Wallet:
        """The open half of the wallet. Raises WalletMissing."""
        from ..wallet.errors import WalletMissing

        if self.wallet is None:
            raise WalletMissing(f"there is no wallet at {self.wallet_path()}: `moneyer wallet new` makes one")
        return self.wallet

    @cached_property
    def local_coin(self) -> Coin:
        """The coin of the data folder; no node is asked. Raises BadCoin, ClickException where there is none."""
        from ..devnet.coinfiles import read_coin

        folder = self.wallet_path().parent
        if not (folder / "coin.toml").is_file():
            raise click.ClickException(f"{folder} is no data folder: there is no coin.toml in it")
        return read_coin(folder / "coin.toml")

    @cached_property
    def contacts(self) -> dict[str, str]:
        """Name -> address of other people."""
        from ..wallet.contacts import read_contacts

        return {} if self.folder is None else dict(read_contacts(self.folder))

    def names(self) -> list[str]:
        """Every name that may stand for an address here."""
        return [*(self.wallet.names if self.wallet else ()), *self.contacts]

    def payload(self, who: str) -> bytes:
        """The payload of a name or an address. Raises UnknownWho with the nearest name, BadAddress."""
        from ..core.signing import payable
        from ..wallet.names import find_name

        held = self.wallet.payload_of(who) if self.wallet else None
        if held is not None:
            return held
        friend = find_name(self.contacts, who)
        address = who if friend is None else self.contacts[friend]
        if address.lower().startswith(f"{self.coin.hrp}1") or len(address) > 32:
            return payable(self.coin, address)
        raise self.unknown(who)

    def unknown(self, who: str) -> UnknownWho:
        near = nearest(who, self.names())
        names, shown_names = self.names(), self.names()[:_NAMES]
        more = f" and {len(names) - _NAMES} more (`moneyer wallet list`)" if len(names) > _NAMES else ""
        known = (", ".join(shown_names) or "none") + more
        hint = f": did you mean {near}?" if near else f". Known here: {known}"
        return UnknownWho(
            f"there is no {quoted(who)} in this wallet or its contacts{hint} (or give an address; --data names another "
            "wallet)",
            nearest=near,
        )

    def name_of(self, address: str | None) -> str:
        """The name of an address, or the address itself."""
        return "" if address is None else self._by_address.get(address, address)

    @cached_property
    def _by_address(self) -> dict[str, str]:
        own = {self.coin.address(payload): name for name, payload in (self.wallet.names if self.wallet else {}).items()}
        return {**{address: name for name, address in self.contacts.items()}, **own}


def label(coin: Coin) -> str:
    """A coin in a sentence."""
    return f"{shown(coin.name)} ({coin.symbol}, chain {coin.chain_id[::-1].hex()[:12]}…)"


def find_place(data: Path | None, node: str | None) -> Place:
    """The place that `--data` and `--node` mean, by the rule of `node.cli.folders`. Raises ClickException."""
    url = None
    if node is not None:
        from ..client.transport import origin
        from .options import usage

        url = usage(origin, node)
    folder = find_folder(data, url)
    if url is not None or folder is None:
        return Place(folder, url or DEFAULT_URL)
    # A folder that nobody named is a guess: its node may be down and another one meant.
    return Place(folder, running_url(folder) or (DEFAULT_URL if data is None or is_running(folder) else None))


def terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def complete_names(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Names of the wallet and of the contacts, for the shell."""
    from click.shell_completion import CompletionItem

    try:
        names = find_place(ctx.params.get("data"), None).names()
    except (MoneyerError, click.ClickException, OSError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(typed)]
