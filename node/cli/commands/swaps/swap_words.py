"""What a swap means for one side, in plain words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ....contracts.moment import about, utc_text
from ....contracts.swaps.swap_steps import HalfSeen, Role, Seen, Step
from ....contracts.swaps.swap_terms import Half, Swap
from ....core.coin import Coin
from ...place import label
from .swap_parties import Party


def plan_lines(role: Role, swap: Swap) -> Iterator[str]:
    """What each side does, by when, and what happens if the other side stops."""
    terms = swap.terms
    first, second = swap.first.in_coins(terms.first.amount), swap.second.in_coins(terms.second.amount)
    is_maker = role == "maker"
    you, they = ("you", "the other side") if is_maker else ("the other side", "you")
    gives, gets, given_half = (first, second, terms.first) if is_maker else (second, first, terms.second)
    yield f"You give {gives} and get {gets} (each less the fee of one transaction)."
    yield f"  {swap.first.symbol} is {label(swap.first)}"
    yield f"  {swap.second.symbol} is {label(swap.second)}"
    pays, claims = ("pay", "claim") if is_maker else ("pays", "claims")
    yield f"1. By {utc_text(swap.first_until)} {you} {pays} {first} into a contract."
    pays, takes = ("pays", "takes") if is_maker else ("pay", "take")
    yield (
        f"2. Once that has {_confirmations(terms.first)}, and by {utc_text(swap.second_until)}, {they} {pays} {second}"
        " into another one."
    )
    yield (
        f"3. Once that has {_confirmations(terms.second)}, and by {utc_text(swap.claim_until)}, {you} {claims} the"
        f" {second}, which shows a secret; with it {they} {takes} the {first}."
    )
    yield (
        f"If the other side stops, you have your {gives} back from about {utc_text(given_half.refund_time)} on"
        f" (it has its own from {utc_text((terms.second if is_maker else terms.first).refund_time)} on)."
    )
    yield (
        f"Be there: from the payment to the end look at least every {_interval(terms.patience)}, or"
        " leave `moneyer swap run` running. Who stays away longer can lose both."
    )


def _interval(seconds: int) -> str:
    """How often to look, after "every"."""
    return f"{seconds} seconds" if seconds < 120 else about(seconds).removeprefix("about ")


def _confirmations(half: Half) -> str:
    return f"{half.confirmations} confirmation{'' if half.confirmations == 1 else 's'}"


def step_lines(step: Step, swap_id: str, where: str) -> Iterator[str]:
    """Where a swap stands, what to do, and by when."""
    yield f"{_NEXT[step.kind]}: {step.sentence}"
    if step.by is not None and not step.is_end:
        yield f"{'do it' if step.kind in _COMMANDS else 'look again'} by {utc_text(step.by)}"
    if step.kind in _COMMANDS:
        yield f"moneyer {_COMMANDS[step.kind]} {swap_id}{where}"


_NEXT = {
    "answer": "waiting",
    "pay": "now",
    "claim": "now",
    "refund": "now",
    "wait": "waiting",
    "done": "done",
    "over": "over",
}
_COMMANDS = {"pay": "swap run", "claim": "swap claim", "refund": "swap refund"}


def party_json(party: Party, seen: Seen | None = None, step: Step | None = None) -> dict[str, Any]:
    """A swap as JSON. Amounts in base units, times in Unix seconds."""
    swap, record = party.swap, party.record
    first = _half_json(swap.first, record.terms.first, None if seen is None else seen.first)
    second = _half_json(swap.second, record.terms.second, None if seen is None else seen.second)
    if record.terms.is_answered:
        first["contract"] = swap.first.address(record.terms.payload(record.terms.first))
        second["contract"] = swap.second.address(record.terms.payload(record.terms.second))
    told = {
        "id": record.terms.swap_id,
        "role": record.role,
        "patience": record.terms.patience,
        "first_until": swap.first_until,
        "second_until": swap.second_until,
        "claim_until": swap.claim_until,
        "first": first,
        "second": second,
    }
    if step is not None:
        told["step"] = {"kind": step.kind, "sentence": step.sentence, "by": step.by}
    return told


def _half_json(coin: Coin, half: Half, seen: HalfSeen | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "symbol": coin.symbol,
        "chain_id": coin.chain_id[::-1].hex(),
        "amount": half.amount,
        "confirmations": half.confirmations,
        "refund_time": half.refund_time,
        "contract": None,
    }
    if seen is not None:
        spend = seen.spend
        told |= {
            "height": seen.moment.height - 1,
            "median_time_past": seen.moment.median_time_past,
            "paid": seen.paid,
            "spent_by": None if spend is None else {"txid": spend.txid, "confirmations": spend.confirmations},
        }
    return told


def say_plan(role: Role, swap: Swap) -> None:
    """Print `plan_lines`, to stderr: stdout is for the line that is passed on."""
    from ....system.advice import as_typed
    from ...output import fitted

    for line in plan_lines(role, swap):
        click.echo(fitted(as_typed(line)), err=True)
