"""A new tip is told of while it is being committed: when it has passed every rule, and only then."""

from __future__ import annotations

import pytest

from moneyer.node.core import codec
from moneyer.node.core.errors import RuleError
from moneyer.node.p2p.gossip.relay import Relay
from moneyer.node.store import blocks
from moneyer.node.store.chainstate import NewBlock
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import NOW, Node, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6)])


def listening(node: Node) -> list[tuple[int, int]]:
    """For each call: height of the block, and of the committed tip at that moment."""
    heard: list[tuple[int, int]] = []

    def hear(new: NewBlock) -> None:
        with node.store.read() as conn:
            heard.append((new.height, blocks.tip(conn).height))

    node.chain.on_extended = hear
    return heard


def test_an_extending_block_is_told_before_its_commit(open_node: OpenNode) -> None:
    node = open_node(COIN)
    heard = listening(node)
    chain = ChainBuilder(COIN)
    for _ in range(3):
        node.offer(chain.add())
    assert heard == [(1, 0), (2, 1), (3, 2)]


def test_side_branches_reorgs_runs_of_blocks_and_known_blocks_are_not_told(open_node: OpenNode) -> None:
    node = open_node(COIN)
    chain = ChainBuilder(COIN)
    side = chain.branch(0, "side")
    node.offer(chain.add())
    heard = listening(node)
    node.offer_all([codec.encode_block(side.add()), codec.encode_block(side.add()), chain.raw[0]])
    for _ in range(3):
        side.add()
    node.chain.accept_blocks(side.raw[2:], NOW)
    assert not heard


def test_a_block_that_breaks_a_rule_of_its_context_is_not_told(open_node: OpenNode) -> None:
    node = open_node(COIN)
    heard = listening(node)
    chain = ChainBuilder(COIN)
    too_much = transfer(COIN, ALICE, BOB, 10**6 + 1)
    skipped = transfer(COIN, ALICE, BOB, 1, 0, 1)
    unfunded = transfer(COIN, BOB, ALICE, 1)
    for bad in (too_much, skipped, unfunded):
        with pytest.raises(RuleError):
            node.offer(chain.branch(0, str(bad.amount)).add([bad]))
    assert not heard


def test_a_relay_takes_an_announced_block_for_the_tip_until_its_commit_must_have_come(open_node: OpenNode) -> None:
    node = open_node(COIN)
    now = [0.0]
    relay = Relay(node.store, clock=lambda: now[0])
    woken: list[bool] = []
    relay.subscribe(woken.append)
    announced: list[NewBlock] = []
    node.chain.on_extended = announced.append
    block = ChainBuilder(COIN).add()
    node.offer(block)
    relay.announce(announced[0])
    assert woken == [False]
    assert relay.tip.block_hash == codec.block_hash(block.header)
    assert relay.path(lambda block_hash: block_hash == COIN.chain_id) == [relay.tip.block_hash]
    assert relay.raw_block(relay.tip.block_hash) == codec.encode_block(block)
    now[0] = 3.0  # its commit failed, as far as this relay can tell: it has not looked
    assert relay.tip.block_hash == COIN.chain_id
