"""A template always applies, fits its block, and keeps each sender's order, whatever lies in the mempool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.core import codec, ledger, rules, template
from moneyer.node.core.errors import NoTimestamp
from moneyer.node.core.ledger import BlockContext, Ledger
from moneyer.node.core.types import MAX_MONEY, NO_ACCOUNT, Account, Transfer
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer

PEOPLE = [key(name) for name in ("alice", "bob", "carol")]
MINER = key("miner")
CONTEXT = BlockContext(bytes(32), 1, lambda: 0)


def unsigned(sender: int, sequence: int, amount: int, fee: int, memo: int = 0) -> Transfer:
    receiver = PEOPLE[(sender + 1) % len(PEOPLE)].payload
    return Transfer(PEOPLE[sender].payload, receiver, amount, fee, sequence, b"m" * memo, bytes(64))


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[Transfer], dict[bytes, Account]]:
    """Accounts, and transfers in an order of arrival that keeps each sender's sequences; not all of them apply."""
    accounts = {person.payload: Account(draw(st.integers(0, 1000)), draw(st.integers(0, 3))) for person in PEOPLE}
    following = [account.sequence for account in accounts.values()]
    pool = []
    for sender in draw(st.lists(st.integers(0, len(PEOPLE) - 1), max_size=20)):
        following[sender] += draw(st.sampled_from([0] * 9 + [1]))  # now and then a gap
        amount, fee = draw(st.integers(1, 300)), draw(st.integers(0, 50))
        pool.append(unsigned(sender, following[sender], amount, fee, draw(st.integers(0, 140))))
        following[sender] += 1
    return pool, accounts


@given(pools(), st.integers(0, 4000))
def test_what_is_selected_applies_fits_and_keeps_each_senders_order(
    pool: tuple[list[Transfer], dict[bytes, Account]], room: int
) -> None:
    ready, accounts = pool
    before = dict(accounts)
    chosen = template.select_spends(ready, Ledger(accounts), room, CONTEXT)
    assert accounts == before
    assert sum(map(codec.transaction_size, chosen)) <= room
    assert len(set(map(codec.txid, chosen))) == len(chosen)
    view = Ledger(accounts)
    for each in chosen:
        ledger.apply_spend(view, each, CONTEXT)
    for person in PEOPLE:
        sequences = [each.sequence for each in chosen if each.sender == person.payload]
        first = before[person.payload].sequence
        assert sequences == list(range(first, first + len(sequences)))


@given(st.lists(st.lists(st.integers(0, 100), max_size=6), min_size=3, max_size=3))
def test_with_room_and_money_all_is_taken_and_each_is_the_best_that_its_senders_order_allows(
    fees: list[list[int]],
) -> None:
    queues = [[unsigned(sender, n, 1, fee) for n, fee in enumerate(each)] for sender, each in enumerate(fees)]
    ready = [each for queue in queues for each in queue]
    accounts = {person.payload: Account(10_000, 0) for person in PEOPLE}
    chosen = template.select_spends(ready, Ledger(accounts), 100_000, CONTEXT)
    assert sorted(map(codec.txid, chosen)) == sorted(map(codec.txid, ready))
    for each in chosen:
        heads = [queue[0] for queue in queues if queue]
        assert template.fee_rate(each) == max(map(template.fee_rate, heads))
        next(queue for queue in queues if queue and queue[0] == each).pop(0)


LEAST, LARGEST = codec.TRANSFER_BASE, 4_968
"""Bytes of valid spends."""
sizes = st.integers(LEAST, LARGEST)
capped = template.MAX_FEE_RATE // template.FEE_RATE_SCALE
"""Base units a byte, from which on rates count as equal."""


@given(st.integers(0, MAX_MONEY), sizes, st.integers(0, MAX_MONEY), sizes)
def test_fee_rates_compare_as_the_exact_fractions_do_up_to_what_a_column_holds(
    fee: int, size: int, other_fee: int, other_size: int
) -> None:
    exact = fee * other_size - other_fee * size
    rounded = template.rate_of(fee, size) - template.rate_of(other_fee, other_size)
    if min(fee // size, other_fee // other_size) < capped:
        assert (exact > 0) == (rounded > 0)
        assert (exact < 0) == (rounded < 0)
    else:
        assert abs(rounded) < template.FEE_RATE_SCALE
    assert 0 <= template.rate_of(fee, size) < 2**63


@given(st.integers(1, 10**12), sizes, sizes)
def test_the_fractions_that_lie_closest_are_told_apart(fee: int, size: int, other_size: int) -> None:
    """Of two sizes, fees that differ by as little as fees can: 1 over the product of the sizes."""
    other_fee = fee * other_size // size
    for near in (other_fee, other_fee + 1):
        exact = fee * other_size - near * size
        rounded = template.rate_of(fee, size) - template.rate_of(near, other_size)
        if fee // size < capped - 1:
            assert (exact > 0, exact < 0) == (rounded > 0, rounded < 0)


def test_the_rate_of_a_spend_is_its_fee_over_its_bytes() -> None:
    each = unsigned(0, 0, 1, 7, memo=3)
    assert template.fee_rate(each) == template.rate_of(7, codec.TRANSFER_BASE + 3)
    rates = {template.rate_of(1, size) for size in range(LEAST, LARGEST + 1)}
    assert len(rates) == LARGEST + 1 - LEAST


def test_a_full_pool_makes_a_block_within_the_size_that_solves_the_rules() -> None:
    coin = easy_coin(premine=[(person, 10**9) for person in PEOPLE], max_block_bytes=10_000)
    chain = ChainBuilder(coin)
    ready = [transfer(coin, person, MINER, 5, fee=n, sequence=n) for n in range(40) for person in PEOPLE]
    parent = template.Parent(chain.tip_hash, 0, chain.median_time_past, chain.next_bits)
    made = template.build_template(
        coin, parent, ready, chain.ledger, receiver=MINER.payload, now=coin.timestamp + 5, extra=b"first"
    )
    again = template.with_extra(made, bytes(100))
    for block in (made, again):
        raw = codec.encode_block(block)
        rules.check_size(len(raw), coin)
        txids = [codec.txid(transaction) for transaction in block.transactions]
        rules.check_body_in_isolation(codec.decode_block(raw), txids, coin.rules)
        chain.branch(0, "template").append(block)
    assert len(codec.encode_block(again)) > 10_000 - codec.TRANSFER_BASE - 10
    assert ledger.spends_of(made) == ledger.spends_of(again)
    assert made.header.merkle_root != again.header.merkle_root


def test_an_empty_pool_makes_a_block_that_pays_the_subsidy() -> None:
    chain = ChainBuilder(easy_coin())
    parent = template.Parent(chain.tip_hash, 0, chain.median_time_past, chain.next_bits)
    made = template.build_template(chain.coin, parent, [], Ledger({}), receiver=MINER.payload, now=0, extra=b"x")
    assert made.header.timestamp == chain.median_time_past + 1  # the clock is behind
    chain.append(made)
    assert chain.account(MINER) == Account(chain.coin.reward, 0)
    assert chain.account(key("nobody")) == NO_ACCOUNT


@pytest.mark.parametrize("length", [17, 101])
def test_an_extra_that_no_node_would_decode_is_refused_at_once(length: int) -> None:
    chain = ChainBuilder(easy_coin())
    parent = template.Parent(chain.tip_hash, 0, chain.median_time_past, chain.next_bits)
    made = template.build_template(chain.coin, parent, [], Ledger({}), receiver=MINER.payload, now=0, extra=b"")
    with pytest.raises(ValueError, match="17"):
        template.with_extra(made, bytes(length))
    with pytest.raises(ValueError, match="17"):
        template.build_template(chain.coin, parent, [], Ledger({}), receiver=MINER.payload, now=0, extra=bytes(length))


def test_a_transfer_that_fits_to_the_byte_is_taken_and_one_byte_less_is_too_little() -> None:
    each = unsigned(0, 0, 1, 1, memo=3)
    accounts = {each.sender: Account(10, 0)}
    size = codec.transaction_size(each)
    assert template.select_spends([each], Ledger(accounts), size, CONTEXT) == [each]
    assert template.select_spends([each], Ledger(accounts), size - 1, CONTEXT) == []


LAST_SECOND = 2**32 - 1
"""The highest Unix time that fits a header."""


def at(now: int, median_time_past: int) -> int:
    """The timestamp of a template."""
    parent = template.Parent(bytes(32), 7, median_time_past, 0x207FFFFF)
    block = template.build_template(easy_coin(), parent, [], Ledger({}), receiver=MINER.payload, now=now, extra=b"")
    assert codec.decode_block(codec.encode_block(block)) == block
    return block.header.timestamp


def test_a_template_has_a_time_up_to_the_last_second_that_a_header_can_hold() -> None:
    assert at(LAST_SECOND, 0) == LAST_SECOND
    assert at(0, LAST_SECOND - 1) == LAST_SECOND
    assert at(LAST_SECOND, LAST_SECOND - 1) == LAST_SECOND


@pytest.mark.parametrize(
    ("now", "median_time_past", "words"),
    [
        (LAST_SECOND + 1, 0, "set the clock right"),
        (2**63, LAST_SECOND - 1, "set the clock right"),
        (0, LAST_SECOND, "no block can follow block 7"),
        (LAST_SECOND + 1, LAST_SECOND, "no block can follow block 7"),
    ],
)
def test_a_time_that_no_header_can_hold_is_refused_with_a_sentence(now: int, median_time_past: int, words: str) -> None:
    with pytest.raises(NoTimestamp, match=words):
        at(now, median_time_past)
