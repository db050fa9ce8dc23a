"""The ready-made contracts are the policies that their pages say."""

from __future__ import annotations

import pytest

from moneyer.node.contracts.errors import BadPolicy
from moneyer.node.contracts.language import print_policy
from moneyer.node.contracts.moment import LAST_TIME, Moment
from moneyer.node.contracts.ready_made import (
    READY_MADE,
    escrow,
    height_in,
    inherit,
    multisig,
    swap,
    time_in,
    vault,
    vesting,
)
from moneyer.node.contracts.safety import check_safe
from moneyer.node.core.policy import AfterHeight, AfterTime, Policy
from tests.contracts.people import COIN, DIGEST, NAMES, NOW, key_of, name_of

ALICE, BOB, CAROL = key_of("alice"), key_of("bob"), key_of("carol")
LATER = AfterHeight(2_000)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (multisig(2, [ALICE, BOB, CAROL]), "2 of (alice, bob, carol)"),
        (multisig(2, [ALICE, BOB]), "alice and bob"),
        (multisig(1, [ALICE, BOB]), "alice or bob"),
        (vault(ALICE, BOB, LATER), "bob or (alice and after height 2000)"),
        (escrow(ALICE, BOB, CAROL), "2 of (alice, bob, carol)"),
        (vesting(ALICE, AfterTime(1_798_761_600)), "alice and after 2027-01-01"),
        (vesting(ALICE, LATER, recall=BOB), "bob or (alice and after height 2000)"),
        (inherit(ALICE, BOB, LATER), "alice or (bob and after height 2000)"),
        (swap(BOB, ALICE, bytes.fromhex(DIGEST), LATER), f"(bob and hash {DIGEST}) or (alice and after height 2000)"),
    ],
)
def test_a_ready_made_contract_is_this_policy_and_safe(policy: Policy, text: str) -> None:
    assert print_policy(policy, name_of) == text
    check_safe(policy, COIN, NOW)


@pytest.mark.parametrize(
    ("k", "keys"),
    [
        (1, [ALICE]),
        (0, [ALICE, BOB]),
        (3, [ALICE, BOB]),
        (2, [ALICE, ALICE]),
        (2, [key_of(name) for name in NAMES[:17]]),
        (1, [ALICE, b"short"]),
    ],
)
def test_what_is_no_multisig_is_refused(k: int, keys: list[bytes]) -> None:
    with pytest.raises(BadPolicy):
        multisig(k, keys)


def test_an_heir_who_is_the_owner_is_refused() -> None:
    with pytest.raises(BadPolicy, match="twice"):
        inherit(ALICE, ALICE, LATER)


def test_a_delay_becomes_a_lock() -> None:
    assert height_in(0, COIN, NOW) == AfterHeight(1_000)
    assert height_in(1, COIN, NOW) == AfterHeight(1_001)
    assert height_in(86_400, COIN, NOW) == AfterHeight(9_640)
    assert time_in(86_400, NOW) == AfterTime(NOW.median_time_past + 86_400)
    for seconds in (-1, 2**40):
        with pytest.raises(BadPolicy):
            height_in(seconds, COIN, NOW)
        with pytest.raises(BadPolicy):
            time_in(seconds, NOW)
    assert time_in(0, Moment(0, LAST_TIME)) == AfterTime(LAST_TIME)


def test_each_has_its_use_and_its_risk() -> None:
    assert list(READY_MADE) == ["multisig", "vault", "escrow", "vesting", "inherit", "swap"]
    for each in READY_MADE.values():
        assert each.when.endswith(".")
        assert each.risk.endswith(".")
