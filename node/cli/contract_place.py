"""What the commands on contracts share: whose key is whose, the moment of the chain, and files that go from hand to
hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..system.text import shown

if TYPE_CHECKING:
    from ..contracts.moment import Moment
    from ..core.coin import Coin
    from ..wallet.cosigning.contract_book import Contract
    from .place import Place

MEDIAN_SPAN = 11
"""Blocks whose timestamps have the median of the next block's rules."""


class ContractPlace:
    """A wallet's folder, its coin, and the people that it knows. No node is asked but for the moment and balances."""

    def __init__(self, place: Place) -> None:
        """Raises ClickException where there is no data folder, or its coin has rules 1."""
        self.place = place
        self.coin: Coin = place.local_coin
        self.data: Path = place.wallet_path().parent
        if self.coin.rules < 2:
            raise click.ClickException(
                f"{shown(self.coin.name)} has rules 1, under which there are no contracts: a coin that is made anew has"
                " rules 2"
            )

    @cached_property
    def own(self) -> Mapping[bytes, str]:
        """The wallet's keys: 32-byte key -> name; none where there is no wallet."""
        wallet = self.place.wallet
        return {} if wallet is None else {payload[1:]: name for name, payload in wallet.names.items()}

    @cached_property
    def known(self) -> Mapping[bytes, str]:
        """Every key with a name of one's own giving: the wallet's and the contacts'."""
        from ..core.types import KEY_KIND

        found = {}
        for name, address in self.place.contacts.items():
            payload = self.coin.payload(address)
            if payload[0] == KEY_KIND:
                found[payload[1:]] = name
        return {**found, **self.own}

    def resolve(self, who: str) -> bytes:
        """The payload of a name or an address, without a node. Raises UnknownName, BadAddress."""
        from ..core.signing import payable
        from ..wallet.names import find_name

        held = self.place.wallet.payload_of(who) if self.place.wallet else None
        if held is not None:
            return held
        friend = find_name(self.place.contacts, who)
        address = who if friend is None else self.place.contacts[friend]
        if address.lower().startswith(f"{self.coin.hrp}1") or len(address) > 32:
            return payable(self.coin, address)
        raise self.place.unknown(who)

    def names_of(self, contract: Contract | None) -> Callable[[bytes], str | None]:
        """What to call a key: by one's own names, else as the contract's file does.

        A file's name that somebody else has here is not taken: two would look like one.
        """
        from ..wallet.names import name_key

        given = {} if contract is None else contract.names
        taken = [name_key(name) for name in self.known.values()]
        by_file = [name_key(name) for name in given.values()]

        def name_of(key: bytes) -> str | None:
            if key in self.known:
                return self.known[key]
            name = given.get(key)
            if name is None or name_key(name) in taken or by_file.count(name_key(name)) > 1:
                return None
            return name

        return name_of

    def called(self, contract: Contract, key: bytes) -> str:
        """A co-signer for a sentence."""
        from ..contracts.policy_tree import name_text

        return name_text(key, self.names_of(contract))

    def lacking(self, contract: Contract) -> list[str]:
        """Who has not shown that he holds a contract: it is ready where nobody is left."""
        return [self.called(contract, key) for key in contract.unproven(self.own)]

    def contract(self, name: str) -> Contract:
        """A contract of the book by its name or its address. Raises UnknownContract, WalletUnreadable."""
        from ..wallet.cosigning.contract_book import contract_at, read_contract
        from ..wallet.cosigning.errors import UnknownContract

        if name.lower().startswith(f"{self.coin.hrp}1") and len(name) > 32:
            found = contract_at(self.data, self.coin, self.coin.payload(name))
            if found is None:
                raise UnknownContract("the book has no contract of this address: `moneyer contract list` shows it")
            return found
        return read_contract(self.data, self.coin, name)

    def taken_names(self) -> list[str]:
        """Names that no new contract may have."""
        return self.place.names()

    def check_node(self) -> None:
        """Raises WrongCoin where the node runs another coin, ClientError where it does not answer."""
        assert self.place.coin is not None  # noqa: S101 - to ask is to check

    def moment(self) -> Moment:
        """Of the block behind the node's tip. Raises ClientError, WrongCoin."""
        from ..contracts.moment import Moment
        from ..core.pow import median_time_past

        self.check_node()
        newest = self.place.client.get(f"/v1/blocks?limit={MEDIAN_SPAN}")["blocks"]
        return Moment(int(newest[0]["height"]) + 1, median_time_past([int(block["timestamp"]) for block in newest]))

    def moment_if_known(self) -> Moment | None:
        """The same; None where no node answers."""
        from ..client.errors import NoAnswer

        try:
            return self.moment()
        except NoAnswer:
            return None

    def amount(self, units: int, asset: bytes) -> str:
        """Units of the coin or of an asset for people; of an asset with its whole id, for names prove nothing."""
        from ..client.errors import ClientError
        from ..core.types import COIN_ASSET
        from .output import coins

        if asset == COIN_ASSET:
            return coins(units, self.coin.decimals, self.coin.symbol)
        try:
            terms = self.place.client.asset(asset.hex())
            return f"{coins(units, int(terms['decimals']))} {shown(terms['symbol'], 12)} (asset {asset.hex()})"
        except (ClientError, KeyError, TypeError, ValueError):
            return f"{units} units of the asset {asset.hex()}"

    def who(self, payload: bytes) -> str:
        """An address with what it is called here, if anything."""
        from ..core.types import KEY_KIND
        from ..wallet.cosigning.contract_book import contract_at

        address = self.coin.address(payload)
        if payload[0] == KEY_KIND:
            name = self.known.get(payload[1:])
            return f"{shown(name)} ({address})" if name else f"{address} (nobody that is known here)"
        held = contract_at(self.data, self.coin, payload)
        return f"the contract {shown(held.name)} ({address})" if held else f"{address} (a contract, not known here)"


def find_contract_place(data: Path | None, node: str | None) -> ContractPlace:
    """The place that `--data` and `--node` mean."""
    from .place import find_place

    return ContractPlace(find_place(data, node))


def read_handed(path: Path, limit: int) -> bytes:
    """A file that somebody gave, at most `limit` bytes. Raises ClickException, OSError."""
    from ..wallet.errors import WalletMissing, WalletUnreadable
    from ..wallet.private_files import read_private

    try:
        return read_private(path, limit)
    except WalletMissing:
        raise click.ClickException(f"there is no file {path}") from None
    except WalletUnreadable:
        raise click.ClickException(f"{path} is no file of this kind: it is no regular file, or far too large") from None


def write_handed(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file to be given to somebody. Raises ClickException for another one that is there, without `replace`."""
    from ..system.files import write_whole

    try:
        write_whole(path, content, mode=0o600, replace=replace)
    except FileExistsError:
        with path.open("rb") as file:
            if file.read(len(content) + 1) != content:
                raise click.ClickException(f"{path} exists and is not written over: name another file") from None


def confirm(question: str, *, is_sure: bool) -> None:
    """Ask on a terminal. Raises ClickException where nobody can be asked, or says no. `is_sure`: `--yes` was given."""
    from .place import terminal

    if is_sure:
        return
    if not terminal():
        raise click.ClickException("nobody can be asked here: look at what stands above, and say --yes in a script")
    sys.stdout.flush()
    if not click.confirm(question, err=True):
        raise click.ClickException("nothing was signed")
