"""A network that was split comes together again by itself."""

from __future__ import annotations

from pathlib import Path

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.net.gossip import SOON, gossiping, heal, post_transfer, tear, torn_network, wait_for_pool
from tests.kit.running import ALICE, BOB, CAROL, rich_coin

COIN = rich_coin()
HEALED = 75.0
"""Seconds: a peer that is away is tried at least once a minute."""


def test_two_halves_come_to_the_heavier_chain_and_the_losers_transfers_are_mined_again(tmp_path: Path) -> None:
    with torn_network(tmp_path, 4) as members:
        nodes = [member.node for member in members]
        common = ChainBuilder(COIN, "common")
        common.grow(3)
        for raw in common.raw:
            nodes[0].push(raw)
        for node in nodes:
            node.wait_for_tip(common)
        tear(members, [0, 1], [2, 3])
        light, heavy = common.branch(3, "light"), common.branch(3, "heavy")
        lost, both = transfer(COIN, ALICE, BOB, 11), transfer(COIN, CAROL, BOB, 22)
        light.add([lost, both])
        light.add()
        heavy.add([both])
        heavy.grow(3)
        for side, chain in ((nodes[0], light), (nodes[2], heavy)):
            for raw in chain.raw[3:]:
                assert side.push(raw).json["status"] == "extended"
        for node, chain in zip(nodes, (light, light, heavy, heavy), strict=True):
            node.wait_for_tip(chain)
        heal(members)
        for node in nodes:
            node.wait_for_tip(heavy, HEALED)
        # Sent again, for the side with more work has never seen it.
        for node in nodes:
            wait_for_pool(node, [show(codec.txid(lost))])
        heavy.add([lost])
        assert nodes[3].push(heavy.raw[-1]).json["status"] == "extended"
        for node in nodes:
            node.wait_for_tip(heavy)
            wait_for_pool(node, [])
            assert node.get(f"/v1/accounts/{COIN.address(BOB.payload)}").json["balance"] == heavy.account(BOB).balance


def test_a_slow_and_dripping_connection_is_borne(tmp_path: Path) -> None:
    with torn_network(tmp_path, 2) as members:
        for member in members:
            member.proxy.delay, member.proxy.drip = 0.002, 16
        first, second = (member.node for member in members)
        for _ in range(5):
            first.extend()
        second.wait_for_tip(first.chain, HEALED)
        txid = post_transfer(second, transfer(COIN, ALICE, BOB, 5))
        wait_for_pool(first, [txid], HEALED)


def test_a_node_that_nobody_can_call_is_in_step_all_the_same(tmp_path: Path) -> None:
    """As behind a router: it calls others, and can't be called."""
    with (
        gossiping(tmp_path / "open") as open_node,
        gossiping(tmp_path / "hidden", [open_node.url], announce="http://192.0.2.1:5001") as hidden,
    ):
        chain = hidden.chain
        for _ in range(3):
            hidden.extend()
        open_node.wait_for_tip(chain)
        assert open_node.get("/v1/peers").json["peers"] == []
        open_node.chain = chain
        open_node.extend()
        hidden.wait_for_tip(chain)
        own = post_transfer(hidden, transfer(COIN, ALICE, BOB, 5))
        wait_for_pool(open_node, [own])
        theirs = post_transfer(open_node, transfer(COIN, BOB, ALICE, 5))
        wait_for_pool(hidden, [own, theirs], 2 * SOON)
