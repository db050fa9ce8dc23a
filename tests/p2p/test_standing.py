"""Places in the table of peers: no one takes it over by asking often, and what the owner adds has a place."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from sqlalchemy import Connection

from moneyer.node.p2p.peer.errors import PeerError, TableFull
from moneyer.node.p2p.peer.peer_client import PeerClient
from moneyer.node.p2p.peer.urls import parse_peer_url
from moneyer.node.p2p.peer.wire import Hello
from moneyer.node.p2p.table import standing
from moneyer.node.p2p.table.standing import (
    CONNECTED,
    INBOUND,
    INBOUND_EACH,
    OUTBOUND,
    RESERVE,
    Greeting,
    limit_key,
    take_in,
)
from moneyer.node.store.peers import PeerRow
from tests.kit.chains import ChainBuilder, easy_coin
from tests.kit.net.peers import hello_of
from tests.kit.nodes import NOW, MakeNode, Node

COIN = easy_coin()
HELLO = Hello(**hello_of(ChainBuilder(COIN)))


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    return make_node(COIN)


def ask(node: Node, urls: Iterable[str], direction: str = INBOUND, *, is_linked: bool = False) -> list[str]:
    """Take peers that have said hello into the table, one by one: the state of each, or why not."""
    told: list[PeerRow | PeerError] = []
    for count, text in enumerate(urls):
        url = parse_peer_url(text)
        greeting, now = Greeting(url, PeerClient(url), HELLO, 1), NOW + len(node.peers.listed()) + count

        def job(conn: Connection, greeting: Greeting = greeting, now: int = now) -> list[PeerRow | PeerError]:
            return take_in(conn, [greeting], direction, now, is_linked=is_linked)

        told += node.store.write(job)
    return [each.code if isinstance(each, PeerError) else each.state for each in told]


def listed(node: Node) -> set[str]:
    return {row.url for row in node.peers.listed()}


@pytest.mark.parametrize(
    "urls",
    [
        [f"http://203.0.113.5:{port}" for port in range(1, 31)],
        [f"http://[2001:db8::{number:x}]:5001" for number in range(1, 31)],
    ],
)
def test_one_address_has_a_few_places_whatever_ports_it_asks_from(node: Node, urls: list[str]) -> None:
    others = ["http://203.0.113.6:5001", "http://[2001:db8:0:1::1]:5001"]
    assert ask(node, [*others, *urls]) == [RESERVE] * (2 + len(urls))
    assert len(listed(node)) == 2 + INBOUND_EACH
    assert listed(node) > {*others, urls[-1]}


def test_who_is_connected_keeps_its_place_from_others_at_its_address(node: Node) -> None:
    there = [f"http://203.0.113.5:{port}" for port in range(1, INBOUND_EACH + 1)]
    assert ask(node, there, is_linked=True) == [CONNECTED] * INBOUND_EACH
    assert ask(node, ["http://203.0.113.5:99"]) == [TableFull.code]
    assert ask(node, there[:1]) == [CONNECTED], "it asks again, and is connected all the same"
    assert listed(node) == set(there)


def test_this_machine_has_room_for_a_network_of_nodes(node: Node) -> None:
    assert ask(node, [f"http://127.0.0.1:{port}" for port in range(1, 61)]) == [RESERVE] * 60
    assert len(listed(node)) == 60


def test_whoever_asks_has_half_of_the_table_and_the_owner_any_place_in_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MAX_PEERS", 6)
    strangers = [f"http://203.0.113.{number}:5001" for number in range(1, 10)]
    own = [f"http://198.51.100.{number}:5001" for number in range(1, 8)]
    assert ask(node, strangers) == [RESERVE] * len(strangers)
    assert len(listed(node)) == 3
    assert ask(node, strangers[-3:], is_linked=True) == [CONNECTED] * 3
    assert ask(node, own, OUTBOUND, is_linked=True) == [CONNECTED] * 6 + [TableFull.code]
    assert listed(node) == set(own[:6])
    assert ask(node, strangers[:1]) == [TableFull.code]


def test_whom_the_owner_asks_for_is_no_longer_a_stranger(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "MAX_PEERS", 2)
    friend = "http://198.51.100.1:5001"
    assert ask(node, [friend]) == [RESERVE]
    assert ask(node, [friend], OUTBOUND, is_linked=True) == [CONNECTED]
    assert node.peer(friend).direction == OUTBOUND
    assert ask(node, ["http://203.0.113.1:5001", "http://203.0.113.2:5001"]) == [RESERVE] * 2
    assert listed(node) == {friend, "http://203.0.113.2:5001"}


def test_a_home_is_an_address_or_what_one_customer_has_of_ipv6() -> None:
    assert limit_key("203.0.113.5") == limit_key("::ffff:203.0.113.5") == "203.0.113.5"
    assert limit_key("2001:db8::1") == limit_key("2001:db8::ffff:1") != limit_key("2001:db8:0:1::1")
    assert [limit_key(host) for host in ("127.0.0.1", "::1", "localhost", "example.org")] == [None] * 4
