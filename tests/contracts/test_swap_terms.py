"""A swap's line says what was written or is refused; terms that are not safe are refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.contracts.errors import BadPolicy
from moneyer.node.contracts.swaps.swap_line import LINE_LENGTH, read_line, write_line
from moneyer.node.contracts.swaps.swap_terms import BadSwap, Swap, Terms, check_answer, check_offer
from tests.contracts.trades import FIRST, NOW, SECOND, terms_at, xonly
from tests.kit.chains import easy_coin

TERMS = terms_at()
LINE = write_line(TERMS)


def test_a_line_has_all_terms_and_one_length() -> None:
    assert read_line(LINE) == TERMS
    assert read_line(write_line(TERMS.as_offered)) == TERMS.as_offered
    assert len(LINE) == LINE_LENGTH
    assert read_line(f"  {LINE[:100]}\n  {LINE[100:]}\n") == TERMS


@given(st.integers(0, LINE_LENGTH - 1), st.sampled_from("Aa0_-=%\x00é"))
def test_a_changed_line_is_refused(place: int, letter: str) -> None:
    changed = LINE[:place] + letter + LINE[place + 1 :]
    if changed != LINE:
        with pytest.raises(BadSwap):
            read_line(changed)


@given(st.integers(0, LINE_LENGTH - 1))
def test_a_cut_line_is_refused(length: int) -> None:
    with pytest.raises(BadSwap):
        read_line(LINE[:length])


@pytest.mark.parametrize("text", ["", "x" * 10**6, "moneyer-swap2:" + "A" * 352, LINE + LINE, LINE + "A"])
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(BadSwap):
        read_line(text)


def test_an_offer_that_was_proposed_is_safe() -> None:
    swap = Swap(TERMS, FIRST, SECOND)
    check_offer(swap, NOW)
    check_answer(swap)
    assert NOW < swap.first_until < swap.second_until < swap.claim_until < TERMS.second.refund_time
    assert TERMS.first.refund_time - TERMS.second.refund_time == swap.least_gap


def first(**changes: Any) -> Terms:
    return replace(TERMS, first=replace(TERMS.first, **changes))


def second(**changes: Any) -> Terms:
    return replace(TERMS, second=replace(TERMS.second, **changes))


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (first(amount=0), "more than 1 base unit"),
        (second(amount=1), "more than 1 base unit"),
        (second(amount=2**53), "more than 1 base unit"),
        (first(confirmations=0), "1 to 1000 confirmations"),
        (replace(TERMS, patience=1), "patience"),
        (first(refund_time=TERMS.first.refund_time - 1), "too close to each other"),
        (first(refund_time=TERMS.second.refund_time - 1), "too close to each other"),
        (second(refund_time=TERMS.second.refund_time + 1), "too close to each other"),
        (second(refund_time=TERMS.second.refund_time - 30), "too late for this swap"),
        (first(refund_time=NOW + 91 * 86_400), "too long"),
        (second(chain_id=FIRST.chain_id), "same chain"),
        (second(chain_id=bytes(32)), "another coin"),
    ],
)
def test_terms_that_are_not_safe_are_refused(terms: Terms, words: str) -> None:
    with pytest.raises(BadSwap, match=words):
        check_offer(Swap(terms, FIRST, SECOND), NOW)


def test_a_coin_of_rules_1_is_not_swapped() -> None:
    old = easy_coin(name="Old Coin")
    with pytest.raises(BadSwap, match="rules 1"):
        check_offer(Swap(first(chain_id=old.chain_id), old, SECOND), NOW)


def test_an_answer_needs_keys_of_both_sides() -> None:
    with pytest.raises(BadSwap, match="without the other side's keys"):
        check_answer(Swap(TERMS.as_offered, FIRST, SECOND))
    with pytest.raises(BadSwap, match="one of them alone"):
        check_answer(Swap(TERMS.answered(TERMS.first.payer_key, xonly("dora")), FIRST, SECOND))
    with pytest.raises(BadPolicy, match="curve"):
        check_answer(Swap(TERMS.answered(b"\xff" * 32, xonly("dora")), FIRST, SECOND))
