"""One side of a swap on this machine: two data folders, their nodes and wallets, and the swap that they are about."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from ....contracts.swaps.swap_steps import Role, Seen, Step, next_step
from ....contracts.swaps.swap_terms import BadSwap, Swap, Terms
from ....core.coin import Coin
from ....devnet.devcoin import is_development
from ....wallet.derive import random_key
from ....wallet.edit import derive_key
from ....wallet.errors import UnknownKey
from ....wallet.keystore import Wallet, add_key
from ....wallet.swap_book import SwapRecord, find_swap, read_swap, swap_ids
from ...place import Place, find_place, label
from ...secret import unlock
from .swap_look import look, moment_of


@dataclass(frozen=True)
class Sides:
    """The coin that is given and the one that is got."""

    gives: Place
    gets: Place
    gives_key_file: Path | None
    gets_key_file: Path | None

    @property
    def folder(self) -> Path:
        """Where the swap's file lies."""
        return self.gives.wallet_path().parent

    @cached_property
    def gives_wallet(self) -> Wallet:
        """With its keys. Raises what `unlock` raises."""
        return unlock(self.gives.wallet_path(), self.gives_key_file)[0]

    @cached_property
    def gets_wallet(self) -> Wallet:
        return unlock(self.gets.wallet_path(), self.gets_key_file)[0]

    def clock(self) -> int:
        """The latest that it may be: of this machine and of both chains, Unix seconds. Raises ClientError."""
        medians = [moment_of(place.client).median_time_past for place in (self.gives, self.gets)]
        return max(int(time.time()), *medians)

    def own(self, place: Place, who: str) -> bytes:
        """The payload of an account whose key a wallet holds. Raises ClickException, UnknownName."""
        payload = place.payload(who)
        if place.held.name_of(payload) is None:
            raise click.ClickException(f"the key of {who[:80]} is not in {place.wallet_path()}: name an account of it")
        return payload

    def fresh_keys(self) -> tuple[str, bytes, bytes]:
        """A new key in both wallets: its name, and its 32-byte public keys on the given and on the other coin."""
        name = f"swap-{os.urandom(4).hex()}"
        given = _fresh(self.gives, name, self.gives_key_file)
        got = _fresh(self.gets, name, self.gets_key_file)
        for cached in ("gives_wallet", "gets_wallet"):  # opened before the key was in it
            self.__dict__.pop(cached, None)
        return name, given, got


def _fresh(place: Place, name: str, key_file: Path | None) -> bytes:
    """A key that nothing else uses: of the wallet's phrase, and random where that is published or there is none."""
    path = place.wallet_path()
    wallet, passphrase = unlock(path, key_file)
    try:
        if wallet.development:
            raise UnknownKey("its phrase is published")
        held = derive_key(path, name, passphrase=passphrase)
    except UnknownKey:
        held = add_key(path, name, random_key(), passphrase=passphrase)
    return held.names[name][1:]


def swap_of(sides: Sides, role: Role, terms: Terms) -> Swap:
    """Terms with the coins of both nodes, on which they were not checked yet. Raises ClientError."""
    coins = (sides.gives.coin, sides.gets.coin)
    return Swap(terms, *(coins if role == "maker" else coins[::-1]))


def check_sides(sides: Sides, role: Role, terms: Terms) -> None:
    """Both folders are of the coins that the terms name. Raises BadSwap, which says if they are the wrong way round."""
    gives, gets = (terms.first, terms.second) if role == "maker" else (terms.second, terms.first)
    found: tuple[Coin, Coin] = (sides.gives.coin, sides.gets.coin)
    if (gives.chain_id, gets.chain_id) == (found[0].chain_id, found[1].chain_id):
        return
    if (gives.chain_id, gets.chain_id) == (found[1].chain_id, found[0].chain_id):
        raise BadSwap(
            f"in this swap you give {found[1].symbol} and get {found[0].symbol}: name the folder of {found[1].symbol}"
            " with --data, and the other with --other"
        )
    wrong = found[0] if gives.chain_id != found[0].chain_id else found[1]
    wanted = gives if wrong is found[0] else gets
    raise BadSwap(
        f"this swap is about the chain {wanted.chain_id[::-1].hex()[:12]}…, and here is {label(wrong)}: name the"
        " folder of the right coin",
        expected=wanted.chain_id[::-1].hex(),
        found=wrong.chain_id[::-1].hex(),
    )


def default_confirmations(coin: Coin) -> int:
    """See `swap_terms.least_confirmations`."""
    from ....contracts.swaps.swap_terms import least_confirmations

    return least_confirmations(coin, is_development=is_development(coin))


@dataclass(frozen=True)
class Party:
    """A swap that the folder takes part in."""

    sides: Sides
    record: SwapRecord

    @property
    def terms(self) -> Terms:
        return self.record.terms

    @cached_property
    def swap(self) -> Swap:
        check_sides(self.sides, self.record.role, self.terms)
        return swap_of(self.sides, self.record.role, self.terms)

    def see(self) -> Seen:
        """Both chains as they are now. Raises ClientError."""
        swap, sides = self.swap, (self.sides.gives, self.sides.gets)
        first, second = sides if self.record.role == "maker" else sides[::-1]
        return Seen(
            look(first.client, swap.first, self.terms, self.terms.first),
            look(second.client, swap.second, self.terms, self.terms.second),
            int(time.time()),
        )

    def step(self, seen: Seen) -> Step:
        return next_step(self.record.role, self.swap, self.record.own, seen)

    def reread(self) -> Party:
        """With the record as it is on the disk now, where another process may have changed it."""
        return replace(self, record=read_swap(self.sides.folder, self.terms.swap_id))


def open_sides(how: Mapping[str, Any], other: Path | None) -> Sides:
    """The two places that a command's options name. Raises ClickException."""
    if other is None:
        raise click.UsageError("name the data folder of the other coin with --other DIR")
    return Sides(
        find_place(how["data"], how["node"]),
        find_place(other, how["other_node"]),
        how["passphrase_file"],
        how["other_passphrase_file"] or how["passphrase_file"],
    )


def open_party(how: Mapping[str, Any], beginning: str | None) -> Party:
    """The swap whose id begins so; without a beginning the folder's only one. Raises UnknownSwap, ClickException."""
    folder = find_place(how["data"], how["node"]).wallet_path().parent
    swap_id = only_swap(folder) if beginning is None else find_swap(folder, beginning)
    record = read_swap(folder, swap_id)
    return Party(open_sides(how, how["other"] or record.other_folder), record)


def only_swap(folder: Path) -> str:
    """The id of the only swap of a folder. Raises ClickException."""
    known = swap_ids(folder)
    if len(known) != 1:
        if not known:
            raise click.ClickException("there is no swap here: `moneyer swap offer` or `moneyer swap take` begins one")
        raise click.ClickException(f"there are {len(known)} swaps here: name one; `moneyer swap list` shows them")
    return known[0]
