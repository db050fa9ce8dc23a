"""Blocks whose parent is not here yet: held, bounded, and connected when it comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moneyer.node.chain.orphans import MAX_ORPHAN_BYTES, HeldBlock, Orphans
from moneyer.node.core import codec
from moneyer.node.core.codec import merkle_root
from moneyer.node.core.errors import BadCoinbaseAmount, RuleError
from moneyer.node.system.shares import ORPHANS
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import NOW, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB = key("alice"), key("bob")


def test_orphans_of_every_order_connect_when_the_parent_comes(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    fork = chain.branch(0, "fork")
    chain.grow(4)
    fork.blocks[1:] = chain.blocks[1:3]
    aside = fork.next_block(extra=b"aside")
    assert node.offer_all([chain.blocks[4], aside, chain.blocks[2], chain.blocks[3]]) == ["orphan"] * 4
    assert node.offer(chain.blocks[4]).status == "orphan"  # still: whoever brings it may be asked for its parents
    assert node.offer(chain.blocks[1]).status == "extended"
    assert len(node.chain.orphans) == 0
    assert node.tip_hash == chain.tip_hash
    assert not node.chain.missing([codec.block_hash(aside.header)])


def test_a_flood_of_orphans_leaves_the_share_of_its_address(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    chain.grow(ORPHANS.each + 30)
    before = node.dump()
    assert {node.chain.accept_block(raw, NOW, remote="192.0.2.1").status for raw in chain.raw[1:]} == {"orphan"}
    assert len(node.chain.orphans) == node.chain.orphans.places.held_by("192.0.2.1") == ORPHANS.each
    assert node.dump() == before
    # The oldest went first: after the first blocks have come again, the rest connects by itself.
    assert set(node.offer_all(chain.blocks[1:31])) == {"extended"}
    assert node.tip_hash == chain.tip_hash
    assert node.chain.orphans.places.count == 0


def test_a_flood_of_orphans_from_one_address_leaves_those_of_others(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    parent, honest = (codec.encode_block(block) for block in chain.grow(2))
    chain.grow(3 * ORPHANS.each)
    assert node.chain.accept_block(honest, NOW, remote="198.51.100.1").status == "orphan"
    for raw in chain.raw[3:]:
        node.chain.accept_block(raw, NOW, remote="192.0.2.1")
    assert node.chain.accept_block(parent, NOW, remote="203.0.113.1").height == 1
    assert node.tip_hash == codec.block_hash(chain.blocks[2].header)


def hold(orphans: Orphans, number: int, remote: str, size: int = 100) -> bytes:
    block_hash = number.to_bytes(32, "big")
    block = HeldBlock(bytes(32), bytes(size), remote)
    assert orphans.hold(block_hash, block)
    assert not orphans.hold(block_hash, block)
    return block_hash


def test_a_full_pool_takes_from_whoever_holds_most() -> None:
    orphans = Orphans()
    for number in range(1_000):
        hold(orphans, number, f"192.0.2.{number % 4}")
    assert len(orphans) == orphans.places.count == ORPHANS.total
    for number in range(1_000, 1_020):
        hold(orphans, number, "198.51.100.1")
    assert orphans.places.held_by("198.51.100.1") == 20
    assert min(orphans.places.held_by(f"192.0.2.{number}") for number in range(4)) == 20


def test_nothing_is_left_of_addresses_whose_orphans_have_gone() -> None:
    orphans = Orphans()
    for number in range(3 * ORPHANS.total):
        hold(orphans, number, f"192.0.2.{number % 250}")
    assert len(orphans.sizes()) == ORPHANS.total
    orphans.take_children(bytes(32))
    assert not orphans.sizes()


def test_orphans_are_bounded_by_bytes_too() -> None:
    orphans = Orphans()
    share = MAX_ORPHAN_BYTES * ORPHANS.each // ORPHANS.total
    for number in range(20):
        last = hold(orphans, number, "192.0.2.1", share // 8)
    assert len(orphans) == 8
    for number in range(20, 80):
        hold(orphans, number, f"198.51.100.{number % 6}", share // 8)
    assert len(orphans) == MAX_ORPHAN_BYTES // (share // 8)
    assert orphans.places.held_by("192.0.2.1") >= 1
    orphans.drop(last)
    orphans.drop(b"not there")
    assert orphans.take_children(b"nobody's parent") == []
    assert orphans.take_children(bytes(32))
    assert orphans.places.count == 0
    hold(orphans, 80, "192.0.2.1", MAX_ORPHAN_BYTES + 1)
    assert len(orphans) == 1


def test_a_false_body_does_not_keep_the_true_orphan_out(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 10)]))
    node = open_node(chain.coin)
    parent = chain.add()
    true = chain.next_block([transfer(chain.coin, ALICE, BOB, 1)])
    false = replace(true, transactions=true.transactions[:1])
    cut = codec.encode_block(true)[:-1]
    assert [node.offer(each).status for each in (false, cut, true)] == ["orphan"] * 3
    assert node.offer(parent).status == "extended"
    assert node.tip_hash == codec.block_hash(true.header)


def test_an_orphan_that_turns_out_bad_does_not_spoil_the_answer_for_its_parent(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    parent = chain.add()
    bad = chain.next_block(amount=chain.coin.reward + 1)
    assert node.offer(bad).status == "orphan"
    assert node.offer(parent).status == "extended"
    assert node.tip_hash == chain.tip_hash


@pytest.mark.parametrize(("transfers", "repeated"), [(2, 1), (5, 2), (4, 1)])
def test_repeated_transactions_under_the_true_root_do_not_keep_the_true_orphan_out(
    open_node: OpenNode, transfers: int, repeated: int
) -> None:
    # CVE-2012-2459: an odd level of the Merkle tree is paired with itself, so its end can be given twice.
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 100)]))
    node = open_node(chain.coin)
    parent = chain.add()
    true = chain.next_block([transfer(chain.coin, ALICE, BOB, 1, 0, number) for number in range(transfers)])
    false = replace(true, transactions=(*true.transactions, *true.transactions[-repeated:]))
    txids = [[codec.txid(each) for each in block.transactions] for block in (true, false)]
    assert merkle_root(txids[0]) == merkle_root(txids[1])
    assert node.offer_all([false, true]) == ["orphan"] * 2
    assert node.offer(parent).status == "extended"
    assert node.tip_hash == codec.block_hash(true.header)


def test_an_orphan_connects_though_the_batch_that_brings_its_parent_ends_in_a_bad_block(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    raws = [codec.encode_block(block) for block in chain.grow(3)]
    bad = codec.encode_block(chain.next_block(amount=chain.coin.reward + 1))
    assert node.offer(chain.add()).status == "orphan"
    with pytest.raises(BadCoinbaseAmount):
        node.chain.accept_blocks([*raws, bad], NOW)
    assert node.tip_hash == chain.tip_hash
    assert not len(node.chain.orphans)


def test_an_orphan_connects_though_another_process_brought_its_parent(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node, other = open_node(chain.coin), open_node(chain.coin)
    parent, child = chain.grow(2)
    assert node.offer(child).status == "orphan"
    assert other.offer(parent).status == "extended"
    assert node.offer(parent).status == "already_known"
    assert node.tip_hash == chain.tip_hash


def test_orphans_of_a_block_that_turns_out_invalid_are_let_go(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    bad = chain.next_block(amount=chain.coin.reward + 1)
    chain.blocks.append(bad)  # past the builder's own check
    child = chain.next_block()
    assert node.offer(child).status == "orphan"
    with pytest.raises(BadCoinbaseAmount):
        node.offer(bad)
    assert not len(node.chain.orphans)
    with pytest.raises(RuleError) as refused:
        node.offer(child)
    assert refused.value.code == "invalid_parent"
