"""Makes an offer, makes an answer, takes in an answer: keys, terms, checks, the swap's file. Nothing is paid here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from ....contracts.swaps.swap_line import MAX_FILE, read_line
from ....contracts.swaps.swap_terms import (
    NO_KEY,
    BadSwap,
    Half,
    Swap,
    Terms,
    check_answer,
    check_offer,
    propose,
)
from ....core.coin import parse_amount
from ....core.errors import BadAmount
from ....wallet.keystore import MINER
from ....wallet.private_files import locked
from ....wallet.swap_book import SALT_SIZE, SwapRecord, answered, read_swap, secret_of, swap_ids, write_swap
from ...exits import effect
from ...output import confirmations
from ...place import terminal
from .swap_parties import Party, Sides, check_sides, default_confirmations, open_party, swap_of
from .swap_words import say_plan


def read_terms(line: str) -> Terms:
    """The terms of a line, or of the file that has it. Raises BadSwap, OSError."""
    path = Path(line)
    try:
        is_file = len(line) < 4_096 and path.is_file()
    except OSError:  # too long for a name
        is_file = False
    if is_file:
        with path.open("rb") as file:
            line = file.read(MAX_FILE + 1).decode("ascii", "replace")
    elif not line.startswith("moneyer-swap") and len(line) < 200:
        raise BadSwap(f"there is no file {line}, and it is no line of a swap")
    return read_line(line)


def make_offer(sides: Sides, sender: str, amount: str, wanted: str, how: Mapping[str, Any]) -> Party:
    """A new offer, in the swap's file. Raises BadSwap, ClickException, and what `unlock` raises."""
    pays_from, pays_to = sides.own(sides.gives, sender), _receiver(sides, sender, how["to"])
    first, second = sides.gives.coin, sides.gets.coin
    amounts = _units(amount, "AMOUNT", first.decimals), _units(wanted, "WANTED", second.decimals)
    asked = [how["confirmations"] or default_confirmations(coin) for coin in (first, second)]

    def terms_of(digest: bytes, first_key: bytes, second_key: bytes) -> Terms:
        return propose(
            first,
            second,
            Terms(
                digest,
                how["patience"],
                Half(first.chain_id, amounts[0], asked[0], 0, first_key, NO_KEY),
                Half(second.chain_id, amounts[1], asked[1], 0, NO_KEY, second_key),
            ),
            sides.clock(),
        )

    check_offer(Swap(terms_of(NO_KEY, NO_KEY, NO_KEY), first, second), sides.clock())
    name, first_key, second_key = sides.fresh_keys()
    key = sides.gives_wallet.secret_for(sides.gives_wallet.names[name])
    salt = os.urandom(SALT_SIZE)
    terms = terms_of(sha256(secret_of(key, salt)).digest(), first_key, second_key)
    return _kept(sides, SwapRecord("maker", terms, salt, _other(sides), name, pays_from, pays_to))


def make_answer(sides: Sides, terms: Terms, sender: str, how: Mapping[str, Any]) -> Party:
    """An answer to an offer, after all checks, and after asking; the same one for the same offer.

    Raises BadSwap, BadPolicy, ClickException, and what `unlock` raises.
    """
    check_sides(sides, "taker", terms)
    if terms.swap_id in swap_ids(sides.folder):
        return _again(sides, terms)
    swap = swap_of(sides, "taker", terms)
    check_offer(swap, sides.clock())
    least = how["confirmations"] or default_confirmations(swap.first)
    if terms.first.confirmations < least:
        raise BadSwap(
            f"in this offer you pay after {confirmations(terms.first.confirmations)} of the other side's"
            f" {swap.first.symbol}, and {least} are usual: a reorg could undo them. --confirmations"
            f" {terms.first.confirmations} takes it all the same",
            expected=least,
            found=terms.first.confirmations,
        )
    pays_from, pays_to = sides.own(sides.gives, sender), _receiver(sides, sender, how["to"])
    say_plan("taker", swap)
    _ask("Take this offer?", how)
    name, second_key, first_key = sides.fresh_keys()
    terms = terms.answered(first_key, second_key)
    check_answer(Swap(terms, swap.first, swap.second))
    return _kept(sides, SwapRecord("taker", terms, bytes(SALT_SIZE), _other(sides), name, pays_from, pays_to))


def _again(sides: Sides, terms: Terms) -> Party:
    """The swap that was taken before. Raises BadSwap where this is another one with its hash."""
    record = read_swap(sides.folder, terms.swap_id)
    if record.role == "taker" and record.terms.as_offered == terms:
        return Party(sides, record)
    if record.role == "maker" and record.terms.as_offered == terms:
        raise BadSwap("this is your own offer: the other side has to take it")
    raise BadSwap("this offer has the hash of another swap here: a secret is good for one swap. Ask for a new offer")


def take_answer(terms: Terms, how: Mapping[str, Any]) -> Party:
    """The maker's swap with the answer in it, after all checks, and after asking.

    Raises BadSwap, BadPolicy, UnknownSwap, ClickException.
    """
    party = open_party(how, terms.swap_id)
    check_sides(party.sides, party.record.role, terms)
    record = answered(party.record, terms)
    swap = swap_of(party.sides, "maker", terms)
    check_answer(swap)
    if party.record.terms == terms:
        return party
    check_offer(swap, party.sides.clock())
    say_plan("maker", swap)
    _ask("Pay your side now?", how)
    with locked(party.sides.folder):
        record = answered(read_swap(party.sides.folder, terms.swap_id), terms)
        write_swap(party.sides.folder, record)
    return Party(party.sides, record)


def _kept(sides: Sides, record: SwapRecord) -> Party:
    with locked(sides.folder):
        if record.terms.swap_id in swap_ids(sides.folder):
            raise BadSwap("this swap was taken just now by another command: `moneyer swap list` shows it")
        write_swap(sides.folder, record)
    effect().done(f"Swap {record.terms.swap_id} was noted: `moneyer swap status {record.terms.swap_id}` shows it")
    return Party(sides, record)


def _other(sides: Sides) -> Path:
    return sides.gets.wallet_path().parent.absolute()


def _receiver(sides: Sides, sender: str, to: str | None) -> bytes:
    """The account on the other coin that gets what is claimed."""
    if to is not None:
        return sides.own(sides.gets, to)
    wallet = sides.gets.held
    return wallet.payload_of(sender) or wallet.payload_of(MINER) or sides.own(sides.gets, sender)


def _units(text: str, what: str, decimals: int) -> int:
    try:
        return parse_amount(text, decimals)
    except BadAmount as error:
        raise click.UsageError(f"{what}: {error.message}") from None


def _ask(question: str, how: Mapping[str, Any]) -> None:
    if how["yes"]:
        return
    if not terminal():
        raise click.ClickException("nobody can be asked here: look at what is said above, and say --yes")
    click.confirm(question, abort=True, err=True)
