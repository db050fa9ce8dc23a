"""Policies against brute force: which leaves are exactly enough, that no witness has a second form, and all bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import combinations, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from moneyer.node.core import codec, signing
from moneyer.node.core.errors import BadWitness, RuleError
from moneyer.node.core.policy import (
    AfterHeight,
    AfterTime,
    Hash,
    Item,
    Key,
    Locks,
    Policy,
    Shape,
    Threshold,
    check_exactly_enough,
    check_preimages,
    chosen_of,
    decode_policy,
    decode_witness,
    depth_of,
    encode_policy,
    encode_witness,
    exact_choices,
    leaves_of,
    locks_of,
    nodes_of,
    payload_of_policy,
    policy_hash,
)
from moneyer.node.core.rules import check_transaction_in_isolation
from moneyer.node.core.template import room_for_spends
from moneyer.node.core.types import Burn, Payment
from tests.core import strategies as values
from tests.kit.chains import contract, easy_coin, issue, key, meet

COIN = easy_coin(rules=2)
ALICE, BOB, CAROL = (key(name) for name in ("alice", "bob", "carol"))
A, B, C = (Key(person.payload[1:]) for person in (ALICE, BOB, CAROL))
SECRET = bytes(range(32))
LOCK = Hash(sha256(SECRET).digest())
MOST_LEAVES = 9
"""Of trees whose subsets are all tried."""


def is_sound(policy: Policy) -> bool:
    """By the protocol's words, not by the decoder's steps."""
    keys = [leaf.key for leaf in leaves_of(policy) if isinstance(leaf, Key)]
    few = nodes_of(policy) <= 64 and len(keys) <= 20
    return few and len(set(keys)) == len(keys) and depth_of(policy) <= 4


def is_satisfied(policy: Policy, named: frozenset[int]) -> bool:
    """Whether leaves satisfy the tree, more of them or not: what people mean by a threshold."""
    indexes = iter(range(64))

    def is_true(node: Policy) -> bool:
        if not isinstance(node, Threshold):
            return next(indexes) in named
        return sum([is_true(child) for child in node.children]) >= node.k

    return is_true(policy)


def subsets(count: int) -> Iterator[frozenset[int]]:
    for size in range(count + 1):
        yield from map(frozenset, combinations(range(count), size))


def is_exact(shape: Shape, named: frozenset[int]) -> bool:
    try:
        check_exactly_enough(shape, sorted(named))
    except BadWitness:
        return False
    return True


@given(values.policies())
def test_a_policy_comes_back_or_is_refused_for_a_bound(policy: Policy) -> None:
    if not is_sound(policy):
        with pytest.raises(BadWitness):
            encode_policy(policy)
        return
    raw = encode_policy(policy)
    shape = decode_policy(raw)
    assert shape == (policy, tuple(leaves_of(policy)))
    assert payload_of_policy(raw) == b"\x01" + policy_hash(raw)


@settings(max_examples=300)
@given(values.policies())
def test_exactly_enough_is_satisfied_and_no_proper_subset_satisfies(policy: Policy) -> None:
    """The protocol's rule, node by node, says the same as its sentence, over every set of leaves."""
    assume(is_sound(policy))
    shape = decode_policy(encode_policy(policy))
    assume(len(shape.leaves) <= MOST_LEAVES)
    minimal: set[frozenset[int]] = set()
    for named in subsets(len(shape.leaves)):  # the smaller first
        enough = is_satisfied(policy, named) and not any(less < named for less in minimal)
        if enough:
            minimal.add(named)
        assert is_exact(shape, named) == enough, named
    everything = dict.fromkeys(range(len(shape.leaves)), True)
    assert sorted(exact_choices(policy, everything)) == sorted(tuple(sorted(named)) for named in minimal)


@given(values.policies(), st.sets(st.integers(0, MOST_LEAVES)))
def test_the_choices_among_true_leaves_are_those_that_name_no_other(policy: Policy, met: set[int]) -> None:
    leaves = tuple(leaves_of(policy))
    assume(len(leaves) <= MOST_LEAVES)
    of_all = exact_choices(policy, dict.fromkeys(range(len(leaves)), True))
    found = list(exact_choices(policy, dict.fromkeys(met, True)))
    assert len(set(found)) == len(found)
    assert set(found) == {choice for choice in of_all if set(choice) <= met}
    assert all(one < other for choice in found for one, other in pairwise(choice))


def test_the_choices_of_a_large_policy_come_one_by_one() -> None:
    wide = Threshold(8, tuple(AfterHeight(number) for number in range(16)))
    large = Threshold(3, (wide, wide, wide))
    everything = dict.fromkeys(range(48), True)
    first = next(exact_choices(large, everything))  # of two thousand million
    check_exactly_enough(decode_policy(encode_policy(large)), first)


def keys(count: int, first: int = 0) -> tuple[Key, ...]:
    return tuple([Key(bytes([number]) * 32) for number in range(first, first + count)])


EDGES: list[tuple[str, Policy]] = [
    ("20 keys", Threshold(1, (Threshold(1, keys(10)), Threshold(1, keys(10, 10))))),
    ("16 children", Threshold(16, tuple(Hash(bytes(32)) for _ in range(16)))),
    ("4 levels", Threshold(1, (A, Threshold(2, (B, Threshold(1, (C, LOCK))))))),
    ("the last height and time", Threshold(2, (AfterHeight(2**32 - 1), AfterTime(2**32 - 1)))),
]


@pytest.mark.parametrize(("_what", "policy"), EDGES, ids=[name for name, _ in EDGES])
def test_a_policy_at_the_edges_is_good(_what: str, policy: Policy) -> None:
    assert decode_policy(encode_policy(policy)).policy == policy


def nested(levels: int) -> Policy:
    policy: Policy = A
    for _ in range(levels - 1):
        policy = Threshold(1, (policy, LOCK))
    return policy


OVER: list[tuple[str, Policy]] = [
    ("a key twice", Threshold(1, (A, Threshold(2, (A, B))))),
    ("21 keys", Threshold(1, (Threshold(1, keys(10)), Threshold(1, keys(11, 10))))),
    ("65 nodes", Threshold(1, (Threshold(1, (LOCK,) * 15),) * 4)),
    ("5 levels", nested(5)),
    ("10,000 levels", nested(10_000)),
    ("17 children", Threshold(1, (LOCK,) * 17)),
    ("300 children", Threshold(1, (LOCK,) * 300)),
    ("one child", Threshold(1, (A,))),
    ("0 of 2", Threshold(0, (A, B))),
    ("3 of 2", Threshold(3, (A, B))),
    ("-1 of 2", Threshold(-1, (A, B))),
    ("a key of 31 bytes", Key(bytes(31))),
    ("a key of 33 bytes", Key(bytes(33))),
    ("a key whose end is another leaf", Key(bytes(32) + b"\x02\x00\x00\x00\x00")),
    ("a height below 0", AfterHeight(-1)),
    ("a time over u32", AfterTime(2**32)),
]


@pytest.mark.parametrize(("_what", "policy"), OVER, ids=[name for name, _ in OVER])
def test_a_policy_over_the_edge_is_refused(_what: str, policy: Policy) -> None:
    with pytest.raises(BadWitness):
        encode_policy(policy)


@given(st.binary(max_size=200) | st.lists(st.sampled_from(list(range(6)))).map(bytes))
def test_any_bytes_are_a_bad_witness_or_the_one_encoding_of_a_policy(raw: bytes) -> None:
    try:
        shape = decode_policy(raw)
    except BadWitness:
        return
    assert encode_policy(shape.policy) == raw


@given(values.policies(), st.data())
def test_a_policy_cut_anywhere_or_followed_by_anything_is_refused(policy: Policy, data: st.DataObject) -> None:
    assume(is_sound(policy))
    raw = encode_policy(policy)
    end = data.draw(st.integers(0, len(raw) - 1))
    for damaged in (raw[:end], raw + data.draw(st.binary(min_size=1, max_size=40))):
        with pytest.raises(BadWitness):
            decode_policy(damaged)


def test_ten_thousand_thresholds_cost_no_more_than_64() -> None:
    """Nothing is read beyond the bounds, however long the bytes go on."""
    with pytest.raises(BadWitness, match="too deep"):
        decode_policy(bytes([4, 1, 16]) * 10_000)
    with pytest.raises(BadWitness, match="too many nodes"):
        decode_policy(bytes([4, 1, 16]) + (bytes([4, 1, 16]) + bytes([2, 0, 0, 0, 0]) * 16) * 3_000)


# witnesses


def data_of(leaf: object) -> st.SearchStrategy[bytes]:
    size = 64 if isinstance(leaf, Key) else 32 if isinstance(leaf, Hash) else 0
    return st.binary(min_size=size, max_size=size)


@given(values.policies(), st.data())
def test_a_witness_comes_back_and_each_cut_of_it_is_refused(policy: Policy, data: st.DataObject) -> None:
    assume(is_sound(policy))
    raw = encode_policy(policy)
    shape = decode_policy(raw)
    indexes = data.draw(st.lists(st.integers(0, len(shape.leaves) - 1), unique=True).map(sorted))
    items = [Item(index, data.draw(data_of(shape.leaves[index]))) for index in indexes]
    witness = encode_witness(raw, items)
    assert decode_witness(witness) == (raw, shape, items)
    for end in range(0, len(witness), max(1, len(witness) // 40)):
        with pytest.raises(BadWitness):
            decode_witness(witness[:end])
    with pytest.raises(BadWitness):
        decode_witness(witness + b"\0")
    if len(items) > 1:
        with pytest.raises(BadWitness):
            decode_witness(encode_witness(raw, items[::-1]))
        with pytest.raises(BadWitness):
            decode_witness(encode_witness(raw, [*items, items[-1]]))


@given(st.binary(max_size=300) | st.builds(lambda raw: b"\x05\x00\x02\x00\x00\x00\x00" + raw, st.binary(max_size=9)))
def test_any_bytes_are_a_bad_witness_or_the_one_encoding_of_one(witness: bytes) -> None:
    try:
        raw, _, items = decode_witness(witness)
    except BadWitness:
        return
    assert encode_witness(raw, items) == witness


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_preimage_has_32_bytes(size: int) -> None:
    """The digest of other lengths cannot be shown: the item's length is fixed, and so the next byte is another item."""
    preimage = bytes(size)
    policy = Hash(sha256(preimage).digest())
    with pytest.raises(BadWitness):
        decode_witness(encode_witness(encode_policy(policy), [Item(0, preimage)]))


def test_a_preimage_is_hashed_once() -> None:
    twice = Hash(sha256(LOCK.digest).digest())
    for leaf, preimage in ((LOCK, SECRET), (twice, LOCK.digest)):
        check_preimages(Shape(leaf, (leaf,)), [Item(0, preimage)])
    with pytest.raises(BadWitness):
        check_preimages(Shape(twice, (twice,)), [Item(0, SECRET)])


def test_what_the_named_leaves_ask_for_is_the_greatest_of_each_kind() -> None:
    leaves = (AfterHeight(7), A, AfterTime(3), LOCK, AfterHeight(5), AfterTime(9))
    assert locks_of(leaves, range(6)) == Locks(7, 9)
    assert locks_of(leaves, [1, 2, 3, 4]) == Locks(5, 3)
    assert locks_of(leaves, [1, 3]) == Locks(0, 0)
    assert chosen_of(Shape(A, leaves), [0, 1, 3, 5]) == bytes([0, 3, 5])


# spends

HTLC = Threshold(1, (Threshold(2, (LOCK, B)), Threshold(2, (AfterHeight(100), A))))
TWO_OF_THREE = Threshold(2, (A, B, C))


def spend(policy: Policy) -> Payment:
    return Payment(contract(policy), 1, 0, b"", b"", ALICE.payload, bytes(32), 5)


def judge(made: Payment | Burn) -> bool:
    """Whether a spend is valid in isolation and by its signatures. Whatever is wrong with it is a RuleError."""
    try:
        check_transaction_in_isolation(made, 2)
    except RuleError:
        return False
    return all(signing.verify_many(signing.signature_checks(COIN.chain_id, made)))


@pytest.mark.parametrize(
    ("policy", "named"), [(TWO_OF_THREE, (0, 2)), (HTLC, (0, 1)), (HTLC, (2, 3))], ids=["2 of 3", "claim", "refund"]
)
def test_every_bit_of_a_contracts_spend_counts(policy: Policy, named: tuple[int, ...]) -> None:
    """Nobody who holds no key can change a txid: no second signature, item, policy or order passes."""
    made = meet(COIN, spend(policy), policy, named, [ALICE, BOB, CAROL], SECRET)
    assert judge(made)
    raw = codec.encode_transaction(made)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            other = codec.decode_spend(bytes(changed))
        except RuleError:
            continue
        assert isinstance(other, Payment | Burn)
        assert not judge(other), bit


def test_a_signature_is_for_its_own_way_only() -> None:
    """`chosen` is signed: what Bob signed for one way cannot be shown with another that has his key."""
    either = Threshold(2, (B, Threshold(1, (LOCK, AfterHeight(1)))))
    made = meet(COIN, spend(either), either, (0, 1), [BOB], SECRET)
    assert judge(made)
    raw, _, items = decode_witness(made.witness)
    other = replace(made, witness=encode_witness(raw, [items[0], Item(2, b"")]))
    check_transaction_in_isolation(other, 2)
    assert not judge(other)


def test_keys_alone_sign_one_digest_so_that_a_third_signature_is_too_much_and_not_another_way() -> None:
    made = [meet(COIN, spend(TWO_OF_THREE), TWO_OF_THREE, named, [ALICE, BOB, CAROL]) for named in ((0, 1), (1, 2))]
    assert all(map(judge, made))
    items = {item.index: item for each in made for item in decode_witness(each.witness)[2]}
    raw = encode_policy(TWO_OF_THREE)
    assert judge(replace(made[0], witness=encode_witness(raw, [items[0], items[2]])))
    assert not judge(replace(made[0], witness=encode_witness(raw, [items[0], items[1], items[2]])))


def test_a_policy_without_keys_is_met_by_anybody() -> None:
    for policy, named in ((AfterHeight(5), (0,)), (LOCK, (0,)), (Threshold(1, (A, LOCK)), (1,))):
        assert judge(meet(COIN, spend(policy), policy, named, preimage=SECRET))


def test_a_key_off_the_curve_is_a_bad_signature_and_no_bad_witness() -> None:
    policy = Threshold(1, (Key(b"\xff" * 32), A))
    assert judge(meet(COIN, spend(policy), policy, (1,), [ALICE]))
    other = meet(COIN, spend(policy), policy, (0,))
    check_transaction_in_isolation(other, 2)
    assert not judge(other)


@given(st.sampled_from([TWO_OF_THREE, HTLC]), st.binary(max_size=400))
def test_any_witness_is_judged_without_another_error(policy: Policy, witness: bytes) -> None:
    raw = encode_policy(policy)
    for each in (witness, encode_witness(raw, [])[:-1] + witness):
        assert not judge(replace(spend(policy), witness=each))


def test_the_longest_valid_spend_has_4968_bytes_and_fits_the_smallest_block() -> None:
    """60 leaves of which 20 are keys, all named: no policy has more of either."""
    people = [key(f"signer {number}") for number in range(20)]
    leaves: list[Policy] = [*(Key(person.payload[1:]) for person in people), *[LOCK] * 40]
    parts = [tuple(leaves[start:end]) for start, end in ((13, 29), (29, 45), (45, 60))]
    policy = Threshold(16, (*leaves[:13], *(Threshold(len(part), part) for part in parts)))
    assert (nodes_of(policy), len(list(leaves_of(policy)))) == (64, 60)
    terms = issue(COIN, people[0], 1, 1, memo=b"m" * 140, symbol=b"S" * 12, name=b"n" * 64)
    made = meet(COIN, replace(terms, sender=contract(policy)), policy, range(60), people, SECRET)
    check_transaction_in_isolation(made, 2)
    assert all(signing.verify_many(signing.signature_checks(COIN.chain_id, made)))
    assert codec.transaction_size(made) == 4_968
    smallest = replace(COIN, max_block_bytes=10_000)
    assert codec.transaction_size(made) < room_for_spends(smallest)
