"""Blocks whose parent is not here yet: held, bounded, and connected when it comes."""

from __future__ import annotations

from dataclasses import replace

from node.core import codec
from node.orphans import MAX_ORPHAN_BYTES, MAX_ORPHANS, Orphans
from tests.nodes import OpenNode
from tests.support import ChainBuilder, easy_coin, key, transfer

ALICE, BOB = key("alice"), key("bob")


def test_orphans_of_every_order_connect_when_the_parent_comes(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    fork = chain.branch(0, "fork")
    chain.grow(4)
    fork.blocks[1:] = chain.blocks[1:3]
    aside = fork.next_block(extra=b"aside")
    assert node.offer_all([chain.blocks[4], aside, chain.blocks[2], chain.blocks[3]]) == ["orphan"] * 4
    assert node.offer(chain.blocks[4]).status == "already_known"
    assert node.offer(chain.blocks[1]).status == "extended"
    assert len(node.chain.orphans) == 0
    assert node.tip().block_hash == chain.tip_hash
    assert not node.chain.missing([codec.block_hash(aside.header)])


def test_a_flood_of_orphans_leaves_a_hundred(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    chain.grow(MAX_ORPHANS + 30)
    before = node.dump()
    assert set(node.offer_all(chain.blocks[2:])) == {"orphan"}
    assert len(node.chain.orphans) == MAX_ORPHANS
    assert node.dump() == before
    # The oldest went first: after the first blocks have come again, the rest connects by itself.
    assert set(node.offer_all(chain.blocks[1:31])) == {"extended"}
    assert node.tip().block_hash == chain.tip_hash


def test_orphans_are_bounded_by_bytes_too() -> None:
    orphans = Orphans()
    raw = bytes(MAX_ORPHAN_BYTES // 4)
    for number in range(20):
        assert orphans.hold(number.to_bytes(32, "big"), bytes(32), raw)
        assert not orphans.hold(number.to_bytes(32, "big"), bytes(32), raw)
    assert len(orphans) == 4
    orphans.drop((19).to_bytes(32, "big"))
    orphans.drop(b"not there")
    assert orphans.take_children(b"nobody's parent") == []
    assert len(orphans.take_children(bytes(32))) == 3
    assert orphans.hold(b"one that is larger than all", bytes(32), bytes(MAX_ORPHAN_BYTES + 1))
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
    assert node.tip().block_hash == codec.block_hash(true.header)


def test_an_orphan_that_turns_out_bad_does_not_spoil_the_answer_for_its_parent(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    parent = chain.add()
    bad = chain.next_block(amount=chain.coin.reward + 1)
    assert node.offer(bad).status == "orphan"
    assert node.offer(parent).status == "extended"
    assert node.tip().block_hash == chain.tip_hash
