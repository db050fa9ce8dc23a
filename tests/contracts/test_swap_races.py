"""Swaps whose two ways are both open, and a refund and a claim wait for the same block."""

from __future__ import annotations

import pytest

from moneyer.node.contracts.moment import Moment
from moneyer.node.contracts.swaps.swap_steps import HalfSeen, Own, Role, Seen, SpendSeen, next_step
from moneyer.node.contracts.swaps.swap_terms import Half, Swap, Terms, propose
from tests.kit import chains

NOW = 1_700_000_000
FIRST, SECOND = (chains.easy_coin(name=f"{name} Coin", symbol=name.upper(), rules=2) for name in ("one", "two"))
TERMS = propose(
    FIRST,
    SECOND,
    Terms(
        bytes(range(32)),
        600,
        Half(FIRST.chain_id, 50, 1, 0, b"\1" * 32, b"\2" * 32),
        Half(SECOND.chain_id, 70, 1, 0, b"\3" * 32, b"\4" * 32),
    ),
    NOW,
)
SWAP = Swap(TERMS, FIRST, SECOND)
REFUND, CLAIM = SpendSeen("aa", None, 0, fee=9), SpendSeen("bb", b"s" * 32, 0)
LATE = TERMS.first.refund_time + 1


def step_of(role: Role, own: Own, first: HalfSeen, second: HalfSeen) -> str:
    return next_step(role, SWAP, own, Seen(first, second, LATE)).kind


def half(paid: int, spend: SpendSeen | None = None) -> HalfSeen:
    return HalfSeen(Moment(50, LATE), paid, paid, spend)


@pytest.mark.parametrize(("paid", "depth", "kind"), [(50, 0, "claim"), (0, 1, "over")])
def test_a_taker_claims_before_a_refund_that_waits(paid: int, depth: int, kind: str) -> None:
    refund = SpendSeen("aa", None, depth, fee=9)
    assert step_of("taker", Own(has_paid=True), half(paid, refund), half(0, CLAIM)) == kind


@pytest.mark.parametrize(("own", "kind"), [(Own(True, True), "claim"), (Own(True, False), "refund")])
def test_a_maker_whose_secret_is_public_claims_before_a_refund_that_waits(own: Own, kind: str) -> None:
    """Else the other side takes the claim's place in the mempool, and has both. One whose secret is not waits."""
    assert step_of("maker", own, half(50), half(70, REFUND)) == kind
