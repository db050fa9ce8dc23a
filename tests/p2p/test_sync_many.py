"""Blocks from several peers at once: shared out, in order, bounded; peers that are slow or lie are passed over."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.p2p.sync import bodies as bodies_module
from moneyer.node.p2p.sync import survey as survey_module
from moneyer.node.store.unconfirmed import order as pool
from tests.kit.chains import ChainBuilder, key
from tests.kit.net.peers import BLOCKS, Gate, PeerServer, Route, Serve, drip, honest
from tests.kit.nodes import MakeNode, Node
from tests.kit.waiting import wait_until
from tests.p2p.test_sync import ALICE, COIN, add, balances_agree, grown
from tests.p2p.test_sync_hostile import changed_blocks

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    return make_node(COIN)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "LATE_SECONDS", 1.0)


def hashes(chain: ChainBuilder) -> set[str]:
    return {show(codec.block_hash(block.header)) for block in chain.blocks[1:]}


def all_asked(*peers: PeerServer) -> list[str]:
    return [each for peer in peers for each in peer.hashes_asked()]


def after_all_were_asked(route: Route, gate: threading.Barrier) -> Route:
    """The first answer waits until every peer has been asked."""

    def serve(body: bytes) -> object:
        if not gate.broken:
            try:
                gate.wait(30)
                gate.abort()
            except threading.BrokenBarrierError:
                pass
        return route(body)

    return serve  # type: ignore[return-value] # what `route` answers


def test_every_peer_that_has_the_chain_gives_a_part_and_no_block_is_asked_for_twice(node: Node, serve: Serve) -> None:
    chain = grown(300)
    gate = threading.Barrier(3)
    routes = honest(chain)
    routes[BLOCKS] = after_all_were_asked(routes[BLOCKS], gate)
    peers = [add(node, serve, routes) for _ in range(3)]
    assert node.sync.replace_chain()
    assert node.tip.block_hash == chain.tip_hash
    assert all(peer.hashes_asked() for peer in peers)
    asked = all_asked(*peers)
    assert len(asked) == len(set(asked)) == 300
    assert all(node.peer(peer.url).score == 100 for peer in peers)


@pytest.mark.parametrize("place", [0, 1])
def test_a_slow_peer_is_passed_over(node: Node, serve: Serve, impatient: None, place: int) -> None:
    chain = grown(200)
    slow = {**honest(chain), BLOCKS: lambda _: drip(b"a" * 10_000)}
    kinds = [honest(chain), honest(chain)]
    kinds.insert(place, slow)
    peers = [add(node, serve, routes) for routes in kinds]
    assert node.sync.replace_chain()
    assert node.tip.block_hash == chain.tip_hash
    # It was asked for little, was waited for once, and then others were asked for its part.
    assert len(peers[place].bodies("/p2p/blocks")) <= 1
    assert set(all_asked(*peers[:place], *peers[place + 1 :])) == hashes(chain)


FALSE: list[Callable[[bytes], bytes]] = [
    lambda raw: raw[:-1],
    lambda raw: raw[:-9] + b"\xff" + raw[-8:],
    lambda raw: raw[:4] + bytes(32) + raw[36:],
]


@pytest.mark.parametrize("change", FALSE, ids=["cut short", "other root", "another block"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_liar_among_honest_peers_is_found_out_and_the_rest_deliver(
    node: Node, serve: Serve, change: Callable[[bytes], bytes], place: int
) -> None:
    chain = grown(120)
    gate = threading.Barrier(2)
    lies = changed_blocks(chain, lambda at, raw: change(raw or b""))
    kinds = [honest(chain), {**honest(chain), BLOCKS: lies}]
    if place == 0:
        kinds.reverse()
    for routes in kinds:
        routes[BLOCKS] = after_all_were_asked(routes[BLOCKS], gate)
    peers = [add(node, serve, routes) for routes in kinds]
    node.sync.replace_chain()
    node.sync.replace_chain()  # the lead's lie ended that sync; the next one goes on with the other
    assert node.tip.block_hash == chain.tip_hash
    assert balances_agree(node, chain)
    scores = [node.peer(peer.url).score for peer in peers]
    honest_at = 1 - place if place == 0 else 0
    assert scores[honest_at] == 100
    assert scores[1 - honest_at] < 100


def test_a_helper_that_lacks_blocks_is_not_blamed(node: Node, serve: Serve) -> None:
    chain = grown(150)
    gate = threading.Barrier(2)
    routes, other = honest(chain), honest(grown(140, "other branch"))
    for each in (routes, other):
        each[BLOCKS] = after_all_were_asked(each[BLOCKS], gate)
    peers = [add(node, serve, routes), add(node, serve, other)]
    assert node.sync.replace_chain()
    assert node.tip.block_hash == chain.tip_hash
    assert peers[1].hashes_asked()
    assert [node.peer(peer.url).score for peer in peers] == [100, 100]


def test_a_peer_that_shows_headers_and_delivers_nothing_is_helped_out_by_others(node: Node, serve: Serve) -> None:
    chain = grown(60)
    longer = chain.branch(60, "longer")
    longer.grow(1)
    liar = add(node, serve, {**honest(longer), BLOCKS: changed_blocks(longer, lambda at, raw: None)})
    good = add(node, serve, honest(chain))
    assert node.sync.replace_chain()
    assert node.tip.block_hash == chain.tip_hash
    assert node.peer(liar.url).score < 100
    assert node.peer(good.url).score == 100


def test_answers_that_trickle_in_below_a_least_rate_are_a_time_out(
    node: Node, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies_module, "_RATE_FROM_SECONDS", 0.0)
    monkeypatch.setattr(bodies_module, "_LEAST_RATE", 10**12)
    peer = add(node, serve, honest(grown(10)))
    assert node.sync.replace_chain()
    assert node.tip.height == 2  # what came is kept, and no more was asked for
    assert (node.peer(peer.url).score, node.peer(peer.url).state) == (95, "down")


def test_a_longer_branch_from_several_peers_wins_and_the_losers_transfers_return(node: Node, serve: Serve) -> None:
    common = grown(5)
    ours, theirs = common.branch(5, "ours"), common.branch(5, "theirs")
    lost = ours.transfer(ALICE, key("bob"), 111, 2)
    ours.add([lost])
    ours.grow(20)
    theirs.grow(90)
    node.take(ours)
    peers = [add(node, serve, honest(theirs)) for _ in range(2)]
    assert node.sync.replace_chain()
    assert node.tip.block_hash == theirs.tip_hash
    assert balances_agree(node, theirs)
    with node.store.read() as conn:
        assert [row.transfer for row in pool.by_fee_rate(conn, 10)] == [lost]
    assert set(all_asked(*peers)) == hashes(theirs) - hashes(common)


def test_all_headers_are_checked_before_a_body_is_asked_for(
    node: Node, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey_module, "MAX_HEADERS", 50)
    chain = grown(190)
    peer = add(node, serve, honest(chain, headers_each=50))
    assert node.sync.replace_chain()
    assert node.tip.block_hash == chain.tip_hash
    paths = [path for path, _ in peer.asked]
    first_body = paths.index("POST /p2p/blocks")
    assert paths[:first_body].count("POST /p2p/headers") == 4


def test_progress_is_told_while_it_lasts(make_node: MakeNode, serve: Serve) -> None:
    node, chain = make_node(COIN, deadline=60), grown(100)
    routes = honest(chain)
    gate = Gate(routes[BLOCKS], 40)
    add(node, serve, {**routes, BLOCKS: gate.serve})
    assert node.sync.meter.progress is None
    caller = threading.Thread(target=node.sync.replace_chain)
    caller.start()

    def at_forty() -> bool:
        progress = node.sync.progress
        return progress is not None and progress.connected_height == 40

    try:
        wait_until(at_forty, 20)
        progress = node.sync.progress
        assert progress is not None
        assert (progress.headers_height, progress.target_height, progress.peers) == (100, 100, 1)
        assert progress.blocks_per_second > 0
        assert progress.transfers_per_second == 0
    finally:
        gate.open(1000)
        caller.join(60)
    assert node.tip.height == 100
