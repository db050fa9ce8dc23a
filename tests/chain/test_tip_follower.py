"""How the tip moved, as a thread that follows it is told."""

from __future__ import annotations

import pytest

from moneyer.node.chain.tip_follower import TipFollower, TipMove
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.nodes import NOW, OpenNode

pytestmark = pytest.mark.both_databases


def look(follower: TipFollower) -> TipMove | None:
    with follower.look() as (_, move):
        return move


def test_each_look_tells_how_the_tip_moved_since_the_one_before(open_node: OpenNode) -> None:
    ours, theirs = ChainBuilder(easy_coin(), "ours"), ChainBuilder(easy_coin(), "theirs")
    ours.grow(3)
    theirs.grow(5)
    node = open_node(ours.coin)
    follower = TipFollower(node.store)
    assert follower.wait(0), "nobody has looked yet"
    assert look(follower) is None
    assert not follower.wait(0)

    node.chain.accept_block(ours.raw[0], NOW)
    assert follower.wait(0)
    move = look(follower)
    assert move is not None
    assert (move.old.height, move.new.height, move.fork_height, move.disconnected, move.connected) == (0, 1, 0, 0, 1)

    for raw in ours.raw[1:]:
        node.chain.accept_block(raw, NOW)
    move = look(follower)
    assert move is not None
    assert (move.fork_height, move.disconnected, move.connected) == (1, 0, 2)

    for raw in theirs.raw:
        node.chain.accept_block(raw, NOW)
    move = look(follower)
    assert move is not None
    assert (move.fork_height, move.disconnected, move.connected) == (0, 3, 5)
    assert follower.tip.block_hash == move.new.block_hash == theirs.tip_hash
    assert look(follower) is None


def test_a_look_that_ended_in_an_error_does_not_count(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    chain.grow(1)
    node = open_node(chain.coin)
    follower = TipFollower(node.store)
    look(follower)
    node.chain.accept_block(chain.raw[0], NOW)
    with pytest.raises(ZeroDivisionError), follower.look():
        raise ZeroDivisionError
    assert follower.tip.height == 0
    assert follower.wait(0)
    move = look(follower)
    assert move is not None
    assert move.new.height == 1
