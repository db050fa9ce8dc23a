"""The place that a command works at: its data folder, the node to ask, and the names known there.

`find_place` decides by `--data` and `--node`; a `Place` opens client, coin, wallet and contacts when they are first
used, so that a command loads no more than it needs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import MoneyerError
from ..devnet.holder import FolderToken
from ..devnet.running import is_running
from ..system.text import shown
from ..system.words import nearest, quoted
from .folders import find_folder, running_url, where

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..client.client import Client
    from ..core.coin import Coin
    from ..wallet.keystore import Wallet

_NAMES = 8
"""Names that a sentence lists at most."""
DEFAULT_URL = "http://127.0.0.1:5001"


class UnknownName(MoneyerError):
    """A name that neither the wallet nor the contacts know."""

    code = "unknown_name"


class WrongCoin(MoneyerError):
    """The node runs another coin than the data folder."""

    code = "other_coin"


def how_to_start(folder: Path) -> str:
    """The command that starts the node of a data folder, on the server where its chain is on one."""
    from ..store.opening.made import typed_on_server
    from ..system.advice import start_node

    return typed_on_server("node", folder) or start_node(folder)


def how_to_mine(folder: Path | None) -> str:
    """The command that starts a worker for the node of a data folder, on the server where its chain is on one."""
    if folder is None:
        return "moneyer worker --data DIR"
    from ..store.opening.made import typed_on_server

    return typed_on_server("worker", folder) or f"moneyer worker{where(folder)}"


@dataclass(frozen=True)
class Place:
    """A data folder and its node."""

    folder: Path | None
    """None: no data folder was found, so there is no wallet."""
    node: str | None
    """The URL of the node to ask; None: it does not run."""

    @property
    def url(self) -> str:
        """Raises NoAnswer where the folder's node does not run."""
        if self.node is not None:
            return self.node
        from ..client.errors import NoAnswer

        start = "moneyer up" if self.folder is None else how_to_start(self.folder)
        raise NoAnswer(f"the node of {self.folder} does not run: start it with `{start}`, or name another with --node")

    @cached_property
    def client(self) -> Client:
        """A client of the node. Raises NoAnswer where it does not run."""
        from .node_client import NodeClient

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
        """The wallet, not unlocked; None where there is none."""
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
        """The wallet, not unlocked. Raises WalletMissing."""
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
        """The contacts: name -> address."""
        from ..wallet.contacts import read_contacts

        return {} if self.folder is None else dict(read_contacts(self.folder))

    @cached_property
    def contracts(self) -> dict[str, bytes]:
        """The contracts that the folder keeps: name -> payload. What is damaged is left out, and named by `contract`.

        Those of the folder's own coin; none where it has none.
        """
        from ..wallet.cosigning.contract_book import Contract, contract_names, read_book

        if self.folder is None or not contract_names(self.folder):
            return {}
        book = read_book(self.folder, self.local_coin)
        return {each.name: each.payload for each in book if isinstance(each, Contract)}

    def names(self) -> list[str]:
        """Every name of a key or a contact here."""
        return [*(self.wallet.names if self.wallet else ()), *self.contacts]

    def payload(self, who: str) -> bytes:
        """The payload of a name or an address. Raises UnknownName with the nearest name, BadAddress."""
        from ..core.signing import payable
        from ..wallet.names import find_name

        held = self.wallet.payload_of(who) if self.wallet else None
        if held is not None:
            return held
        friend = find_name(self.contacts, who)
        if friend is None and (shared := find_name(self.contracts, who)) is not None:
            return self.contracts[shared]
        address = who if friend is None else self.contacts[friend]
        if address.lower().startswith(f"{self.coin.hrp}1") or len(address) > 32:
            return payable(self.coin, address)
        raise self.unknown(who)

    def unknown(self, who: str) -> UnknownName:
        """The error for a name that is not known here, with the nearest one."""
        near = nearest(who, self.names())
        names, shown_names = self.names(), self.names()[:_NAMES]
        more = f" and {len(names) - _NAMES} more (`moneyer wallet list`)" if len(names) > _NAMES else ""
        known = (", ".join(shown_names) or "none") + more
        hint = f": did you mean {near}?" if near else f". Known here: {known}"
        return UnknownName(
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
        shared = {self.coin.address(payload): name for name, payload in self.contracts.items()}
        return {**shared, **{address: name for name, address in self.contacts.items()}, **own}


def label(coin: Coin) -> str:
    """How a coin is named in a sentence."""
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
    # A folder that was not named is a guess: its node may be down, and another one meant.
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
