"""Blocks that are cut short, flipped, too large, or double: refused, and nothing has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moneyer.node.chain.outcomes import Extended
from moneyer.node.core import codec, ledger
from moneyer.node.core.errors import (
    BadCoinbaseAmount,
    BadSequence,
    BadSignature,
    BlockTooLarge,
    InsufficientFunds,
    InvalidParent,
    Malformed,
    Mutated,
    RuleError,
    TimeTooNew,
)
from moneyer.node.core.types import HEADER_SIZE, MAX_MONEY, Block, Transfer
from moneyer.node.store import blocks
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import NOW, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB = key("alice"), key("bob")


def test_a_block_cut_at_any_offset_or_with_a_byte_more_is_refused_and_then_accepted_whole(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    sent = [transfer(chain.coin, ALICE, BOB, 1, 1, sequence, b"hello") for sequence in range(3)]
    raw = codec.encode_block(chain.next_block(sent))
    before = node.dump()
    for wrong in (*(raw[:length] for length in range(len(raw))), raw + b"\0"):
        with pytest.raises(Malformed):
            node.offer(wrong)
    assert node.dump() == before
    assert node.offer(raw).status == "extended"


def test_a_block_with_any_bit_of_its_header_flipped_is_never_accepted(open_node: OpenNode) -> None:
    # Harder than the easy coin, on which every second header would show its work by chance.
    chain = ChainBuilder(easy_coin(pow_limit=0x1F00FFFF))
    node = open_node(chain.coin)
    node.offer(chain.add())
    raw = codec.encode_block(chain.next_block())
    before = node.dump()
    for bit in range(8 * HEADER_SIZE):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RuleError):
            node.offer(bytes(flipped))
    assert node.dump() == before
    assert node.offer(raw).status == "extended"


def full_block(chain: ChainBuilder, size: int) -> Block:
    """A block of exactly `size` bytes on the tip, filled with Alice's transfers."""
    count = 40
    room = size - HEADER_SIZE - 1 - codec.COINBASE_BASE - 8 - count * codec.TRANSFER_BASE
    memos = [b"m" * (room // count + (number < room % count)) for number in range(count)]
    sent = [transfer(chain.coin, ALICE, BOB, 1, 1, sequence, memo) for sequence, memo in enumerate(memos)]
    block = chain.next_block(sent)
    assert len(codec.encode_block(block)) == size
    return block


def test_a_block_of_exactly_the_limit_is_in_and_with_one_more_byte_out(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)], max_block_bytes=10_000))
    node = open_node(chain.coin)
    before = node.dump()
    with pytest.raises(BlockTooLarge):
        node.offer(full_block(chain, 10_001))
    assert node.dump() == before
    assert node.offer(full_block(chain, 10_000)).status == "extended"


def test_two_transfers_of_one_sequence_in_one_block_are_refused(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    before = node.dump()
    twice, other = transfer(chain.coin, ALICE, BOB, 5), transfer(chain.coin, ALICE, BOB, 6)
    with pytest.raises(BadSequence):
        node.offer(chain.next_block([twice, other]))
    with pytest.raises(Mutated):
        node.offer(chain.next_block([twice, twice]))
    assert node.dump() == before
    assert node.offer(chain.next_block([twice])).status == "extended"


def test_the_trick_of_doubled_merkle_leaves_does_not_condemn_the_true_block(open_node: OpenNode) -> None:
    # CVE-2012-2459: an odd last transaction, given twice, has the same root.
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    sent = [transfer(chain.coin, ALICE, BOB, 1, 0, sequence) for sequence in range(2)]
    block = chain.next_block(sent)
    doubled = replace(block, transactions=(*block.transactions, block.transactions[-1]))
    for _ in range(2):
        with pytest.raises(Mutated):
            node.offer(doubled)
    assert node.offer(block).status == "extended"


def test_a_block_from_the_future_is_accepted_when_its_time_has_come(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(clock_tolerance=60))
    node = open_node(chain.coin)
    raw = codec.encode_block(chain.next_block(timestamp=NOW))
    for _ in range(2):
        with pytest.raises(TimeTooNew):
            node.chain.accept_block(raw, NOW - 61)
    assert node.chain.accept_block(raw, NOW - 60).status == "extended"


def test_what_stands_on_a_condemned_block_is_condemned_and_the_bodies_go(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    assert node.offer_all(chain.grow(3)) == ["extended"] * 3
    branch = chain.branch(0, "bad")
    family = [branch.next_block(amount=branch.coin.reward + 1)]
    branch.blocks.append(family[0])  # past the builder's own check
    for extra in (b"aside", b"on", b"on", b"on"):
        family.append(branch.next_block(extra=extra))
        if extra == b"on":
            branch.blocks.append(family[-1])
    before = node.dump()
    assert node.offer_all(family[:-1]) == ["side_branch"] * 4
    with pytest.raises(BadCoinbaseAmount):
        node.offer(family[-1])  # with it the branch would win
    assert node.dump() == before
    for block, error in zip(family, (BadCoinbaseAmount, *(InvalidParent,) * 4), strict=True):
        with pytest.raises(error):
            node.offer(block)
        with node.store.read() as conn:
            assert blocks.raw(conn, codec.block_hash(block.header)) is None


DEAREST = MAX_MONEY - 1
"""The highest fee of a transfer: with an amount of 1 it costs MAX_MONEY."""


def dear_transfers(count: int = 1025) -> list[Transfer]:
    """Unsigned, each allowed by itself; the fees of 1,025 of them sum to more than a signed 64-bit number."""
    return [Transfer(ALICE.payload, BOB.payload, 1, DEAREST, number, b"", bytes(64)) for number in range(count)]


def test_fees_beyond_any_column_get_the_verdict_of_the_first_transfer(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    before = node.dump()
    unsigned = chain.next_block(dear_transfers(), amount=0)
    signed = [transfer(chain.coin, ALICE, BOB, 1, DEAREST), *dear_transfers()[1:]]
    for _ in range(2):
        with pytest.raises(BadSignature):
            node.offer(unsigned)
        with pytest.raises(InsufficientFunds):
            node.offer(chain.next_block(signed, amount=0))
    assert node.dump() == before
    assert node.offer(chain.add()).status == "extended"


def test_fees_beyond_any_column_cost_a_batch_only_the_block_that_has_them(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    raws = [codec.encode_block(block) for block in chain.grow(20)]
    with pytest.raises(BadSignature):
        node.chain.accept_blocks([*raws, codec.encode_block(chain.next_block(dear_transfers(), amount=0))], NOW)
    assert node.tip_hash == chain.tip_hash


@pytest.mark.parametrize("count", [1, 2, 1024, 1025])
def test_fees_beyond_all_money_are_stored_on_a_side_branch_as_all_there_may_be(open_node: OpenNode, count: int) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    aside = chain.branch(0, "aside")
    node.offer(chain.add())
    block = aside.next_block(dear_transfers(count), amount=MAX_MONEY)
    assert node.offer(block).status == "side_branch"
    with node.store.read() as conn:
        row = blocks.by_hash(conn, codec.block_hash(block.header))
    assert row is not None
    assert row.fees == min(MAX_MONEY, count * DEAREST)
    aside.blocks.append(block)  # past the builder's own check
    with pytest.raises(BadSignature):
        node.offer(aside.next_block())
    assert node.tip_hash == chain.tip_hash


def test_a_bug_met_by_one_block_costs_the_others_of_its_batch_nothing(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 1000)]))
    node = open_node(chain.coin)
    good = chain.grow(20)
    met = chain.add([chain.transfer(ALICE, BOB, 1, 1)])

    def overflows(block: Block) -> int:
        if fees := ledger.fees_of(block):
            raise OverflowError(fees)
        return fees

    monkeypatch.setattr("moneyer.node.store.chainstate.fees_of", overflows)
    raws = [codec.encode_block(block) for block in [*good, met, *chain.grow(3)]]
    with pytest.raises(OverflowError):
        node.chain.accept_blocks(raws, NOW)
    assert node.tip.height == 20
    monkeypatch.undo()
    assert isinstance(node.chain.accept_blocks(raws, NOW)[-1], Extended)
    assert node.tip_hash == chain.tip_hash


def test_every_descendant_of_an_invalid_block_is_answered_so_also_after_a_restart(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    family = [chain.next_block(amount=chain.coin.reward + 1)]
    while len(family) < 5:
        chain.blocks.append(family[-1])  # past the builder's own check
        family.append(chain.next_block())
    with pytest.raises(BadCoinbaseAmount):
        node.offer(family[0])
    for block in family[1:4]:
        for _ in range(2):
            with pytest.raises(InvalidParent):
                node.offer(block)
    node.store.close()
    node = open_node(chain.coin)
    with pytest.raises(InvalidParent):
        node.chain.accept_blocks([codec.encode_block(block) for block in family[1:]], NOW)
    with pytest.raises(InvalidParent):
        node.offer(family[-1])
    assert node.tip.height == 0
    assert not len(node.chain.orphans)


def test_a_descendant_of_an_invalid_block_is_remembered_only_if_its_header_is_right(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    bad = chain.next_block(amount=chain.coin.reward + 1)
    with pytest.raises(BadCoinbaseAmount):
        node.offer(bad)
    chain.blocks.append(bad)  # past the builder's own check
    for wrong in (chain.next_block(bits=0x1F00FFFF), chain.next_block(timestamp=chain.coin.timestamp)):
        with pytest.raises(InvalidParent):
            node.offer(wrong)
        assert node.chain.missing([codec.block_hash(wrong.header)])
