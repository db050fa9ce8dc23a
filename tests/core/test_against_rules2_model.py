"""The core against a second implementation of rules 2, made from the page: the same code for whatever bytes come."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moneyer.node.core import codec, ledger, signing
from moneyer.node.core.coinfile import coin_from_json
from moneyer.node.core.errors import RuleError
from moneyer.node.core.ledger import BlockContext, Ledger
from moneyer.node.core.policy import AfterHeight, AfterTime, Hash, Key, Policy, Threshold, decode_policy, encode_policy
from moneyer.node.core.rules import check_transaction_in_isolation
from moneyer.node.core.types import COIN_ASSET, Account, Burn, Issue, Mint, Payment, Spend, Transfer
from tests.conftest import REPOSITORY
from tests.core import rules2_model as model
from tests.core import strategies as values
from tests.core.test_odd_bytes import tampered
from tests.kit.chains import contract, easy_coin, key, meet, sign

VECTORS = json.loads((REPOSITORY / "tests" / "vectors" / "rules2.json").read_text("utf-8"))
VECTOR_COIN = coin_from_json(VECTORS["chain"]["coin"])
SPENDS = [bytes.fromhex(row["raw"]) for row in VECTORS["transactions"]]


def code_alone(raw: bytes, chain_id: bytes) -> str:
    """The core's verdict of a spend on its own, "" where nothing is wrong."""
    try:
        spend = codec.decode_spend(raw)
        check_transaction_in_isolation(spend, 2)
    except RuleError as error:
        return error.code
    return "" if all(signing.verify_many(signing.signature_checks(chain_id, spend))) else "bad_signature"


def models_code_alone(raw: bytes, chain_id: bytes) -> str:
    try:
        tx = model.cut(raw)
        model.check_alone(tx)
    except model.Refused as refused:
        return str(refused)
    return "" if model.is_signed(tx, chain_id) else "bad_signature"


def test_the_model_says_of_the_vectors_what_they_say() -> None:
    chain_id = VECTOR_COIN.chain_id
    for row in [*VECTORS["transactions_invalid"], *VECTORS["transactions_random"]]:
        assert models_code_alone(bytes.fromhex(row["raw"]), chain_id) == row["code"], row["why"]
    for row in [*VECTORS["transactions"], *VECTORS["transfers_v1_to_kind_1"]]:
        assert models_code_alone(bytes.fromhex(row["raw"]), chain_id) == ""


@settings(max_examples=500)
@given(tampered(SPENDS))
def test_of_tampered_spends_both_say_the_same(raw: bytes) -> None:
    assert code_alone(raw, VECTOR_COIN.chain_id) == models_code_alone(raw, VECTOR_COIN.chain_id)


@settings(max_examples=300)
@given(values.spends)
@example(Transfer(bytes(33), b"\1" + bytes(32), 2**53 - 1, 0, 2**53, b"", bytes(64)))
def test_of_spends_with_any_fields_both_say_the_same(spend: Spend) -> None:
    raw = codec.encode_transaction(spend)
    assert code_alone(raw, bytes(32)) == models_code_alone(raw, bytes(32))


@settings(max_examples=200)
@given(values.policies(), st.sets(st.integers(0, 40)))
def test_of_any_leaves_that_are_named_both_say_the_same(policy: Policy, named: set[int]) -> None:
    with suppress(RuleError):
        shape = decode_policy(encode_policy(policy))
        spend = Payment(contract(policy), 0, 0, b"", b"", bytes(33), COIN_ASSET, 1)
        made = meet(COIN, spend, policy, [index for index in named if index < len(shape.leaves)], preimage=SECRET)
        raw = codec.encode_transaction(made)
        assert code_alone(raw, COIN.chain_id) == models_code_alone(raw, COIN.chain_id)


# in place: a world that both keep

ALICE, BOB, CAROL = PEOPLE = [key(name) for name in ("alice", "bob", "carol")]
SECRET = bytes(range(32))
LOCK = Hash(sha256(SECRET).digest())
A, B, C = (Key(person.payload[1:]) for person in PEOPLE)
POLICIES: dict[bytes, Policy] = {
    contract(policy): policy
    for policy in (
        Threshold(2, (A, B, C)),
        Threshold(1, (Threshold(2, (LOCK, B)), Threshold(2, (AfterHeight(6), A)))),
        Threshold(2, (C, Threshold(1, (AfterTime(1_500), AfterHeight(9))))),
        AfterTime(1_200),
    )
}
ACCOUNTS = [*(person.payload for person in PEOPLE), *POLICIES]
COIN = easy_coin(rules=2)
BIG = 2**53 - 1


class World:
    """A ledger of the core and one of the model, to which the same spends come: right ones, and odd ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.height, self.median = 1, 1_000
        rich = [500, 500, BIG // 2, *[500] * len(POLICIES)]
        self.core = Ledger({who: Account(units, 0) for who, units in zip(ACCOUNTS, rich, strict=True)})
        self.model = model.State({who: [units, 0] for who, units in zip(ACCOUNTS, rich, strict=True)})
        self.codes: dict[str, int] = {}

    def number(self, most: int) -> int:
        """Of units, mostly no more than there are."""
        if self.random.random() < 0.75:
            return self.random.choice([1, 1, max(1, most // 3), max(1, most // 10)])
        return self.random.choice([max(0, most), max(0, most + 1), 0, BIG, BIG + 1, 2**64 - 1])

    def asset(self, sender: bytes) -> bytes:
        """Mostly one that the sender holds."""
        held = [asset for who, asset in self.core.holdings if who == sender]
        if held and self.random.random() < 0.7:
            return self.random.choice(held)
        return self.random.choice([*self.core.assets, self.random.randbytes(32), COIN_ASSET])

    def unsigned(self) -> Spend:
        random, state = self.random, self.core
        sender, receiver = random.choice(ACCOUNTS), random.choice(ACCOUNTS)
        account = state.accounts.get(sender, Account(0, 0))
        asset = self.asset(sender)
        fee = random.choice([0] * 12 + [1] * 6 + [account.balance, account.balance + 1])
        sequence = account.sequence + random.choice([0] * 12 + [1])
        common = (sender, fee, sequence, random.choice([b"", b"", b"\xff"]) if random.random() < 0.1 else b"", b"")
        held = state.holdings.get((sender, asset), 0)
        match random.randint(1, 6):
            case 1:
                amount = self.number(account.balance - fee)
                return Transfer(sender, receiver, amount, fee, sequence, common[3], bytes(64))
            case 2:
                return Payment(*common, receiver, COIN_ASSET, self.number(account.balance - fee))
            case 3:
                most = random.choice([5, 1_000, 1_000, BIG, BIG + 1])
                terms = (random.choice([0, 0, 8, 9]), b"T", b"t", bytes(32))
                return Issue(*common, receiver, self.number(most), most, *terms)
            case 4:
                known = state.assets.get(asset)
                if known and random.random() < 0.8:
                    issuer = state.accounts.get(known.issuer, Account(0, 0))
                    common = (known.issuer, 0, issuer.sequence, b"", b"")
                return Mint(*common, asset, receiver, self.number(known.max_supply - known.minted if known else 5))
            case 5:
                return Burn(*common, asset, self.number(held))
        return Payment(*common, receiver, asset, self.number(held))

    def signed(self, spend: Spend) -> Spend:
        policy = POLICIES.get(spend.sender)
        if policy is None:
            signer = next(person for person in PEOPLE if person.payload == spend.sender)
            return sign(COIN, spend, self.random.choice([signer] * 12 + [CAROL]))
        if isinstance(spend, Transfer):
            return spend
        leaves = len(decode_policy(encode_policy(policy)).leaves)
        by_leaves: dict[int, list[tuple[int, ...]]] = {3: [(0, 1), (1, 2), (0, 2)], 4: [(0, 1), (2, 3)], 1: [(0,)]}
        odd = tuple(range(self.random.randint(0, leaves)))
        named = self.random.choice(by_leaves[leaves]) if self.random.random() < 0.9 else odd
        return meet(COIN, spend, policy, named, self.random.choice([PEOPLE] * 12 + [PEOPLE[:1]]), SECRET)

    def step(self) -> None:
        if self.random.random() < 0.15:
            self.height, self.median = self.height + 1, self.median + self.random.choice([0, 100])
        spend = self.signed(self.unsigned())
        if self.random.random() < 0.05 and not isinstance(spend, Transfer):
            spend = replace(spend, witness=spend.witness[:-1])
        expected, found = self.models_verdict(codec.encode_transaction(spend)), self.verdict(spend)
        assert found == expected, spend
        self.codes[found] = self.codes.get(found, 0) + 1
        self.compare()

    def models_verdict(self, raw: bytes) -> str:
        try:
            tx = model.cut(raw)
            model.check_alone(tx)
            model.apply(self.model, tx, COIN.chain_id, self.height, self.median)
        except model.Refused as refused:
            return str(refused)
        return ""

    def verdict(self, spend: Spend) -> str:
        code = code_alone(codec.encode_transaction(spend), COIN.chain_id)
        if code:
            return code
        try:
            ledger.apply_spend(self.core, spend, BlockContext(COIN.chain_id, self.height, lambda: self.median))
        except RuleError as error:
            return error.code
        return ""

    def compare(self) -> None:
        core, theirs = self.core, self.model
        assert {who: list(account) for who, account in core.accounts.items() if any(account)} == {
            who: account for who, account in theirs.accounts.items() if any(account)
        }
        found: dict[bytes, list[Any]] = {
            asset: [each.issuer, each.max_supply, each.minted, each.burned] for asset, each in core.assets.items()
        }
        assert found == theirs.assets
        assert core.holdings == {where: units for where, units in theirs.holdings.items() if units}


CODES = {
    *("", "bad_amount", "bad_asset", "bad_memo", "bad_sender", "bad_sequence", "bad_signature", "bad_witness"),
    *("locked", "unknown_asset", "not_issuer", "over_max_supply", "insufficient_funds", "insufficient_asset"),
}


@pytest.mark.parametrize("seed", range(3))
def test_two_ledgers_to_which_the_same_comes_stay_the_same(seed: int) -> None:
    world = World(seed)
    for _ in range(500):
        world.step()
    assert set(world.codes) == CODES
    assert world.codes[""] > 150
