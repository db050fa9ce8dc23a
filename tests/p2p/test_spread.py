"""Outbound links are spread over addresses: a host with many ports gets one of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from moneyer.node.p2p.gossip.link_manager import LinkManager
from moneyer.node.p2p.table.spread import Crowding, Spread, location_of, location_of_any
from moneyer.node.p2p.table.standing import CONNECTED, OUTBOUND, blank
from moneyer.node.store import peers as table
from tests.kit.chains import ChainBuilder
from tests.kit.net.gossip import COIN, SOON, gossiping, listener, peers_of
from tests.kit.net.many_peers import Crowd
from tests.kit.net.peers import Serve
from tests.kit.nodes import NOW
from tests.kit.running import RunningNode
from tests.kit.waiting import wait_until
from tests.p2p.test_link_floods import Manage, Managed, manage  # noqa: F401 - a fixture

HOSTILE = [f"http://203.0.113.5:{port}" for port in range(1, 61)]
HONEST = ["http://198.51.100.1:5001", "http://192.0.2.1:5001", "http://[2001:db8::1]:5001"]


def urls_after_a_look(keeping: Managed) -> set[str]:
    keeping.manager.connect()
    return set(keeping.urls())


def test_a_host_with_sixty_ports_gets_one_of_the_links(manage: Manage) -> None:  # noqa: F811
    keeping = manage()
    keeping.knows([*HOSTILE, *HONEST], OUTBOUND)
    chosen = urls_after_a_look(keeping)
    assert chosen > set(HONEST)
    assert len(chosen & set(HOSTILE)) == 1
    assert urls_after_a_look(keeping) == chosen, "the places that are left stay empty"


@pytest.mark.parametrize(
    "near",
    [
        [f"http://203.0.113.{number}:5001" for number in range(1, 31)],
        [f"http://[2001:db8:1:2::{number:x}]:5001" for number in range(1, 31)],
    ],
    ids=["of a /24", "of a /64"],
)
def test_of_a_network_two_are_called(manage: Manage, near: list[str]) -> None:  # noqa: F811
    keeping = manage()
    keeping.knows([*near, *HONEST], OUTBOUND)
    chosen = urls_after_a_look(keeping)
    assert len(chosen & set(near)) == 2
    assert chosen > set(HONEST)


def test_twenty_nodes_on_one_machine_may_have_every_place(manage: Manage) -> None:  # noqa: F811
    keeping = manage()
    keeping.knows([f"http://127.0.0.1:{port}" for port in range(1, 21)], OUTBOUND)
    assert len(urls_after_a_look(keeping)) == 8


def test_ten_nodes_of_one_house_may_have_every_place_and_one_each(manage: Manage) -> None:  # noqa: F811
    keeping = manage()
    house = [f"http://192.168.1.{number}:5001" for number in range(1, 11)]
    keeping.knows([*house, *(f"{url}{number}" for url in house for number in range(9))], OUTBOUND)
    chosen = urls_after_a_look(keeping)
    assert len(chosen) == 8
    assert len({url.rpartition(":")[0] for url in chosen}) == 8


def join(manager: LinkManager, *, but: str = "") -> None:
    """Have the peers of all links say hello."""
    for link in manager.links():
        if link.node_id is None and link.url.url != but:
            link.addresses = frozenset([ip_address(link.url.host)])
            manager.joined(link, f"node of {link.url}")


def test_those_that_were_there_alone_leave_for_peers_elsewhere_but_for_whom_the_owner_named(manage: Manage) -> None:  # noqa: F811
    keeping = manage(peers=(HOSTILE[0],))
    keeping.knows(HOSTILE, OUTBOUND)
    assert len(urls_after_a_look(keeping)) == 8
    join(keeping.manager)
    keeping.knows(HONEST[:1], OUTBOUND)
    for link in keeping.manager.links()[:2]:  # two fail, and leave a place
        if link.url.url != HOSTILE[0]:
            keeping.manager.ended(link, None)
    assert HONEST[0] in urls_after_a_look(keeping)
    join(keeping.manager)
    keeping.manager.connect()
    staying = [link.url.url for link in keeping.manager.links() if not link.is_stopped]
    assert sorted(staying) == sorted([HOSTILE[0], HONEST[0]])


def test_a_peer_that_is_down_keeps_nobody_from_the_places(manage: Manage) -> None:  # noqa: F811
    keeping = manage(peers=(HONEST[0],))
    keeping.knows([f"http://127.0.0.1:{port}" for port in range(1, 21)], OUTBOUND)
    keeping.manager.connect()
    (down,) = (link for link in keeping.manager.links() if link.url.url == HONEST[0])
    down.is_at_fault = True
    keeping.manager.ended(down, None)
    assert len(urls_after_a_look(keeping) - {HONEST[0]}) == 7


def test_from_time_to_time_one_that_nobody_knows_gets_the_place_of_the_least_useful(manage: Manage) -> None:  # noqa: F811
    keeping = manage(outbound=3)
    keeping.knows(HONEST, OUTBOUND)
    assert urls_after_a_look(keeping) == set(HONEST)
    join(keeping.manager)
    for url in HONEST[:2]:
        keeping.manager.delivered(url)
    unknown = "http://100.64.0.1:5001"
    keeping.manager.remember(unknown)
    keeping.manager.probe_at = keeping.clock.now + 10_000
    keeping.clock.now += 601
    keeping.manager.connect()
    (leaving,) = (link for link in keeping.manager.links() if link.is_stopped)
    assert leaving.url.url == HONEST[2]
    keeping.manager.ended(leaving, None)
    assert urls_after_a_look(keeping) == {*HONEST[:2], unknown}


def test_spots_are_told_apart_as_the_table_says() -> None:
    spread = Spread(map(location_of, ["127.0.0.1", "192.0.2.1", "2001:db8::1"]))
    same, other = Crowding.ADDRESS, Crowding.NOTHING
    assert [spread.crowding(location_of(each)) for each in ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2")] == [
        same,
        same,
        other,
    ]
    spread.take(location_of("192.0.2.7"))
    spread.take(location_of("2001:db8::7"))
    assert spread.crowding(location_of("192.0.2.9")) is Crowding.GROUP
    assert spread.crowding(location_of("192.0.3.9")) is Crowding.NOTHING
    assert spread.crowding(location_of("2001:db8::9")) is Crowding.GROUP
    assert spread.crowding(location_of("2001:db8:0:1::9")) is Crowding.NOTHING
    assert location_of_any("localhost", [ip_address("::1"), ip_address("127.0.0.1")]) == location_of("127.0.0.1")
    assert location_of_any("localhost", []) == location_of("localhost")


def connected(node: RunningNode) -> set[str]:
    return {url for url, state in peers_of(node).items() if state == "connected"}


def test_a_node_that_starts_calls_nobody_connected_whoever_was_when_it_ended(manage: Manage) -> None:  # noqa: F811
    keeping = manage()
    rows = [replace(blank(url, OUTBOUND, NOW), state=CONNECTED, last_seen=NOW) for url in HONEST]
    for row in rows:
        keeping.peers.store.write(lambda conn, row=row: table.save(conn, row))  # type: ignore[misc]
    keeping.manager.start()
    assert CONNECTED not in {row.state for row in keeping.peers.listed()}


def test_a_new_node_has_one_link_to_a_hostile_host_with_sixty_ports_also_after_a_restart(
    tmp_path: Path, serve: Serve
) -> None:
    chain = ChainBuilder(COIN)
    honest = [
        serve(listener(ChainBuilder(COIN), node_id=f"honest-{number}"), f"127.0.0.{number}").url for number in (3, 4, 5)
    ]
    with Crowd(chain, 60, "127.0.0.2") as crowd:

        def is_spread(node: RunningNode) -> bool:
            now = connected(node)
            return now > set(honest) and len(now & set(crowd.urls)) == 1

        with gossiping(tmp_path / "node") as node:
            assert not node.post("/connect_node", {"node": [*crowd.urls, *honest]}).json.get("failed")
            wait_until(lambda: is_spread(node), SOON, "the links to be spread")
        with gossiping(tmp_path / "node") as node:
            wait_until(lambda: is_spread(node), SOON, "the links to be spread after the restart")
            assert len(connected(node) & set(crowd.urls)) == 1
