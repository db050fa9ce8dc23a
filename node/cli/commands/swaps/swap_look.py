"""Asks a node what stands on its chain of one payment of a swap, at one tip."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from ....client.client import Client
from ....client.errors import NoAnswer
from ....contracts.moment import Moment
from ....contracts.swaps.swap_steps import HalfSeen, SpendSeen
from ....contracts.swaps.swap_terms import Half, Terms
from ....core.coin import Coin
from ....core.errors import BadWitness
from ....core.policy import Hash, decode_witness
from ....core.pow import median_time_past

_TRIES: Final = 10
"""Looks that are begun anew because a block came meanwhile."""
_MEDIAN_SPAN: Final = 11
_POOL: Final = 1_000
"""Transactions of the mempool that are looked through: those that pay best, which are mined next."""


def look(client: Client, coin: Coin, terms: Terms, half: Half) -> HalfSeen:
    """What stands on the chain; all of it belongs to one tip. Raises ClientError."""
    address = coin.address(terms.payload(half)) if terms.is_answered else None
    for _ in range(_TRIES):
        tip = client.status()["tip"]
        seen = HalfSeen(moment_of(client)) if address is None else _look(client, address, terms, half)
        if client.status()["tip"] == tip:
            return seen
    raise NoAnswer(f"blocks come so fast at {client.url} that nothing can be read in between: try again")


def moment_of(client: Client) -> Moment:
    """Of the block that follows the tip. Raises ClientError."""
    blocks = client.get(f"/v1/blocks?limit={_MEDIAN_SPAN}")["blocks"]
    return Moment(blocks[0]["height"] + 1, median_time_past([block["timestamp"] for block in blocks]))


def _look(client: Client, address: str, terms: Terms, half: Half) -> HalfSeen:
    moment = moment_of(client)
    account = client.account(address)
    spent = int(account["sequence"])
    if spent:
        return HalfSeen(moment, account["balance"], spend=_confirmed_spend(client, address, terms, spent))
    shallow = 0
    for each in client.history(address):
        if each["confirmations"] >= half.confirmations:
            break
        shallow += _received(each)
    waits = int(account["pending"]["next_sequence"]) > 0
    return HalfSeen(
        moment,
        account["balance"],
        max(0, account["balance"] - shallow),
        _waiting_spend(client, address, terms) if waits else None,
    )


def _received(transaction: dict[str, Any]) -> int:
    """Base units of the coin that the address got: an asset's units do not count."""
    return 0 if transaction.get("asset") is not None else int(transaction["amount"])


def _confirmed_spend(client: Client, address: str, terms: Terms, spent: int) -> SpendSeen | None:
    """The spend that shows the secret, else the newest; of `spent` in all."""
    found: list[SpendSeen] = []
    for each in client.history(address):
        if each["sender"] == address:
            found.append(_spend(each, terms))
            if found[-1].preimage is not None:
                return found[-1]
            if len(found) >= spent:
                break
    return found[0] if found else None


def _waiting_spend(client: Client, address: str, terms: Terms) -> SpendSeen | None:
    for each in client.mempool(_POOL)["transactions"]:
        if each["sender"] == address:
            return _spend(each, terms)
    return None


def _spend(transaction: dict[str, Any], terms: Terms) -> SpendSeen:
    shown = _preimage(str(transaction["witness"]), terms.digest)
    return SpendSeen(transaction["txid"], shown, transaction["confirmations"], int(transaction["fee"]))


def _preimage(witness: str, digest: bytes) -> bytes | None:
    """The secret in a witness, checked again here; None where it shows none. Raises NoAnswer for what is no witness."""
    try:
        _, shape, items = decode_witness(bytes.fromhex(witness))
    except (ValueError, BadWitness):
        raise NoAnswer("the node gave a spend that no node would take: is it a Moneyer node?") from None
    shown = (item.data for item in items if isinstance(shape.leaves[item.index], Hash))
    return next((data for data in shown if sha256(data).digest() == digest), None)
