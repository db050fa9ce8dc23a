"""One address, and then a second one, takes all that it can get of each scarce place; everybody else is served."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.p2p.peer.wire import NODE_HEADER
from moneyer.node.system.shares import BLOCK_WAITS, BOUNDS, HTTP_BOUNDS
from tests.api.test_idle_clients import linux
from tests.api.test_large_answers import fill_with_large_blocks
from tests.kit.callers.crowds import CROWDS, Crowd, idle_worker, places, request, wait_until_full, wait_until_in_step
from tests.kit.callers.mob import HOSTILE, mobs
from tests.kit.chains import transfer
from tests.kit.net.gossip import gossiping, wait_for_peers
from tests.kit.running import BOB, CAROL, RunningNode, running
from tests.kit.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = {
    "requests": "tests/api/test_idle_clients.py::test_a_request_has_its_turn_until_it_waits_or_is_worked_on",
    "refusals that are held back": "tests/api/test_idle_clients.py"
    "::test_of_an_address_no_more_refusals_are_held_back_than_its_share",
    "connections": "tests/api/test_doorkeeper.py::test_an_address_keeps_no_more_connections_than_its_share",
    "orphans": "tests/chain/test_orphans.py::test_a_flood_of_orphans_from_one_address_leaves_those_of_others",
    "inbound links": "tests/p2p/test_link_floods.py::test_one_address_has_a_few_of_the_places_for_those_that_ask",
    "outbound links": "tests/p2p/test_spread.py::test_a_host_with_sixty_ports_gets_one_of_the_links",
    "Stratum places": "tests/worker/test_stratum_places.py"
    "::test_idle_connections_from_a_few_addresses_keep_no_miner_out",
}
"""Bounds of what is over at once, or is no request, and where the tests that fill them are."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running(tmp_path_factory.mktemp("large") / "node") as node:
        fill_with_large_blocks(node)
        yield node


def post_a_transfer(node: RunningNode) -> None:
    address = node.coin.address(CAROL.payload)
    sequence = node.get(f"/v1/accounts/{address}").json["pending"]["next_sequence"]
    raw = codec.encode_transaction(transfer(node.coin, CAROL, BOB, 1, sequence=sequence))
    answer = node.post("/v1/transactions", {"raw": raw.hex()})
    assert answer.status == 201, answer.body


def others_may_read(node: RunningNode) -> None:
    """Whatever an honest caller at 127.0.0.1 may want to know: each answered, none told to come again."""
    for path in ("/v1/status", "/healthz", "/p2p/hello", "/v1/blocks", "/v1/peers", "/is_valid"):
        answer = node.get(path)
        assert answer.status == 200, (path, answer.body)
    assert node.get("/healthz").json["status"] == "ok"


def a_fresh_node_syncs(node: RunningNode, folder: Path) -> None:
    with running(folder, node.coin) as fresh:
        wait_until_in_step(fresh, node)


@pytest.mark.parametrize("crowd", CROWDS, ids=lambda crowd: crowd.bound.name)
def test_who_takes_all_the_places_that_one_address_or_two_can_get_takes_none_of_the_others(
    crowd: Crowd, node: RunningNode, large: RunningNode, tmp_path: Path
) -> None:
    target, bound = large if crowd.large else node, crowd.bound
    if target.chain.height == 0:
        target.extend()
    with ExitStack() as stack:
        for number, source in enumerate(HOSTILE, 1):
            with crowd.prepared(target):
                stack.enter_context(crowd.fill(target, source))
                assert wait_until_full(target, crowd, number).by_one == bound.each
                if crowd.refuses:
                    wait_until(lambda: bound.name in target.get("/v1/status").json["busy"], 30, "the status to say so")
                others_may_read(target)
            others_may_read(target)
            post_a_transfer(target)
        assert places(target, bound).by_one <= bound.each
        if crowd.is_synced_from:
            a_fresh_node_syncs(target, tmp_path / "fresh")


def test_who_wants_everything_at_once_from_two_addresses_keeps_nobody_else_waiting(
    node: RunningNode, tmp_path: Path
) -> None:
    for _ in range(20):
        node.extend()
    account = node.coin.address(CAROL.payload)
    sequence = node.get(f"/v1/accounts/{account}").json["pending"]["next_sequence"]
    with mobs(node, HOSTILE):
        for number in range(sequence, sequence + 10):
            others_may_read(node)
            raw = codec.encode_transaction(transfer(node.coin, CAROL, BOB, 1, sequence=number))
            sent = node.post("/v1/transactions", {"raw": raw.hex()})
            assert sent.status == 201, sent.body
        a_fresh_node_syncs(node, tmp_path / "fresh")


def test_the_reserve_is_for_those_that_this_node_is_connected_with_and_no_word_makes_one_such(tmp_path: Path) -> None:
    crowd = CROWDS[0]
    with gossiping(tmp_path / "peer") as peer, gossiping(tmp_path / "node", [peer.url]) as target, ExitStack() as stack:
        wait_for_peers(target, 1)
        addresses = -(-(crowd.bound.total - crowd.bound.reserve) // crowd.bound.each)
        for number in range(1, addresses + 1):
            stack.enter_context(crowd.fill(target, f"127.0.1.{number}", waits=False))
            wait_until_full(target, crowd, number)
        named = {NODE_HEADER: peer.get("/p2p/hello").json["node_id"]}
        body: dict[str, list[str]] = {"locator": []}

        def are_refused() -> bool:
            """Strangers, before and behind the peer: not where the crowd's bodies end and its next ones come."""
            first = target.call("POST", "/p2p/headers", body, named, source="127.0.0.5").status
            assert target.post("/p2p/headers", body, named).status == 200
            return (first, target.post("/p2p/headers", body, {NODE_HEADER: "0" * 32}).status) == (503, 503)

        wait_until(are_refused, 30, "all places but the reserve to be taken throughout")


@linux
def test_nobody_waits_for_a_block_for_a_caller_who_has_gone(fresh: RunningNode) -> None:
    with idle_worker(fresh):
        with socket.create_connection(("127.0.0.1", fresh.port), 30, ("127.0.0.2", 0)) as caller:
            caller.sendall(request("GET", "/mine_block"))
            wait_until(lambda: places(fresh, BLOCK_WAITS).held == 1, 30, "the caller to wait")
        wait_until(lambda: places(fresh, BLOCK_WAITS).held == 0, 60, "its going to be noticed")
    assert b"\nmoneyer_requests_abandoned_total 1.0\n" in fresh.get("/metrics").body


def test_every_bound_has_a_crowd_that_fills_it() -> None:
    filled = [crowd.bound for crowd in CROWDS]
    assert filled == [bound for bound in HTTP_BOUNDS if bound.name not in ELSEWHERE]
    assert {bound.name for bound in BOUNDS if bound not in filled} == set(ELSEWHERE)
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), test
