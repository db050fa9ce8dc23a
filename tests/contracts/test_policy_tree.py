"""Policies as JSON trees, and cut down to what is still open."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.contracts.errors import BadPolicy
from moneyer.node.contracts.policy_tree import policy_of_tree, reduced, shown_tree, tree_of
from moneyer.node.core.policy import Hash, Key, Leaf, Policy, Threshold, decode_policy, encode_policy, leaves_of
from tests.conftest import vector_file
from tests.contracts.brute_force import exact_sets, is_small
from tests.contracts.people import DIGEST, NOW, key_of, name_of, policies, policy_of

ALICE, BOB = key_of("alice").hex(), key_of("bob").hex()


def test_trees_are_spelled_as_in_the_vectors() -> None:
    for row in json.loads(vector_file("rules2.json").read_text("utf-8"))["policies"]:
        policy = decode_policy(bytes.fromhex(row["policy"])).policy
        assert tree_of(policy) == row["tree"]
        assert encode_policy(policy_of_tree(row["tree"])).hex() == row["policy"]


@given(policies())
def test_a_tree_reads_back(policy: Policy) -> None:
    assert policy_of_tree(json.loads(json.dumps(tree_of(policy)))) == policy


def test_a_page_is_told_what_each_node_is_and_whether_it_is_open() -> None:
    policy = policy_of(f"2 of (alice, bob and after height 5000, hash {DIGEST})")
    assert shown_tree(policy, NOW, name_of) == {
        "kind": "threshold",
        "label": "2 of 3",
        "is_open_now": True,
        "threshold": 2,
        "of": [
            {"kind": "key", "label": "alice", "is_open_now": True, "key": ALICE, "leaf": 0},
            {
                "kind": "threshold",
                "label": "all of",
                "is_open_now": False,
                "threshold": 2,
                "of": [
                    {"kind": "key", "label": "bob", "is_open_now": True, "key": BOB, "leaf": 1},
                    {
                        "kind": "after_height",
                        "label": "from block 5000 on",
                        "is_open_now": False,
                        "after_height": 5000,
                        "leaf": 2,
                    },
                ],
            },
            {"kind": "hash", "label": "the secret of 9f86d081…", "is_open_now": True, "hash": DIGEST, "leaf": 3},
        ],
    }


@given(policies())
def test_the_leaves_of_a_shown_tree_are_numbered_as_in_a_witness(policy: Policy) -> None:
    found: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        for child in node.get("of", ()):
            walk(child)
        if "leaf" in node:
            found.append(node)

    walk(shown_tree(policy, NOW, name_of))
    assert [node["leaf"] for node in found] == list(range(len(found)))
    assert [tree_of(leaf) for leaf in leaves_of(policy)] == [{node["kind"]: node[node["kind"]]} for node in found]


@pytest.mark.parametrize(
    ("tree", "field"),
    [
        (None, ""),
        ([], ""),
        ("alice", ""),
        ({}, ""),
        ({"key": ALICE[:-1]}, "key"),
        ({"key": ALICE.upper()}, "key"),
        ({"key": 5}, ""),
        ({"key": ALICE, "hash": DIGEST}, ""),
        ({"key": ALICE, "name": "alice"}, ""),
        ({"hash": "ß" * 64}, "hash"),
        ({"after_height": -1}, "after_height"),
        ({"after_height": 2**32}, "after_height"),
        ({"after_height": True}, "after_height"),
        ({"after_time": 1.5}, ""),
        ({"after_time": "5"}, ""),
        ({"threshold": 1}, ""),
        ({"threshold": 1, "of": {}}, ""),
        ({"threshold": 1, "of": []}, "threshold"),
        ({"threshold": 1, "of": [{"key": ALICE}]}, "threshold"),
        ({"threshold": 3, "of": [{"key": ALICE}, {"key": BOB}]}, "threshold"),
        ({"threshold": 0, "of": [{"key": ALICE}, {"key": BOB}]}, "threshold"),
        ({"threshold": True, "of": [{"key": ALICE}, {"key": BOB}]}, "threshold"),
        ({"threshold": 1, "of": [{"key": ALICE}] * 17}, "threshold"),
        ({"threshold": 1, "of": [{"key": ALICE}, 7]}, "of[1]"),
        (
            {"threshold": 1, "of": [{"key": ALICE}, {"threshold": 1, "of": [{"key": BOB}, {"hash": ""}]}]},
            "of[1].of[1].hash",
        ),
    ],
)
def test_a_wrong_tree_is_refused_with_the_way_to_its_node(tree: object, field: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        policy_of_tree(tree)
    assert refused.value.details["field"] == field


def test_a_tree_that_is_too_deep_or_too_large_is_refused_before_it_is_walked() -> None:
    deep: dict[str, Any] = {"key": ALICE}
    for _ in range(900):
        deep = {"threshold": 1, "of": [deep, {"after_height": 1}]}
    wide = {"threshold": 1, "of": [{"threshold": 1, "of": [{"after_height": 1}] * 16}] * 16}
    for tree in (deep, wide):
        with pytest.raises(BadPolicy, match="at most 64 nodes and 4 levels"):
            policy_of_tree(tree)
    with pytest.raises(BadPolicy, match="twice"):
        policy_of_tree({"threshold": 1, "of": [{"key": ALICE}, {"key": ALICE}]})


@given(policies().filter(is_small), st.data())
def test_a_policy_that_is_cut_down_means_what_is_left_of_it(policy: Policy, data: st.DataObject) -> None:
    leaves = list(leaves_of(policy))
    truths = [data.draw(st.sampled_from([True, False, None])) for _ in leaves]
    rest = {index for index, truth in enumerate(truths) if truth is None and data.draw(st.booleans())}
    is_met = any(all(truths[index] or index in rest for index in named) for named in exact_sets(policy))
    numbers = iter(truths)
    left = reduced(policy, lambda leaf: next(numbers))
    # `left` keeps the leaves that were not known, in their order
    kept = iter([index in rest for index, truth in enumerate(truths) if truth is None])
    answers = dict(zip([index for index, truth in enumerate(truths) if truth is None], kept, strict=True))
    again = iter([answers.get(index, truth) for index, truth in enumerate(truths)])
    assert (reduced(policy, lambda leaf: bool(next(again))) is True) == is_met
    if left is True:
        assert is_met
    if left is False:
        assert not is_met


def test_what_is_left_of_a_threshold() -> None:
    policy = policy_of("2 of (alice, bob, after height 5)")

    def truth(leaf: Leaf) -> bool | None:
        return None if isinstance(leaf, Key | Hash) else True

    assert reduced(policy, truth) == policy_of("alice or bob")
    assert reduced(policy, lambda leaf: truth(leaf) and False) == policy_of("alice and bob")
    assert isinstance(policy, Threshold)
    assert reduced(policy, lambda leaf: leaf == policy.children[0] or None) == Threshold(1, policy.children[1:])
