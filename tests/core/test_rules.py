"""The edges that no vector has: near misses of each check, and what the small helpers take for an answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.core import codec, pow, rules, signing
from moneyer.node.core.address import decode_address
from moneyer.node.core.codec import merkle_branch, merkle_root, merkle_root_of_branch, show, unshow
from moneyer.node.core.coin import format_amount, parse_amount
from moneyer.node.core.errors import (
    NOT_THE_HEADERS_FAULT,
    RULES,
    BadAddress,
    BadAmount,
    BadBits,
    BadMemo,
    BadSender,
    BadSequence,
    BadVersion,
    BlockTooLarge,
    HighHash,
    Malformed,
    RuleError,
    TimeTooNew,
    TimeTooOld,
)
from moneyer.node.core.types import MAX_MONEY, Coinbase, Header, Transaction, Transfer
from tests.core import strategies as values
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer

COIN = easy_coin(premine=[(key("alice"), 10**9)])
GOOD = transfer(COIN, key("alice"), key("bob"), 5, 1)
PROTOCOL_CODES = set(
    "block_too_large malformed bad_version bad_bits high_hash wrong_genesis invalid_parent time_too_old "  # noqa: SIM905
    "time_too_new mutated bad_merkle_root no_coinbase extra_coinbase bad_receiver bad_sender bad_amount bad_memo "
    "bad_sequence bad_signature insufficient_funds bad_coinbase_height bad_coinbase_amount "
    "bad_asset bad_witness locked unknown_asset not_issuer over_max_supply insufficient_asset "
    "sequence_gap fee_too_low mempool_full too_deep".split()
)


def test_each_code_of_the_protocol_has_its_class() -> None:
    assert set(RULES) == PROTOCOL_CODES
    assert all(cls("x").code == code for code, cls in RULES.items())
    assert {"malformed", "mutated", "bad_merkle_root"} == NOT_THE_HEADERS_FAULT


@pytest.mark.parametrize(("size", "error"), [(0, Malformed), (80, Malformed), (1_000_001, BlockTooLarge)])
def test_a_block_is_neither_cut_short_nor_too_large(size: int, error: type[RuleError]) -> None:
    rules.check_size(81, COIN)
    rules.check_size(1_000_000, COIN)
    with pytest.raises(error):
        rules.check_size(size, COIN)


@given(st.integers(0, 2**32 - 1))
def test_only_bits_13_to_28_of_a_version_may_be_rolled(version: int) -> None:
    header = replace(COIN.genesis.header, version=version)
    if version & 0x1FFF == 1 and version >> 29 == 0:
        rules.check_version(header)
    else:
        with pytest.raises(BadVersion):
            rules.check_version(header)
    rules.check_version(replace(header, version=version & 0x1FFFE000 | 1))


def test_a_hash_may_equal_its_target_and_not_exceed_it() -> None:
    target = pow.decode_bits(COIN.pow_limit)
    header = COIN.genesis.header
    rules.check_proof_of_work(header, target.to_bytes(32, "little"))
    with pytest.raises(HighHash):
        rules.check_proof_of_work(header, (target + 1).to_bytes(32, "little"))


def test_bits_easier_than_the_limit_are_bad_before_the_hash_is_looked_at() -> None:
    header = COIN.genesis.header
    for bits in (0x2100FF00, 0x207FFFFF + 1, 0, 0x01003456):
        with pytest.raises(BadBits):
            rules.check_header_in_isolation(replace(header, bits=bits), b"\xff" * 32, COIN)


def test_a_time_is_over_the_median_and_within_the_tolerance() -> None:
    context = rules.HeaderContext(height=1, bits=COIN.pow_limit, median_time_past=100)
    header = Header(1, bytes(32), bytes(32), 101, COIN.pow_limit, 0)
    rules.check_header_in_context(header, context, COIN, now=101 - COIN.clock_tolerance)
    with pytest.raises(TimeTooNew):
        rules.check_header_in_context(header, context, COIN, now=100 - COIN.clock_tolerance)
    with pytest.raises(TimeTooOld):
        rules.check_header_in_context(replace(header, timestamp=100), context, COIN, now=200)
    with pytest.raises(BadBits):
        rules.check_header_in_context(replace(header, timestamp=0, bits=0x1F00FFFF), context, COIN, now=200)


def test_a_transfer_at_the_edges_is_good() -> None:
    for changes in (
        {"amount": MAX_MONEY, "fee": 0},
        {"amount": 1, "fee": MAX_MONEY - 1},
        {"sequence": MAX_MONEY},
        {"memo": b"x" * 140},
        {"memo": "é".encode() * 70},
        {"memo": b"\0"},
    ):
        rules.check_transaction_in_isolation(replace(GOOD, **changes), 1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"amount": 0}, BadAmount),
        ({"amount": MAX_MONEY}, BadAmount),
        ({"amount": 2**64 - 1, "fee": 2**64 - 1}, BadAmount),
        ({"amount": 1, "fee": 2**64 - 1}, BadAmount),
        ({"sequence": MAX_MONEY + 1}, BadSequence),
        ({"sequence": 2**64 - 1}, BadSequence),
        ({"memo": b"x" * 141}, BadMemo),
        ({"memo": b"\xff"}, BadMemo),
        ({"memo": "é".encode() * 70 + b"x"}, BadMemo),
        ({"sender": b"\x01" * 33}, BadSender),
        ({"sender": b"\x01" * 33, "amount": 0, "memo": b"\xff", "sequence": 2**60}, BadSender),
    ],
)
def test_a_transfer_over_the_edge_is_refused(changes: dict[str, object], error: type[RuleError]) -> None:
    with pytest.raises(error):
        rules.check_transaction_in_isolation(replace(GOOD, **changes), 1)  # type: ignore[arg-type]


@given(values.transactions)
def test_what_an_error_tells_can_be_sent_as_json(transaction: Transaction) -> None:
    try:
        rules.check_transaction_in_isolation(transaction, 2)
    except RuleError as error:
        msgspec.json.encode({"message": error.message, "details": error.details})


def test_a_coinbase_may_hold_nothing_and_all_money_and_no_more() -> None:
    for amount in (0, MAX_MONEY):
        rules.check_transaction_in_isolation(Coinbase(1, GOOD.receiver, amount, b""), 1)
    with pytest.raises(BadAmount):
        rules.check_transaction_in_isolation(Coinbase(1, GOOD.receiver, MAX_MONEY + 1, b""), 1)


def test_every_bit_of_a_signed_transfer_counts() -> None:
    raw = codec.encode_transaction(GOOD)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            other = codec.decode_spend(bytes(changed))
        except Malformed:
            continue
        assert isinstance(other, Transfer)
        assert not all(signing.verify_many(signing.signature_checks(COIN.chain_id, other))), bit


@pytest.mark.parametrize("size", [0, 31, 33, 64, 65])
def test_a_key_of_another_length_is_none(size: int) -> None:
    digest = codec.sighash(COIN.chain_id, GOOD)
    prefix = (b"\x02" + GOOD.sender[1:] + bytes(32))[:size]
    assert not signing.verify(prefix, digest, GOOD.signature)
    assert not signing.is_on_curve(prefix)
    assert not signing.is_secret(bytes([1]) * size)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_none(size: int) -> None:
    digest = codec.sighash(COIN.chain_id, GOOD)
    assert not signing.verify(GOOD.sender[1:], digest, (GOOD.signature + b"\0")[:size])


def test_verifying_many_tells_of_each() -> None:
    digest = codec.sighash(COIN.chain_id, GOOD)
    good = (GOOD.sender[1:], digest, GOOD.signature)
    assert signing.verify_many([good, (b"\xff" * 32, digest, GOOD.signature), good]) == [True, False, True]


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_is_shown_reversed_and_read_back(raw: bytes) -> None:
    assert unshow(show(raw)) == unshow(show(raw).upper()) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 63,
        "0" * 65,
        "g" * 64,
        " " * 64,
        "00 " + "0" * 61,
        "00" * 31 + "  ",
        "0x" + "0" * 62,
        "０" * 64,
        "\ud800",
    ],
)
def test_what_is_not_64_hex_digits_is_no_hash(text: str) -> None:
    with pytest.raises(ValueError, match=r"hex|fromhex"):
        unshow(text)


def test_an_address_with_a_letter_that_only_looks_like_ascii_is_refused() -> None:
    coin = replace(COIN, hrp="k")
    address = coin.address(next(key(str(n)).payload for n in range(99) if "k" in coin.address(key(str(n)).payload)[2:]))
    shout = address.upper()
    assert coin.payload(shout) == coin.payload(address)
    for fake in (shout.replace("K", "\u212a"), address.replace("s", "\u017f"), address + "\ud800"):
        with pytest.raises(BadAddress) as refused:
            coin.payload(fake)
        msgspec.json.encode(refused.value.details)


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for candidate in (text, "easy1" + text, "1" + text):
        with pytest.raises(BadAddress):
            decode_address("easy", candidate, 2)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20, unique=True))
def test_each_leaf_has_a_proof_and_no_other_leaf_fits_it(leaves: list[bytes]) -> None:
    root = merkle_root(leaves)
    for position, leaf in enumerate(leaves):
        branch = merkle_branch(leaves, position)
        assert len(branch) == (len(leaves) - 1).bit_length()
        assert merkle_root_of_branch(leaf, position, branch) == root
        other = leaves[position - 1]
        assert other == leaf or merkle_root_of_branch(other, position, branch) != root


@given(st.integers(1, 2**256 - 1))
def test_bits_of_a_target_are_the_target_truncated(target: int) -> None:
    bits = pow.encode_bits(target)
    decoded = pow.decode_bits(bits)
    assert decoded <= target < decoded + max(1, target >> 15)
    assert pow.encode_bits(decoded) == bits


@given(st.integers(0, 2**32 - 1))
def test_any_bits_are_bad_or_a_target_of_256_bits(bits: int) -> None:
    try:
        assert 1 <= pow.decode_bits(bits) < 2**256
    except BadBits:
        assert bits & 0x800000 or bits >> 24 < 3 or bits >> 24 > 0x20 or bits & 0x7FFFFF == 0


@given(st.integers(0, MAX_MONEY), st.integers(0, 8))
def test_an_amount_reads_back_as_it_was_written(units: int, decimals: int) -> None:
    text = format_amount(units, decimals)
    assert parse_amount(text, decimals) == units
    assert Decimal(text) == Decimal(units).scaleb(-decimals)


@pytest.mark.parametrize(
    ("text", "units"), [("5", 5_000_000), ("5.", 5_000_000), (".5", 500_000), ("0.5", 500_000), ("5.0", 5_000_000)]
)
def test_an_amount_may_leave_out_the_digits_on_one_side_of_its_point(text: str, units: int) -> None:
    assert parse_amount(text, 6) == units


@pytest.mark.parametrize("text", ["", ".", "5..", "..5", "5.5.", "-5.", "5. ", "5,"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadAmount):
        parse_amount(text, 6)


@pytest.mark.parametrize("text", ["0.0000001", "1.00000000001", "." + "0" * 38 + "1"])
def test_an_amount_that_is_too_fine_is_called_so(text: str) -> None:
    with pytest.raises(BadAmount, match="this coin has 6 decimals"):
        parse_amount(text, 6)


@pytest.mark.parametrize("text", ["9007199254.740992", "1" + "0" * 16, "1" + "0" * 30, "9" * 40])
def test_an_amount_that_is_too_large_is_called_so(text: str) -> None:
    with pytest.raises(BadAmount, match="more than any coin can hold"):
        parse_amount(text, 6)


@given(st.text(max_size=45))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        units = parse_amount(text, 6)
    except BadAmount:
        return
    assert 0 <= units <= MAX_MONEY
    assert Decimal(text) * 10**6 == units


def test_a_chain_with_the_retarget_follows_the_clock_of_its_blocks() -> None:
    fast = ChainBuilder(easy_coin(retarget=True, block_time=10, clock_tolerance=60, difficulty_window=5))
    for _ in range(8):
        fast.add(timestamp=fast.tip.header.timestamp + 5)
    asked = pow.decode_bits(fast.next_bits)
    assert asked < fast.coin.target_limit
    while fast.next_bits != fast.coin.pow_limit:
        fast.add(timestamp=fast.tip.header.timestamp + 60)
    assert fast.height < 30
