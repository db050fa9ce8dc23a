"""What a person names by its first digits: tables show no more of a txid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from node.words import quoted

if TYPE_CHECKING:
    from node.cli.place import Place

_BEGINNING = re.compile(r"([0-9a-f]{4,63})(?:…|\.\.\.)?")
_WHOLE = re.compile(r"[0-9a-f]{64}")
_DEPTH = 1_000
"""Transactions of each name that are looked through, the newest."""


def whole_txid(place: Place, text: str) -> str:
    """The txid that `text` begins, of what waits and of the names of this wallet and its contacts; others as they are.

    Raises ClickException where there is none, or more than one, UsageError for what begins no txid.
    """
    match = _BEGINNING.fullmatch(text.lower())
    if match is None:
        if not _WHOLE.fullmatch(text.lower()):
            raise click.UsageError(
                f"{quoted(text)} is no txid: one has 64 digits of 0-9 and a-f, of which the first 4 may do"
            )
        return text
    found = sorted({txid for txid in _known(place) if txid.startswith(match[1])})
    if not found:
        raise click.ClickException(
            f"nothing that waits, and nothing that your names sent or got lately, begins with {match[1]}: give all 64 "
            "digits of the txid"
        )
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} begin with {match[1]}: give more digits. One is {found[0]}")
    return found[0]


def _known(place: Place) -> Iterator[str]:
    client, coin = place.client, place.coin
    yield from (each["txid"] for each in client.mempool()["transactions"])
    names = place.wallet.names.values() if place.wallet is not None else ()
    for address in (*map(coin.address, names), *place.contacts.values()):
        yield from (each["txid"] for each in islice(client.history(address, _DEPTH), _DEPTH))
