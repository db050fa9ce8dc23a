"""Bytes that someone has tampered with: each answer is a value, or the error of a rule that JSON can tell."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.core import codec, signing
from moneyer.node.core.coinfile import coin_from_json
from moneyer.node.core.errors import BadWitness, Malformed, RuleError
from moneyer.node.core.policy import decode_policy, decode_witness
from moneyer.node.core.rules import check_transaction_in_isolation
from moneyer.node.core.types import HEADER_SIZE
from tests.conftest import REPOSITORY

VECTORS = json.loads((REPOSITORY / "tests" / "vectors" / "rules2.json").read_text("utf-8"))
COIN = coin_from_json(VECTORS["chain"]["coin"])
SPENDS = [bytes.fromhex(row["raw"]) for row in VECTORS["transactions"]]
POLICIES = [bytes.fromhex(row["policy"]) for row in VECTORS["policies"]]
WITNESSES = [bytes.fromhex(row["witness"]) for row in VECTORS["transactions"]]
BODIES = [bytes.fromhex(raw)[HEADER_SIZE:] for raw in VECTORS["chain"]["blocks"][:12]]


@st.composite
def tampered(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of them with bytes changed, taken out, put in, repeated, or another's end."""
    raw = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.integers(0, len(raw))) for _ in range(2))
        match draw(st.integers(0, 4)):
            case 0:
                raw = raw[:start] + draw(st.binary(min_size=1, max_size=4)) + raw[start + 1 :]
            case 1:
                raw = raw[:start] + raw[end:]
            case 2:
                raw = raw[:start] + draw(st.binary(max_size=40)) + raw[start:]
            case 3:
                raw = raw[:end] + raw[start:end] + raw[end:]
            case _:
                raw = raw[:start] + draw(st.sampled_from(originals))[start:]
    return raw


def tell(error: RuleError) -> None:
    """As an answer does. Raises where it cannot be told."""
    msgspec.json.encode({"message": error.message, "details": error.details})


@settings(max_examples=500)
@given(tampered(SPENDS))
def test_a_tampered_spend_is_refused_by_a_rule_or_not_signed_or_the_same(raw: bytes) -> None:
    try:
        spend = codec.decode_spend(raw)
        assert codec.encode_transaction(spend) == raw
        check_transaction_in_isolation(spend, 2)
    except RuleError as error:
        tell(error)
        return
    checks = signing.signature_checks(COIN.chain_id, spend)
    if checks and all(signing.verify_many(checks)):
        assert raw in SPENDS


@given(tampered(SPENDS), st.integers(0, 6_000))
def test_at_any_offset_stands_a_transaction_or_nothing(raw: bytes, offset: int) -> None:
    for rules in (1, 2):
        try:
            transaction, end = codec.decode_transaction(raw, offset, rules=rules)
        except Malformed as error:
            tell(error)
        else:
            assert codec.encode_transaction(transaction) == raw[offset:end]


@settings(max_examples=300)
@given(tampered(BODIES))
def test_a_tampered_body_is_malformed_or_canonical_and_its_outline_says_the_same(raw: bytes) -> None:
    try:
        transactions, txids = codec.decode_body_and_txids(raw)
    except Malformed:
        return
    assert codec.encode_body(transactions) == raw
    assert txids == [codec.txid(each) for each in transactions]
    try:
        coinbase, txid, outlines = codec.outline_body(raw)
    except Malformed:
        return  # it does not begin with a coinbase, or has a second one
    assert ((coinbase, *map(codec.decode_spend, [each.raw for each in outlines])), txid) == (transactions, txids[0])


@settings(max_examples=300)
@given(tampered(POLICIES), tampered(WITNESSES))
def test_a_tampered_policy_or_witness_is_a_bad_witness_or_decodes(policy: bytes, witness: bytes) -> None:
    for decode, raw in ((decode_policy, policy), (decode_witness, witness)):
        try:
            decode(raw)
        except BadWitness as error:
            tell(error)
