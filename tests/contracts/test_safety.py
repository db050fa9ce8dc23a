"""Which policies are refused and why, and what their owners are told."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given

from moneyer.node.contracts.errors import BadPolicy
from moneyer.node.contracts.moment import LAST_TIME, Moment
from moneyer.node.contracts.safety import (
    cautions,
    check_bounds,
    check_needs_a_key,
    check_safe,
    check_times_apart,
    keys_always_needed,
    least_gap,
    read_safe_policy,
    with_spare,
)
from moneyer.node.core.policy import AfterHeight, AfterTime, Key, Policy, Threshold, leaves_of
from tests.contracts.brute_force import exact_sets, is_small
from tests.contracts.people import COIN, DIGEST, NOW, key_of, name_of, policies, policy_of, resolve
from tests.kit import chains

SOON = NOW.median_time_past
SAFE = [
    "alice",
    "2 of (alice, bob, carol)",
    "alice or (bob and after height 1007)",
    f"alice or (bob and after time {SOON + 61})",
    "alice and after height 1001",
    "alice and after height 1001 and after height 1002",
    f"alice and after height 1001 and after time {SOON + 1}",
    "(alice and after height 1100) or (bob and after height 1107)",
    "(alice and after height 1100) or (bob and after height 1100)",
    "(alice and after height 10) or (bob and after height 11)",
    "(alice and after height 1000) or (bob and after height 1007)",
    f"(alice and hash {DIGEST}) or (bob and after height 1440)",
    "3 of (alice, bob, carol, after height 1100, after height 1200)",
    "(after height 1001 and alice) or (bob and after height 2000)",
]
REFUSED = [
    ("alice or ^after height 5000", "without a key"),
    (f"^hash {DIGEST}", "without a key"),
    (f"alice or (bob and (carol or dave)) or ^(hash {DIGEST} and after height 4)".replace("^(", "(^"), "without a key"),
    ("^1 of (alice, after height 1)".replace("^1 of (alice, ", "1 of (alice, ^"), "without a key"),
    (f"^2 of (alice, hash {DIGEST}, after height 1)", "without a key"),
    (f"alice or ^{bytes(31).hex()}05", "not on the curve"),
    ("alice and ^after height 4294967295", "never be met"),
    (f"alice and ^after time {LAST_TIME + 1}", "never be met"),
    ("(alice and ^after height 400000000) or (bob and after height 500000000)", "never be met"),
    ("alice or (bob and ^after height 1006)", "too near to now"),
    (f"alice or (bob and ^after time {SOON + 60})", "too near to now"),
    ("(alice and after height 1100) or (bob and ^after height 1106)", "too close"),
    ("(bob and ^after height 1106) or (alice and after height 1100)", "too close"),
    (f"(alice and after time {SOON + 900}) or (bob and ^after time {SOON + 960})", "too close"),
    (f"(alice and after height 1100) or (bob and ^after time {SOON + 1_055})", "too close"),
    (f"(alice and after height 1100) or (bob and ^after time {SOON + 1_000})", "too close"),
    ("3 of (alice, bob, carol, after height 1100, ^after height 1101)", "too close"),
    ("(alice or (bob and after height 1100)) and (carol or (dave and ^after height 1101))", "too close"),
    ("(after height 1001 and alice) or (bob and ^after height 1007)", "too close"),
]


@pytest.mark.parametrize("text", SAFE)
def test_a_sound_policy_is_taken(text: str) -> None:
    assert read_safe_policy(text, resolve, COIN, NOW) == policy_of(text)


@pytest.mark.parametrize(("marked", "why"), REFUSED)
def test_an_unsafe_policy_is_refused_at_its_place(marked: str, why: str) -> None:
    before, _, behind = marked.partition("^")
    with pytest.raises(BadPolicy, match=why) as refused:
        read_safe_policy(before + behind, resolve, COIN, NOW)
    assert refused.value.position == len(before)
    assert refused.value.code == "bad_policy"


@pytest.mark.parametrize(
    ("block_time", "clock_tolerance", "blocks", "seconds"),
    [(10, 60, 7, 61), (600, 60, 2, 1200), (1, 7200, 7201, 7201), (60, 60, 2, 120), (2, 12, 7, 13)],
)
def test_locks_lie_further_apart_than_the_clock_and_than_two_blocks(
    block_time: int, clock_tolerance: int, blocks: int, seconds: int
) -> None:
    coin = chains.easy_coin(block_time=block_time, clock_tolerance=clock_tolerance)
    assert least_gap(coin) == (blocks, seconds)
    assert least_gap(coin).blocks * block_time > clock_tolerance


def test_without_a_moment_only_what_the_text_itself_says_is_judged() -> None:
    for text in ("alice or (bob and after height 3)", "(alice and after height 100) or (bob and after height 107)"):
        assert read_safe_policy(text, resolve, COIN) == policy_of(text)
    check_safe(policy_of("(alice and after height 1100) or (bob and after 2023-11-15)"), COIN)
    with pytest.raises(BadPolicy, match="too close"):
        check_safe(policy_of("(alice and after height 2) or (bob and after height 3)"), COIN)
    with pytest.raises(BadPolicy, match="never be met"):
        check_safe(policy_of("alice and after height 4294967295"), COIN)


@pytest.mark.parametrize(
    "policy",
    [
        Key(bytes(31)),
        AfterHeight(2**32),
        AfterTime(-1),
        Threshold(3, (Key(key_of("alice")), Key(key_of("bob")))),
        Threshold(0, (Key(key_of("alice")), Key(key_of("bob")))),
        Threshold(1, (Key(key_of("alice")),)),
        Threshold(1, (Key(key_of("alice")), Key(key_of("alice")))),
        Threshold(1, tuple([AfterHeight(0)] * 17)),
        Threshold(1, tuple([AfterHeight(0)] * 300)),
    ],
)
def test_a_policy_that_has_no_bytes_is_refused(policy: Policy) -> None:
    with pytest.raises(BadPolicy):
        check_bounds(policy)


@given(policies().filter(is_small))
def test_a_policy_is_keyless_where_some_exact_choice_names_no_key(policy: Policy) -> None:
    leaves = list(leaves_of(policy))
    keyless = any(not any(isinstance(leaves[index], Key) for index in named) for named in exact_sets(policy))
    if keyless:
        with pytest.raises(BadPolicy, match="without a key"):
            check_needs_a_key(policy)
    else:
        check_needs_a_key(policy)


@given(policies().filter(is_small))
def test_a_key_is_always_needed_where_every_exact_choice_names_it(policy: Policy) -> None:
    sets = exact_sets(policy)
    leaves = list(leaves_of(policy))
    needed = [
        leaf.key for index, leaf in enumerate(leaves) if isinstance(leaf, Key) and all(index in named for named in sets)
    ]
    assert keys_always_needed(policy) == needed


@given(policies().filter(is_small))
def test_locks_are_too_close_where_some_choice_needs_one_of_them_without_the_other(policy: Policy) -> None:
    sets = exact_sets(policy)
    waiting = [
        (index, leaf)
        for index, leaf in enumerate(leaves_of(policy))
        if isinstance(leaf, AfterHeight | AfterTime) and not NOW.has_come(leaf)
    ]
    gap = least_gap(COIN)

    def is_close(one: AfterHeight | AfterTime, other: AfterHeight | AfterTime | None) -> bool:
        early = 0 if other is None else NOW.seconds_until(other, COIN)
        late = NOW.seconds_until(one, COIN)
        if other is not None and (early, isinstance(other, AfterTime)) > (late, isinstance(one, AfterTime)):
            early, late, one = late, early, other
        return late - early < (70 if isinstance(one, AfterHeight) else gap.seconds)

    is_open = any(not any(index in named for index, _ in waiting) for named in sets)
    close = is_open and any(
        is_close(leaf, None) and not all(index in named for named in sets) for index, leaf in waiting
    )
    for (first, one), (second, other) in combinations(waiting, 2):
        apart = any((first in named) != (second in named) for named in sets)
        close = close or (apart and one != other and is_close(one, other))
    if close:
        with pytest.raises(BadPolicy, match=r"too close|too near"):
            check_times_apart(policy, COIN, NOW)
    else:
        check_times_apart(policy, COIN, NOW)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("alice", []),
        ("2 of (alice, bob, carol)", []),
        ("alice and bob", ["all_needed"]),
        ("alice and (bob or carol)", ["one_key"]),
        ("alice and after height 2000", ["one_key"]),
        ("(alice and bob) or (carol and after height 2000)", ["both_open"]),
        ("alice or (bob and after height 999)", ["past"]),
        ("alice or (bob and after height 1010)", ["both_open", "close"]),
        ("alice or (bob and after 2050-01-01)", ["far"]),
        ("(alice and after height 2000) or (bob and after 2024-01-01)", ["both_open", "mixed_clocks"]),
        (f"(bob and hash {DIGEST}) or (alice and after height 1440)", ["both_open", "hash"]),
    ],
)
def test_owners_are_told_what_to_mind(text: str, codes: list[str]) -> None:
    assert [caution.code for caution in cautions(policy_of(text), COIN, NOW, name_of)] == codes


def test_an_n_of_n_is_told_with_names_and_with_a_way_out() -> None:
    (caution,) = cautions(policy_of("alice and bob"), COIN, NOW, name_of)
    assert "the keys of alice and bob" in caution.message
    assert caution.message.endswith("2 of 3")


@pytest.mark.parametrize(
    ("text", "spared"),
    [
        ("alice and bob", "2 of (alice, bob, carol)"),
        ("alice and bob and after height 2000", "2 of (alice, bob, carol) and after height 2000"),
        ("(alice and bob) or (dave and after height 9)", "2 of (alice, bob, carol) or (dave and after height 9)"),
        ("alice and after height 2000", None),
        ("alice or bob", None),
        ("alice", None),
        ("carol and bob", None),
    ],
)
def test_a_spare_key_makes_an_n_of_n_bear_a_loss(text: str, spared: str | None) -> None:
    made = with_spare(policy_of(text), key_of("carol"))
    assert made == (policy_of(spared) if spared else None)


@given(policies(widest=16))
def test_every_policy_is_judged(policy: Policy) -> None:
    for moment in (None, NOW, Moment(0, 0), Moment(2**32 - 1, LAST_TIME)):
        cautions(policy, COIN, moment, name_of)
        try:
            check_safe(policy, COIN, moment)
        except BadPolicy as error:
            refused = error
        else:
            check_needs_a_key(policy)
            continue
        assert refused.details.get("node") is not None
