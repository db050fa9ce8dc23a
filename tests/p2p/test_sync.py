from __future__ import annotations

import json
from typing import Any

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.p2p.peer import wire
from moneyer.node.p2p.sync import survey as survey_module
from moneyer.node.p2p.sync.progress import SyncMeter
from moneyer.node.store import accounts, blocks, chainstate
from moneyer.node.store.explore.tree import Leaves
from tests.kit.chains import ChainBuilder, easy_coin, key
from tests.kit.net.peers import Answer, PeerServer, Route, Serve, honest
from tests.kit.nodes import NOW, MakeNode, Node

ALICE = key("alice")
COIN = easy_coin(premine=[(ALICE, 1_000_000_000)])


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    return make_node(COIN)


def add(node: Node, serve: Serve, routes: dict[str, Route]) -> PeerServer:
    """A peer in the node's table."""
    server = serve(routes)
    node.peers.add(server.url)
    return server


def grown(count: int, name: str = "main", coin: Coin = COIN) -> ChainBuilder:
    chain = ChainBuilder(coin, name)
    chain.grow(count)
    return chain


def rows(node: Node) -> int:
    """Blocks in the tree, whatever their branch."""
    with node.store.read() as conn:
        return len(Leaves().look(conn)) + blocks.tip(conn).height


def test_a_side_branch_that_is_let_go_during_a_download_is_fetched_anew_and_no_peer_blamed(
    node: Node, serve: Serve
) -> None:
    ours, theirs = grown(2, "ours"), grown(6, "theirs")
    node.take(ours)
    known = codec.block_hash(theirs.blocks[1].header)
    assert node.chain.accept_block(theirs.raw[0], NOW).status == "side_branch"
    routes = honest(theirs)

    def let_go(body: bytes) -> Any:
        """Drop the block after the plan was made and before its successors arrive."""
        node.store.write(lambda conn: chainstate.forget(conn, [known]))
        return routes["POST /p2p/blocks"](body)

    peer = add(node, serve, {**routes, "POST /p2p/blocks": let_go})
    assert not node.sync.replace_chain()
    assert node.tip_hash == ours.tip_hash
    assert node.peer(peer.url).score == 100
    peer.routes.update(routes)
    assert node.sync.replace_chain()
    assert node.tip_hash == theirs.tip_hash


def balances_agree(node: Node, chain: ChainBuilder) -> bool:
    with node.store.read() as conn:
        return all(accounts.account(conn, payload) == account for payload, account in chain.accounts.items())


def test_the_chain_with_more_work_is_taken_whole(node: Node, serve: Serve) -> None:
    chain = grown(3)
    chain.add([chain.transfer(ALICE, key("bob"), 500, 3)])
    chain.grow(300)
    peer = add(node, serve, honest(chain))
    assert node.sync.replace_chain()
    assert node.tip_hash == chain.tip_hash
    assert balances_agree(node, chain)
    assert not node.sync.replace_chain()
    assert not node.sync.syncing
    assert node.peer(peer.url).score == 100
    assert len(peer.hashes_asked()) == 304


def test_as_much_work_or_less_changes_nothing(node: Node, serve: Serve) -> None:
    ours = grown(5)
    node.take(ours)
    peers = [add(node, serve, honest(grown(height, f"other {height}"))) for height in (4, 5)]
    assert not node.sync.replace_chain()
    assert node.tip_hash == ours.tip_hash
    assert all(peer.bodies("/p2p/headers") == [] for peer in peers)


def test_the_peer_with_the_most_work_is_asked_first(node: Node, serve: Serve) -> None:
    small, large = add(node, serve, honest(grown(3, "small"))), add(node, serve, honest(grown(6, "large")))
    assert node.sync.replace_chain()
    assert node.tip.height == 6
    assert large.hashes_asked()
    assert small.bodies("/p2p/headers") == []


@pytest.mark.slow
def test_a_branch_of_a_thousand_blocks_wins_and_loses_again(node: Node, serve: Serve) -> None:
    common = grown(2)
    ours, theirs = common.branch(2, "ours"), common.branch(2, "theirs")
    ours.add([ours.transfer(ALICE, key("bob"), 111)])
    ours.grow(999)
    theirs.add([theirs.transfer(ALICE, key("carol"), 222, 7)])
    theirs.grow(1000)
    node.take(ours)
    peer = add(node, serve, honest(theirs))
    assert node.sync.replace_chain()
    assert node.tip_hash == theirs.tip_hash
    assert balances_agree(node, theirs)
    ours.grow(2)
    peer.routes = honest(ours)
    peer.asked.clear()
    assert node.sync.replace_chain()
    assert node.tip_hash == ours.tip_hash
    assert balances_agree(node, ours)
    assert len(peer.hashes_asked()) == 2


def test_small_answers_and_headers_that_were_not_kept_do_as_well(
    node: Node, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey_module, "_KEPT_BATCHES", 2)
    node.take(grown(40, "ours"))
    theirs = grown(45, "theirs")
    peer = add(node, serve, honest(theirs, headers_each=7))
    assert node.sync.replace_chain()
    assert node.tip_hash == theirs.tip_hash
    assert node.peer(peer.url).score == 100


def test_a_chain_that_was_left_half_way_is_taken_up_again(node: Node, serve: Serve) -> None:
    chain = grown(300)
    routes = honest(chain)
    held_back = {show(codec.block_hash(block.header)) for block in chain.blocks[200:]}

    def half(body: bytes) -> Answer:
        asked = json.loads(body)["hashes"]
        answer = routes["POST /p2p/blocks"](body)
        assert isinstance(answer, Answer)
        found = wire.split_blocks(answer.body, len(asked), COIN.max_block_bytes)
        return Answer(
            wire.frame_blocks(None if text in held_back else raw for text, raw in zip(asked, found, strict=False))
        )

    peer = add(node, serve, {**routes, "POST /p2p/blocks": half})
    assert node.sync.replace_chain()
    assert node.tip.height == 199
    peer.routes = routes
    peer.asked.clear()
    assert node.sync.replace_chain()
    assert node.tip_hash == chain.tip_hash
    assert set(peer.hashes_asked()) == held_back


def test_a_side_branch_left_half_way_is_not_fetched_twice(node: Node, serve: Serve) -> None:
    node.take(grown(20, "ours"))
    theirs = grown(30, "theirs")
    for raw in theirs.raw[:15]:
        node.chain.accept_block(raw, 1_900_000_000, asked=True)
    peer = add(node, serve, honest(theirs))
    assert node.sync.replace_chain()
    assert node.tip_hash == theirs.tip_hash
    assert len(peer.hashes_asked()) == 15


def test_retargeted_headers_are_checked_in_their_context(make_node: MakeNode, serve: Serve) -> None:
    coin = easy_coin(retarget=True, block_time=10, clock_tolerance=60, difficulty_window=10)
    chain = ChainBuilder(coin)
    for spacing in [3] * 20 + [60] * 20 + [10] * 10:
        chain.add(timestamp=max(chain.tip.header.timestamp + spacing, chain.median_time_past + 1))
    assert len({block.header.bits for block in chain.blocks}) > 20
    node = make_node(coin)
    peer = add(node, serve, honest(chain, headers_each=9))
    assert node.sync.replace_chain()
    assert node.tip_hash == chain.tip_hash
    assert node.peer(peer.url).score == 100


def test_a_block_from_the_future_is_left_for_later_without_blame(node: Node, serve: Serve) -> None:
    chain = grown(5)
    chain.add(timestamp=4_000_000_000)
    peer = add(node, serve, honest(chain))
    assert node.sync.replace_chain()
    assert node.tip.height == 5
    assert not node.sync.replace_chain()
    assert node.peer(peer.url).score == 100


def test_asking_all_peers_and_a_sync_of_one_are_both_syncing_whichever_ends_first() -> None:
    meter = SyncMeter()

    def shown() -> tuple[bool, bool]:
        return meter.syncing, meter.progress is not None

    with meter.asking():
        assert shown() == (True, False)
        meter.begin(0, 9)
    assert shown() == (True, True)
    with meter.asking():
        meter.end()
        assert shown() == (True, False)
    assert shown() == (False, False)
