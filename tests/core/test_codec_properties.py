"""Each value has one encoding; each other byte string is `Malformed`, and nothing else is ever raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.core import codec
from moneyer.node.core.errors import Malformed
from moneyer.node.core.types import (
    HEADER_SIZE,
    Block,
    Burn,
    Coinbase,
    Header,
    Issue,
    Mint,
    Payment,
    Spend,
    Transaction,
    Transfer,
)
from tests.core import strategies as values


def canonical(raw: bytes, decode: Callable[[bytes], object], encode: Callable[..., bytes]) -> bool:
    """Whether `raw` decodes; if so it must be what its value encodes to. Any error but Malformed escapes."""
    try:
        value = decode(raw)
    except Malformed:
        return False
    assert encode(value) == raw
    return True


VERSIONS = [bytes([version]) for version in range(7)]


def encode_spends(spends: list[Spend]) -> bytes:
    return b"".join(map(codec.encode_transaction, spends))


@given(values.headers)
def test_a_header_has_80_bytes_and_comes_back(header: Header) -> None:
    raw = codec.encode_header(header)
    assert len(raw) == 80
    assert codec.decode_header(raw) == header


@given(values.transactions)
def test_a_transaction_comes_back_and_its_size_is_known(transaction: Transaction) -> None:
    raw = codec.encode_transaction(transaction)
    assert codec.decode_transaction(raw) == (transaction, len(raw))
    assert codec.transaction_size(transaction) == len(raw) != 64


@given(st.binary(max_size=20), values.transactions, st.binary(max_size=20))
def test_a_transaction_is_found_at_its_offset_and_ends_where_it_ends(
    before: bytes, transaction: Transaction, behind: bytes
) -> None:
    raw = codec.encode_transaction(transaction)
    assert codec.decode_transaction(before + raw + behind, len(before)) == (transaction, len(before) + len(raw))


@given(st.one_of(values.transactions.map(codec.encode_transaction), st.binary(max_size=400)), st.data())
def test_a_transfers_fields_are_those_of_the_decoded_one_and_nothing_else_has_any(
    raw: bytes, data: st.DataObject
) -> None:
    end = data.draw(st.integers(max(0, len(raw) - 70), len(raw) + 2))
    for each in (raw, (raw + b"xx")[:end]):
        try:
            wanted = codec.decode_spend(each, rules=1)
        except Malformed:
            with pytest.raises(Malformed):
                codec.transfer_fields(each)
        else:
            assert Transfer(*codec.transfer_fields(each)) == wanted


@given(values.envelopes)
def test_under_rules_1_there_are_no_other_versions(envelope: Payment | Issue | Mint | Burn) -> None:
    raw = codec.encode_transaction(envelope)
    assert codec.decode_spend(raw, rules=2) == envelope
    for decode in (codec.decode_transaction, codec.decode_spend, codec.decode_spends):
        with pytest.raises(Malformed, match="unknown transaction version"):
            decode(raw, rules=1)
    with pytest.raises(Malformed, match="unknown transaction version"):
        codec.decode_body_and_txids(codec.encode_count(1) + raw, rules=1)


@given(values.spends)
def test_no_spend_is_shorter_or_longer_than_the_bounds_of_its_rules(spend: Spend) -> None:
    size = codec.transaction_size(spend)
    assert codec.least_spend(2) <= size <= codec.MAX_SPEND[2]
    if isinstance(spend, Transfer):
        assert codec.least_spend(1) <= size <= codec.MAX_SPEND[1]


def test_the_bounds_are_those_of_the_shortest_and_the_longest_that_decode() -> None:
    shortest = Burn(bytes(33), 0, 0, b"", b"", bytes(32), 0)
    longest = Issue(
        bytes(33), 0, 0, bytes(255), bytes(2**16 - 1), bytes(33), 0, 0, 0, bytes(255), bytes(255), bytes(32)
    )
    assert codec.least_spend(2) == codec.transaction_size(shortest) == 93
    assert codec.MAX_SPEND[2] == codec.transaction_size(longest)
    for each in (shortest, longest):
        assert codec.decode_spend(codec.encode_transaction(each)) == each


@given(values.headers)
def test_a_headers_timestamp_is_found_without_decoding_it(header: Header) -> None:
    assert codec.timestamp_of(codec.encode_header(header)) == header.timestamp


@given(values.blocks)
def test_a_block_comes_back(block: Block) -> None:
    assert codec.decode_block(codec.encode_block(block)) == block


@given(values.blocks)
def test_a_bodys_txids_are_those_of_its_transactions(block: Block) -> None:
    transactions, txids = codec.decode_body_and_txids(codec.encode_body(block.transactions))
    assert transactions == block.transactions
    assert txids == [codec.txid(transaction) for transaction in transactions]


@given(values.coinbases, st.lists(values.spends, max_size=4))
def test_a_bodys_outline_says_what_its_transactions_do(coinbase: Coinbase, spends: list[Spend]) -> None:
    found, coinbase_txid, outlines = codec.outline_body(codec.encode_body((coinbase, *spends)))
    assert (found, coinbase_txid) == (coinbase, codec.txid(coinbase))
    assert outlines == [codec.outline(spend, codec.txid(spend)) for spend in spends]
    for each, spend in zip(outlines, spends, strict=True):
        assert codec.decode_spend(each.raw) == spend
        assert each[1:6] == (spend.sender, spend.receiver, spend.coin_amount, spend.fee, spend.sequence)
        assert each.envelope == (None if isinstance(spend, Transfer) else spend)


@given(values.coinbases, st.lists(values.spends, min_size=1, max_size=3), st.data())
def test_a_body_that_is_cut_off_or_goes_on_has_no_outline(
    coinbase: Coinbase, spends: list[Spend], data: st.DataObject
) -> None:
    raw = codec.encode_body((coinbase, *spends))
    end = data.draw(st.integers(0, len(raw) - 1))
    for damaged in (raw[:end], raw + b"x", codec.encode_body((*spends, coinbase))):
        with pytest.raises(Malformed):
            codec.outline_body(damaged)


@given(st.lists(values.spends, max_size=4))
def test_spends_end_to_end_come_back(spends: list[Spend]) -> None:
    assert codec.decode_spends(encode_spends(spends)) == spends


@given(values.blocks, st.binary(min_size=1, max_size=40))
def test_a_block_cut_anywhere_or_followed_by_anything_is_malformed(block: Block, tail: bytes) -> None:
    raw = codec.encode_block(block)
    for end in range(len(raw)):
        with pytest.raises(Malformed):
            codec.decode_block(raw[:end])
    with pytest.raises(Malformed):
        codec.decode_block(raw + tail)


@given(values.spends, st.binary(min_size=1, max_size=40))
def test_a_spend_cut_anywhere_or_followed_by_anything_is_malformed(spend: Spend, tail: bytes) -> None:
    raw = codec.encode_transaction(spend)
    for end in range(len(raw)):
        with pytest.raises(Malformed):
            codec.decode_spend(raw[:end])
    with pytest.raises(Malformed):
        codec.decode_spend(raw + tail)


@given(values.coinbases)
def test_a_coinbase_is_no_spend(coinbase: Coinbase) -> None:
    raw = codec.encode_transaction(coinbase)
    with pytest.raises(Malformed):
        codec.decode_spend(raw)
    with pytest.raises(Malformed):
        codec.decode_spends(raw)


@given(st.integers(0, 2**64 - 1))
def test_a_count_has_one_form(count: int) -> None:
    minimal = codec.encode_count(count)
    assert codec.decode_count(minimal) == (count, len(minimal))
    for first, size in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if count < 256**size:
            form = bytes([first]) + count.to_bytes(size, "little")
            if form != minimal:
                with pytest.raises(Malformed):
                    codec.decode_count(form)


@pytest.mark.parametrize("count", [0, 252, 253, 254, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**64 - 1])
def test_counts_at_the_edges_of_their_forms_come_back(count: int) -> None:
    raw = codec.encode_count(count)
    assert codec.decode_count(b"?" + raw, 1) == (count, 1 + len(raw))


@given(values.blocks, st.sampled_from([(0xFD, 2), (0xFE, 4), (0xFF, 8)]))
def test_a_block_whose_count_is_longer_than_needed_is_malformed(block: Block, form: tuple[int, int]) -> None:
    raw = codec.encode_block(block)
    first, size = form
    longer = bytes([first]) + len(block.transactions).to_bytes(size, "little")
    with pytest.raises(Malformed):
        codec.decode_block(raw[:HEADER_SIZE] + longer + raw[HEADER_SIZE + 1 :])


@pytest.mark.parametrize("count", [1, 252, 253, 2**16, 2**32, 2**64 - 1])
def test_a_count_without_its_transactions_is_malformed_at_once(count: int) -> None:
    with pytest.raises(Malformed):
        codec.decode_body(codec.encode_count(count))


@given(st.binary(max_size=400) | st.builds(bytes.__add__, st.sampled_from(VERSIONS), st.binary(max_size=400)))
def test_any_bytes_are_malformed_or_canonical(raw: bytes) -> None:
    canonical(raw, codec.decode_body, codec.encode_body)
    canonical(raw, codec.decode_block, codec.encode_block)
    canonical(raw, codec.decode_spend, codec.encode_transaction)
    canonical(raw, codec.decode_spends, encode_spends)
    canonical(raw, codec.decode_header, codec.encode_header)


@given(values.blocks, st.data())
def test_a_block_with_a_byte_changed_is_malformed_or_another_block(block: Block, data: st.DataObject) -> None:
    raw = bytearray(codec.encode_block(block))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    if canonical(bytes(raw), codec.decode_block, codec.encode_block):
        assert codec.decode_block(bytes(raw)) != block


@given(values.coinbases, st.integers(101, 255))
def test_an_extra_over_100_bytes_is_malformed(coinbase: Coinbase, length: int) -> None:
    raw = codec.encode_transaction(coinbase)[: codec.COINBASE_BASE - 1] + bytes([length]) + bytes(length)
    with pytest.raises(Malformed):
        codec.decode_transaction(raw)


@given(values.coinbases)
def test_a_coinbase_of_64_bytes_is_malformed(coinbase: Coinbase) -> None:
    raw = codec.encode_transaction(coinbase)[: codec.COINBASE_BASE - 1] + b"\x11" + bytes(17)
    assert len(raw) == 64
    with pytest.raises(Malformed):
        codec.decode_transaction(raw)


@given(values.coinbases, st.integers(2, 255))
def test_an_unknown_version_is_malformed(coinbase: Coinbase, version: int) -> None:
    raw = bytes([version]) + codec.encode_transaction(coinbase)[1:] + bytes(1000)
    for coin_rules, last in ((1, 1), (2, 5)):
        if version > last:
            with pytest.raises(Malformed, match="unknown transaction version"):
                codec.decode_transaction(raw, rules=coin_rules)
