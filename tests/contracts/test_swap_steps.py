"""An honest side of a swap never ends with neither payment, whatever the other side, miners and clocks do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.contracts.moment import Moment
from moneyer.node.contracts.swaps.swap_steps import HalfSeen, Own, Role, Seen, SpendSeen, next_step
from moneyer.node.contracts.swaps.swap_terms import Swap
from tests.contracts.trades import FIRST, NOW, SECOND, SECRET, World, terms_at

NEVER = 10**6
TERMS = terms_at(NOW)
SECOND_TIME = TERMS.second.refund_time - NOW


@pytest.mark.parametrize("role", ["maker", "taker"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_honest_side_has_one_of_the_two_payments_at_the_end(role: Role, data: st.DataObject) -> None:
    world = World(data, role)
    step = world.run()
    assert world.is_whole, (step, world.plan, world.first, world.second)
    assert step.kind in ("done", "over", "wait"), step


def losses_of_a_taker() -> list[int]:
    """When a maker can claim so that the taker, for whom all is as slow as it may be, has neither payment.

    The maker claims in a block of its own, unseen before, and takes back its own payment as soon as that opens.
    """
    found = []
    for claim in range(SECOND_TIME - 40, SECOND_TIME + 90):
        world = World(None, "taker", {"pay": 1, "claim": claim, "refund": 0})
        world.run()
        if not world.is_whole:
            found.append(claim)
    return found


def test_a_taker_has_time_to_claim_whenever_the_maker_does() -> None:
    assert losses_of_a_taker() == []


def test_with_refunds_closer_to_each_other_the_taker_could_lose_both(monkeypatch: pytest.MonkeyPatch) -> None:
    gap = Swap(TERMS, FIRST, SECOND).least_gap
    monkeypatch.setattr(Swap, "least_gap", property(lambda self: gap - 12))
    assert losses_of_a_taker() != []


def losses_of_a_maker() -> list[int]:
    """When a taker can pay, and take it back as soon as that opens, so that a slow maker has neither payment."""
    found = []
    for pay in range(0, SECOND_TIME + 10):
        world = World(None, "maker", {"pay": pay, "claim": 0, "refund": 0})
        world.run()
        if not world.is_whole:
            found.append(pay)
    return found


def test_a_maker_claims_in_time_or_not_at_all() -> None:
    assert losses_of_a_maker() == []


def test_a_maker_who_claims_later_could_lose_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Swap, "claim_until", property(lambda self: self.terms.second.refund_time))
    assert losses_of_a_maker() != []


SWAP = Swap(TERMS, FIRST, SECOND)
EARLY = Moment(100, NOW - 20)
EMPTY = HalfSeen(EARLY)
PAID = Own(has_paid=True)
SHOWN, BACK = SpendSeen("ab" * 32, SECRET, 1), SpendSeen("cd" * 32, None, 1)


@pytest.mark.parametrize(
    ("role", "own", "first", "second", "now", "kind", "words"),
    [
        ("maker", Own(), EMPTY, EMPTY, NOW, "pay", "pay 0.0001 FIRST"),
        ("maker", PAID, EMPTY, EMPTY, NOW, "pay", "send your payment again"),
        ("maker", Own(), EMPTY, EMPTY, SWAP.first_until + 1, "over", "you have paid nothing"),
        ("maker", PAID, HalfSeen(EARLY, 100, 0), HalfSeen(EARLY, 199, 199), NOW, "wait", "too little"),
        ("maker", PAID, HalfSeen(EARLY, 100, 100), HalfSeen(EARLY, 200, 0), NOW, "wait", "confirmations"),
        ("maker", PAID, HalfSeen(EARLY, 100, 100), HalfSeen(EARLY, 200, 200), NOW, "claim", "shows your secret"),
        ("maker", PAID, HalfSeen(EARLY, 100), HalfSeen(EARLY, 200, 200), SWAP.claim_until + 1, "wait", "too late"),
        ("taker", Own(), HalfSeen(EARLY, 99, 99), EMPTY, NOW, "wait", "too little"),
        ("taker", Own(), HalfSeen(EARLY, 100, 0), EMPTY, NOW, "wait", "you have paid nothing"),
        ("taker", Own(), HalfSeen(EARLY, 100, 100), EMPTY, NOW, "pay", "pay 0.0002 SECOND"),
        ("taker", Own(), HalfSeen(EARLY, 100, 100), EMPTY, SWAP.second_until + 1, "over", "you have paid nothing"),
        ("taker", Own(), EMPTY, EMPTY, SWAP.second_until + 1, "over", "not paid in time"),
        ("taker", PAID, EMPTY, HalfSeen(EARLY, 200, 200), NOW, "wait", "a reorg has undone"),
        ("taker", PAID, EMPTY, HalfSeen(Moment(9, TERMS.second.refund_time), 200), NOW, "refund", "take back"),
        ("taker", PAID, HalfSeen(EARLY, 100), HalfSeen(EARLY, 0, 0, SHOWN), NOW, "claim", "at once"),
        ("taker", PAID, HalfSeen(EARLY, 0, 0, BACK), HalfSeen(EARLY, 0, 0, SHOWN), NOW, "over", "came too late"),
        ("taker", PAID, HalfSeen(EARLY, 0, 0, SHOWN), HalfSeen(EARLY, 0, 0, SHOWN), NOW, "done", "you have"),
    ],
)
def test_what_a_side_is_told(
    role: Role, own: Own, first: HalfSeen, second: HalfSeen, now: int, kind: str, words: str
) -> None:
    step = next_step(role, SWAP, own, Seen(first, second, now))
    assert step.kind == kind, step
    assert words in step.sentence


def test_a_reorg_that_undoes_the_last_payment_leads_back() -> None:
    """Nothing is remembered: the same side pays again, claims again, waits again."""
    paid, deep = HalfSeen(EARLY, 100, 100), HalfSeen(EARLY, 200, 200)
    assert next_step("maker", SWAP, PAID, Seen(paid, deep, NOW)).kind == "claim"
    assert next_step("maker", SWAP, PAID, Seen(paid, EMPTY, NOW)).kind == "wait"
    assert next_step("maker", SWAP, Own(True, True), Seen(paid, deep, SWAP.claim_until + 1)).kind == "claim"
    assert next_step("maker", SWAP, PAID, Seen(paid, deep, SWAP.claim_until + 1)).kind == "wait"
    waiting = HalfSeen(EARLY, 200, 200, SpendSeen("ab" * 32, SECRET, 0))
    assert next_step("maker", SWAP, Own(True, True), Seen(paid, waiting, NOW)).in_mempool == "claim"
