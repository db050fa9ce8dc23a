"""Which leaves a spend names: never worse than any of all sets that are exactly enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.contracts.choose import AtHand, Choice, choose, missing, opens_for
from moneyer.node.contracts.explain import in_words
from moneyer.node.contracts.moment import Moment
from moneyer.node.contracts.policy_tree import is_open, shown_tree
from moneyer.node.contracts.safety import cautions, check_needs_a_key, keys_always_needed
from moneyer.node.core.policy import (
    AfterHeight,
    AfterTime,
    Hash,
    Key,
    Leaf,
    Locks,
    Policy,
    Threshold,
    decode_policy,
    encode_policy,
    leaves_of,
    locks_of,
)
from tests.contracts.brute_force import exact_sets, is_small
from tests.contracts.people import COIN, DIGEST, NAMES, NOW, key_of, name_of, policies, policy_of

SECRET = bytes.fromhex(DIGEST)


def hands(*names: str, digests: tuple[bytes, ...] = ()) -> AtHand:
    return AtHand([key_of(name) for name in names], digests)


@pytest.mark.parametrize(
    ("text", "at_hand", "leaves", "names"),
    [
        ("2 of (alice, bob, carol)", hands("alice", "carol"), (0, 2), ["alice", "carol"]),
        ("2 of (alice, bob, carol)", hands("alice", "bob", "carol"), (0, 1), ["alice", "bob"]),
        ("(alice and bob) or carol", hands("alice", "bob", "carol"), (2,), ["carol"]),
        ("(alice and after height 5) or bob", hands("alice", "bob"), (2,), ["bob"]),
        (f"(alice and hash {DIGEST}) or bob", hands("alice", "bob", digests=(SECRET,)), (2,), ["bob"]),
        (
            f"(alice and hash {DIGEST}) or (bob and carol)",
            hands("alice", "bob", "carol", digests=(SECRET,)),
            (0, 1),
            ["alice"],
        ),
        ("alice and after height 1000", hands("alice"), (0, 1), ["alice"]),
    ],
)
def test_the_cheapest_way_is_chosen(text: str, at_hand: AtHand, leaves: tuple[int, ...], names: list[str]) -> None:
    choice = choose(policy_of(text), at_hand, NOW)
    assert choice is not None
    assert choice.leaves == leaves
    assert choice.keys == tuple(map(key_of, names))


def test_a_choice_says_what_it_reveals_and_from_when_it_holds() -> None:
    policy = policy_of(f"alice and hash {DIGEST} and after height 900 and after height 40 and after time 7")
    assert choose(policy, hands("alice", digests=(SECRET,)), NOW) == Choice(
        leaves=(0, 1, 2, 3, 4), keys=(key_of("alice"),), digests=(SECRET,), locks=Locks(900, 7)
    )
    assert choose(policy, hands("alice"), NOW) is None
    assert choose(policy, hands("alice", digests=(SECRET,)), Moment(899, 7)) is None


_hands = st.builds(AtHand, st.sets(st.sampled_from(NAMES).map(key_of), max_size=12), st.sets(st.just(bytes(32))))


def cost_of(leaves: list[Leaf], named: tuple[int, ...]) -> tuple[int, int, int]:
    kinds = [type(leaves[index]) for index in named]
    return kinds.count(Key), kinds.count(Hash), kinds.count(AfterHeight) + kinds.count(AfterTime)


def is_met(at_hand: AtHand, moment: Moment) -> Callable[[Leaf], bool]:
    return lambda leaf: moment.has_come(leaf) if isinstance(leaf, AfterHeight | AfterTime) else at_hand.has(leaf)


@given(policies().filter(is_small), _hands)
def test_no_set_that_is_exactly_enough_is_cheaper(policy: Policy, at_hand: AtHand) -> None:
    leaves = list(leaves_of(policy))
    met = is_met(at_hand, NOW)
    sets = exact_sets(policy)
    usable = [named for named in sets if all(met(leaves[index]) for index in named)]
    choice = choose(policy, at_hand, NOW)
    if choice is None:
        assert usable == []
        assert missing(policy, at_hand, NOW, COIN, name_of) is not None
    else:
        assert choice.leaves in usable
        assert cost_of(leaves, choice.leaves) == min(cost_of(leaves, named) for named in usable)
        assert choice.locks == locks_of(leaves, choice.leaves)
        assert missing(policy, at_hand, NOW, COIN, name_of) is None


@given(policies().filter(is_small), _hands)
def test_waiting_ends_when_the_soonest_set_opens(policy: Policy, at_hand: AtHand) -> None:
    leaves = list(leaves_of(policy))
    waits = []
    for named in exact_sets(policy):
        used = [leaves[index] for index in named]
        if all(isinstance(leaf, AfterHeight | AfterTime) or at_hand.has(leaf) for leaf in used):
            closed = [leaf for leaf in used if isinstance(leaf, AfterHeight | AfterTime) and not NOW.has_come(leaf)]
            waits.append(max([NOW.seconds_until(lock, COIN) for lock in closed], default=0))
    locks = opens_for(policy, at_hand, NOW, COIN)
    assert (locks is None) == (not waits)
    if locks is not None:
        until = [NOW.seconds_until(AfterHeight(locks.height), COIN)] if locks.height else []
        until += [NOW.seconds_until(AfterTime(locks.time), COIN)] if locks.time else []
        assert max(until, default=0) == min(waits)
        then = Moment(max(NOW.height, locks.height), max(NOW.median_time_past, locks.time))
        assert choose(policy, at_hand, then) is not None


@pytest.mark.parametrize(
    ("text", "at_hand", "sentence"),
    [
        ("2 of (alice, bob, carol)", hands("alice"), "now it still needs bob or carol"),
        ("2 of (alice, bob, carol)", hands(), "now it still needs any 2 of alice, bob, carol"),
        (
            "alice or (bob and after height 5000)",
            hands("bob"),
            "now it still needs alice; from block 5000 on (in about 11 hours) nobody else is needed",
        ),
        (
            f"(bob and hash {DIGEST}) or (alice and after height 1440)",
            hands("bob"),
            "now it still needs the secret of 9f86d081…",
        ),
        (
            "alice and bob and after height 2000",
            hands("alice"),
            "nobody can spend before block 2000 (in about 3 hours); from then on it still needs bob",
        ),
        (
            "alice and after 2024-01-01 and after height 1001",
            hands("alice"),
            "from block 1001 and 2024-01-01 00:00 UTC on (in about 47 days) nobody else is needed",
        ),
    ],
)
def test_what_is_missing_is_said(text: str, at_hand: AtHand, sentence: str) -> None:
    found = missing(policy_of(text), at_hand, NOW, COIN, name_of)
    assert found is not None
    assert found.sentence == sentence


def _of_locks(k: int, n: int, first: int) -> Threshold:
    return Threshold(k, tuple([AfterHeight(first + 100 * number) for number in range(n)]))


@pytest.mark.parametrize("k", [1, 2, 8, 15])
def test_the_largest_policies_are_no_more_work(k: int) -> None:
    """Some have 10^12 choices: whatever walked through them would not come back."""
    children = (_of_locks(8, 15, 2_000), _of_locks(8, 15, 4_000), _of_locks(k, 15, 6_000))
    keys = Threshold(7, tuple([Key(key_of(name)) for name in NAMES[:14]]))
    policy = Threshold(3, (*children, keys))
    assert decode_policy(encode_policy(policy)).policy == policy
    at_hand = hands(*NAMES[3:])
    later = Moment(10_000, NOW.median_time_past)
    choice = choose(policy, at_hand, later)
    assert choice is not None
    assert len(choice.keys) == 0
    assert keys_always_needed(policy) == []
    assert not is_open(policy, NOW)
    for moment in (NOW, later):
        in_words(policy, COIN, moment, name_of).lines()
        shown_tree(policy, moment, name_of)
        missing(policy, at_hand, moment, COIN, name_of)
        cautions(policy, COIN, moment, name_of)
    check_needs_a_key(Threshold(4, policy.children))
