"""Which leaves several signers name, by looking at every set of leaves; and spends that one signer makes alone."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moneyer.node.contracts.moment import Moment
from moneyer.node.core.policy import Key, Policy, decode_policy, encode_policy, payload_of_policy
from moneyer.node.core.rules import check_transaction_in_isolation
from moneyer.node.core.signing import signature_checks, verify_many
from moneyer.node.core.types import COIN_ASSET, Payment
from moneyer.node.wallet.cosigning.errors import CannotSign
from moneyer.node.wallet.cosigning.leaf_signing import completed, most_leaves, sign_leaves, witness_size
from tests.contracts.brute_force import exact_sets, is_small
from tests.contracts.people import COIN, NOW, key_of, policies, policy_of
from tests.kit.chains import key

SECRET = b"\x07" * 32


def spend_of(policy: Policy) -> Payment:
    sender = payload_of_policy(encode_policy(policy))
    return Payment(sender, 10, 0, b"", b"", key("carol").payload, COIN_ASSET, 5)


def signed_by(policy: Policy, *names: str, moment: Moment = NOW, preimages: tuple[bytes, ...] = ()) -> Payment:
    secrets = [key(name).secret for name in names]
    spend = sign_leaves(encode_policy(policy), spend_of(policy), COIN, secrets, preimages, moment)
    check_transaction_in_isolation(spend, 2)
    assert all(verify_many(signature_checks(COIN.chain_id, spend)))
    assert isinstance(spend, Payment)
    return spend


@given(policies(widest=3), st.data())
def test_what_completes_a_choice_is_the_cheapest_of_all_exact_sets(policy: Policy, data: st.DataObject) -> None:
    assume(is_small(policy))
    shape = decode_policy(encode_policy(policy))
    sets = exact_sets(policy)

    def others(named: tuple[int, ...]) -> tuple[int, ...]:
        return tuple([index for index in named if not isinstance(shape.leaves[index], Key)])

    chosen = data.draw(st.sampled_from([*map(others, sets), ()]))
    prices = {
        leaf.key: data.draw(st.integers(0, 3))
        for leaf in shape.leaves
        if isinstance(leaf, Key) and data.draw(st.booleans())
    }

    def price(named: tuple[int, ...]) -> int | None:
        keys = [leaf.key for index in named if isinstance(leaf := shape.leaves[index], Key)]
        return sum(prices[each] for each in keys) if all(each in prices for each in keys) else None

    possible = [named for named in sets if others(named) == chosen and price(named) is not None]
    found = completed(shape, chosen, prices)
    if not possible:
        assert found is None
        return
    assert found in possible
    assert price(found) == min(cost for named in possible if (cost := price(named)) is not None)
    largest = most_leaves(shape, chosen)
    assert largest is not None
    assert len(largest) == max(len(named) for named in sets if others(named) == chosen)


@pytest.mark.parametrize(
    ("text", "names", "named"),
    [
        ("alice", ("alice",), [0]),
        ("2 of (alice, bob, carol)", ("carol", "alice"), [0, 2]),
        ("alice or (bob and after height 1000)", ("bob",), [1, 2]),
        ("alice or (bob and after height 1000)", ("bob", "alice"), [0]),
        (f"(bob and hash {sha256(SECRET).hexdigest()}) or (alice and after height 2000)", ("bob",), [0, 1]),
    ],
)
def test_a_spend_that_needs_nobody_else_is_signed_at_once(text: str, names: tuple[str, ...], named: list[int]) -> None:
    policy = policy_of(text)
    spend = signed_by(policy, *names, preimages=(SECRET,) if "hash" in text else ())
    raw = encode_policy(policy)
    assert len(spend.witness) == witness_size(raw, decode_policy(raw), named)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(CannotSign, match="still needs"):
        signed_by(policy_of("2 of (alice, bob, carol)"), "alice")
    with pytest.raises(CannotSign, match="block 1001"):
        signed_by(policy_of("alice and after height 1001"), "alice")


def test_what_no_node_would_take_is_not_signed() -> None:
    policy = policy_of("alice")
    with pytest.raises(Exception, match="at least 1 unit"):
        sign_leaves(encode_policy(policy), replace(spend_of(policy), amount=0), COIN, [key("alice").secret], (), NOW)
    assert key_of("alice") == key("alice").payload[1:]
