"""An honest side of a swap never ends with neither payment, whatever the other side, miners and clocks do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.contracts.swaps.swap_steps import Role
from moneyer.node.contracts.swaps.swap_terms import Swap
from tests.contracts.trades import FIRST, NOW, SECOND, World, terms_at

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
