"""Peers that serve true chains very slowly while an honest one waits: each leads a sync in its turn."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from moneyer.node.p2p.peer.peer_client import PeerClient
from moneyer.node.p2p.peer.urls import PeerUrl
from moneyer.node.p2p.sync import fairness as fairness_module
from moneyer.node.p2p.sync import survey as survey_module
from moneyer.node.p2p.sync.catchup import CatchUp
from moneyer.node.p2p.sync.fairness import FairLock, TimeSlice
from moneyer.node.p2p.table.standing import CONNECTED
from tests.kit.chains import ChainBuilder
from tests.kit.net.gossip import COIN, gossiping, listener, wait_until_told
from tests.kit.net.peers import BLOCKS, PeerServer, Route, Serve, drip, honest
from tests.kit.nodes import MakeNode, Node
from tests.kit.running import RunningNode, running
from tests.kit.waiting import wait_until

HEADERS = "POST /p2p/headers"
LONG: Final = 320
"""Blocks: more than are pushed to a node that lacks them."""
PATIENCE: Final = 15.0
"""Seconds, for `wait_until`: four times as many are a fraction of what the liars below would take for their chains."""


def slowly(route: Route, seconds: float) -> Route:
    def serve(body: bytes) -> object:
        threading.Event().wait(seconds)
        return route(body)

    return serve  # type: ignore[return-value] # what `route` answers


def one_at_a_time(route: Route) -> Route:
    """One block in each answer, as the protocol allows."""
    return lambda body: route(json.dumps({"hashes": json.loads(body)["hashes"][:1]}).encode())


@pytest.fixture
def good(tmp_path: Path) -> Iterator[RunningNode]:
    """An honest node with a long chain."""
    with gossiping(tmp_path / "good") as node:
        for _ in range(LONG):
            node.extend()
        yield node


def test_liars_with_slow_headers_do_not_keep_a_node_from_the_best_chain(
    tmp_path: Path, serve: Serve, good: RunningNode
) -> None:
    liars = []
    for number in range(2):
        routes = listener(good.chain, node_id=f"liar-number-{number}", work=f"{10**9:064x}", height=4000)
        one_each = honest(good.chain, headers_each=1)[HEADERS]
        liars.append(serve({**routes, HEADERS: slowly(one_each, 3.0)}))
    with gossiping(tmp_path / "victim", [liar.url for liar in liars]) as victim:
        wait_until(lambda: any(liar.bodies("/p2p/headers") for liar in liars), PATIENCE)
        for liar in liars:
            wait_until_told(liar)
        assert victim.post("/v1/peers", {"url": good.url}, victim.bearer).status == 201
        victim.wait_for_tip(good.chain, PATIENCE)


# with less than the usual time, in this process


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fairness_module, survey_module):
        monkeypatch.setattr(module, "SLICE_SECONDS", 1.0)


@pytest.fixture
def victim(make_node: MakeNode, short_turns: None) -> Node:
    return make_node(COIN)


@pytest.fixture
def catch_up(victim: Node) -> Iterator[CatchUp]:
    started = CatchUp(victim.peers, victim.sync, lambda greeting: None, lambda url, went_well: None)
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def liars_chain() -> ChainBuilder:
    chain = ChainBuilder(COIN, "liar")
    chain.grow(LONG)
    return chain


@pytest.fixture
def liar(victim: Node, serve: Serve, liars_chain: ChainBuilder) -> PeerServer:
    """A true chain of its own, two bodies a second."""
    routes = honest(liars_chain)
    server = serve({**routes, BLOCKS: slowly(one_at_a_time(routes[BLOCKS]), 0.5)})
    victim.peers.add(server.url)
    return server


def lead(catch_up: CatchUp, server: PeerServer) -> None:
    """Have a peer lead, and wait until it does."""
    catch_up.want(PeerUrl("127.0.0.1", server.port), 10**9)
    wait_until(lambda: server.hashes_asked(), PATIENCE)


def test_a_liar_with_slow_bodies_does_not_keep_a_node_from_the_best_chain(
    tmp_path: Path, victim: Node, catch_up: CatchUp, liar: PeerServer
) -> None:
    with running(tmp_path / "good", COIN) as good:
        for _ in range(60):
            good.extend()
        victim.peers.add(good.url)
        lead(catch_up, liar)
        catch_up.want(PeerUrl("127.0.0.1", good.port), good.chain.work)
        wait_until(lambda: victim.tip.block_hash == good.chain.tip_hash, PATIENCE)
        asked = len(liar.asked)
        wait_until(lambda: len(liar.asked) > asked, PATIENCE, "the liar's next turn")
        assert victim.peer(liar.url).state == CONNECTED  # an honest peer on a slow line does the same


def test_a_host_with_many_ports_has_one_turn_for_each_of_anothers(victim: Node) -> None:
    catch_up = CatchUp(victim.peers, victim.sync, lambda greeting: None, lambda url, went_well: None)
    for port in range(1, 5):
        catch_up.want(PeerUrl("127.0.0.2", port), 10**9)
    catch_up.want(PeerUrl("127.0.0.1", 1), 5)
    catch_up.want(PeerUrl("127.0.0.1", 2), 5)
    turns = [catch_up.next_peer() for _ in range(6)]
    hosts = [turn.host for turn in turns if turn is not None]
    assert hosts == ["127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.2"]


def test_a_peer_that_drips_headers_is_to_blame_and_no_hello_gives_it_back(
    make_node: MakeNode, serve: Serve, liars_chain: ChainBuilder
) -> None:
    node = make_node(COIN)
    server = serve({**listener(liars_chain), HEADERS: lambda _: drip(bytes(80), every=0.3)})
    node.peers.add(server.url)
    (greeting,) = node.peers.greet_all()
    hasty = replace(greeting, client=PeerClient(greeting.url, 1))
    synced = node.sync.sync_with(hasty, lambda: False)
    node.peers.greet_all()  # as its link does meanwhile: now it is connected again, whatever the state was
    assert synced.is_to_blame
    assert (node.peer(server.url).state, node.peer(server.url).score) == (CONNECTED, 95)


def test_replace_chain_does_not_wait_for_a_slow_peer_either(
    victim: Node, serve: Serve, catch_up: CatchUp, liar: PeerServer
) -> None:
    chain = ChainBuilder(COIN, "good")
    chain.grow(60)
    victim.peers.add(serve(honest(chain)).url)
    lead(catch_up, liar)

    def is_replaced() -> bool:
        """Not at the first call where this machine is held up for longer than the good one's turn."""
        victim.sync.replace_chain()
        return victim.tip.block_hash == chain.tip_hash

    wait_until(is_replaced, PATIENCE, "the good one's chain")


def test_slow_bodies_of_one_peer_do_not_hold_up_a_chain_that_another_has_too(
    victim: Node, serve: Serve, catch_up: CatchUp, liar: PeerServer, liars_chain: ChainBuilder
) -> None:
    victim.peers.add(serve(honest(liars_chain, node_id="another-peer")).url)
    lead(catch_up, liar)
    wait_until(lambda: victim.tip.height == LONG, PATIENCE)


def test_a_node_that_leaves_the_others_ends_the_sync_under_way(
    make_node: MakeNode, serve: Serve, liars_chain: ChainBuilder
) -> None:
    """With the usual time of a turn, and nobody else who waits."""
    node = make_node(COIN)
    routes = honest(liars_chain)
    server = serve({**routes, BLOCKS: slowly(one_at_a_time(routes[BLOCKS]), 0.5)})
    node.peers.add(server.url)
    catch_up = CatchUp(node.peers, node.sync, lambda greeting: None, lambda url, went_well: None)
    catch_up.start()
    lead(catch_up, server)
    assert node.sync.syncing
    catch_up.stop()
    wait_until(lambda: not node.sync.syncing, 10, "the sync to end")
    assert node.height < LONG


def test_a_time_slice_lasts_while_nobody_waits() -> None:
    waiting: list[str] = []
    time_slice = TimeSlice(lambda: bool(waiting), seconds=0.0)
    time_slice.begin()
    assert (time_slice.is_over, time_slice.was_cut) == (False, False)
    waiting.append("another")
    assert (time_slice.is_over, time_slice.was_cut) == (True, True)


def test_callers_get_a_fair_lock_in_the_order_in_which_they_asked() -> None:
    lock, order = FairLock(), list[int]()

    def stand(number: int) -> None:
        with lock.hold():
            order.append(number)

    def stands(count: int) -> Callable[[], bool]:
        return lambda: lock.callers == count

    threads = []
    with lock.hold():
        for number in range(5):
            threads.append(threading.Thread(target=stand, args=(number,)))
            threads[-1].start()
            wait_until(stands(number + 2))
        assert lock.others_wait
    for thread in threads:
        thread.join(20)
    assert order == list(range(5))
    assert not lock.others_wait
