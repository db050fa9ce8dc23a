"""Policies in plain English, at a moment."""

from __future__ import annotations

import pytest
from hypothesis import given

from moneyer.node.contracts.explain import in_words
from moneyer.node.contracts.moment import Moment, about, date_text, utc_text
from moneyer.node.contracts.policy_tree import is_open
from moneyer.node.core.policy import AfterHeight, AfterTime, Key, Policy, leaves_of
from tests.contracts.people import COIN, DIGEST, NOW, key_of, name_of, policies, policy_of

EXAMPLES = [
    ("alice", ["alice", "now: alice alone"]),
    ("2 of (alice, bob, carol)", ["any 2 of alice, bob, carol", "now: any 2 of alice, bob, carol"]),
    ("alice and bob and carol", ["alice, bob and carol together", "now: alice, bob and carol together"]),
    (
        "alice or (bob and after height 5000)",
        [
            "alice; or bob, from block 5000 on",
            "now: alice alone",
            "from block 5000 on (in about 11 hours): bob alone",
        ],
    ),
    (
        "alice and after 2024-01-01 12:30",
        [
            "alice, from 2024-01-01 12:30 UTC on",
            "now: nobody, it is locked",
            "from 2024-01-01 12:30 UTC on (in about 47 days): alice alone",
        ],
    ),
    (
        f"(bob and hash {DIGEST}) or (alice and after height 1440)",
        [
            "bob with the secret of 9f86d081…; or alice, from block 1440 on",
            "now: bob with the secret of 9f86d081…",
            "from block 1440 on (in about 1 hour): alice alone",
        ],
    ),
    (
        "2 of (alice, bob and carol, after height 5000)",
        [
            "any 2 of alice, (bob and carol together), block 5000 reached",
            "now: alice, bob and carol together",
            "from block 5000 on (in about 11 hours): alice alone; or bob and carol together",
        ],
    ),
    (
        "3 of (alice, bob, carol, after height 1100, after height 1200)",
        [
            "any 3 of alice, bob, carol, block 1100 reached, block 1200 reached",
            "now: alice, bob and carol together",
            "from block 1100 on (in about 17 minutes): any 2 of alice, bob, carol",
            "from block 1200 on (in about 33 minutes): alice alone, bob alone or carol alone",
        ],
    ),
    (
        "(alice and after height 2000) or (bob and after 2023-11-15 03:50)",
        [
            "alice, from block 2000 on; or bob, from 2023-11-15 03:50 UTC on",
            "now: nobody, it is locked",
            "from block 2000 on (in about 3 hours): alice alone",
            "from 2023-11-15 03:50 UTC on (in about 3 hours): bob alone",
        ],
    ),
    (
        "alice and after height 2000 and after 2024-01-01",
        [
            "alice, from block 2000 and 2024-01-01 00:00 UTC on",
            "now: nobody, it is locked",
            "from block 2000 and 2024-01-01 00:00 UTC on (in about 47 days): alice alone",
        ],
    ),
    (
        "alice and (bob or carol) and (dave and erin)",
        [
            "alice, (bob or carol), dave and erin together",
            "now: alice, (bob or carol), dave and erin together",
        ],
    ),
    ("alice or (bob and after height 7)", ["alice; or bob, from block 7 on", "now: alice alone or bob alone"]),
    (
        f"hash {DIGEST} or after height 2000",
        [
            "the secret of 9f86d081… or block 2000 reached",
            "now: whoever knows the secret of 9f86d081…",
            "from block 2000 on (in about 3 hours): anybody",
        ],
    ),
    (
        f"hash {DIGEST} and after height 7",
        ["whoever knows the secret of 9f86d081…, from block 7 on", "now: whoever knows the secret of 9f86d081…"],
    ),
    ("after height 7 and after height 9", ["whoever comes from block 7 and block 9 on", "now: anybody"]),
]


@pytest.mark.parametrize(("text", "lines"), EXAMPLES)
def test_a_policy_in_words(text: str, lines: list[str]) -> None:
    assert in_words(policy_of(text), COIN, NOW, name_of).lines() == lines


def test_a_key_without_a_name_is_shown_by_its_first_digits_and_a_name_is_made_safe_to_show() -> None:
    policy = policy_of("alice or bob")
    names = {key_of("bob"): "b\u202eob"}
    assert in_words(policy, COIN, NOW, names.get).what == f"key {key_of('alice').hex()[:8]}… or b\\u202eob"


@given(policies())
def test_what_opens_comes_later_and_in_order(policy: Policy) -> None:
    words = in_words(policy, COIN, NOW, name_of)
    assert (words.now is not None) == is_open(policy, NOW)
    assert all(line for line in words.lines())
    locks = {leaf for leaf in leaves_of(policy) if isinstance(leaf, AfterHeight | AfterTime) and not NOW.has_come(leaf)}
    assert len(words.later) <= len(locks)
    assert [opening.seconds for opening in words.later] == sorted(opening.seconds for opening in words.later)
    for opening in words.later:
        assert opening.height or opening.time
        assert is_open(policy, Moment(max(NOW.height, opening.height), max(NOW.median_time_past, opening.time)))
    everything = Moment(2**32, 2**32)
    assert in_words(policy, COIN, everything, name_of).later == ()


@given(policies())
def test_each_key_of_a_policy_is_named_in_its_words(policy: Policy) -> None:
    what = in_words(policy, COIN, NOW, name_of).what
    for leaf in leaves_of(policy):
        if isinstance(leaf, Key):
            assert (name_of(leaf.key) or "?") in what


def test_times_are_said_in_utc_and_spans_are_rounded() -> None:
    assert date_text(1_798_761_600) == "2027-01-01"
    assert date_text(1_798_761_600 + 3_660) == "2027-01-01 01:01"
    assert utc_text(1_798_761_601) == "2027-01-01 00:00:01 UTC"
    assert [about(seconds) for seconds in (-5, 59, 60, 5_400, 86_400, 3 * 86_400 + 1, 5_000_000_000)] == [
        *("less than a minute", "less than a minute", "about 1 minute", "about 2 hours", "about 1 day"),
        *("about 3 days", "about 158 years"),
    ]


@pytest.mark.parametrize("name", ["bob and carol", "2 of alice", "any 2", "nobody", "OR", "after height 5"])
def test_a_name_that_reads_as_more_than_a_name_stands_in_quotes(name: str) -> None:
    """A co-signer's file says what its maker is called."""
    words = in_words(policy_of("alice or bob"), COIN, NOW, {key_of("alice"): name, key_of("bob"): "bob"}.get)
    assert words.now is not None
    assert words.now.startswith(f'"{name}" alone')
    assert words.what.startswith(f'"{name}"')
