"""What strangers tell and ask doesn't take over a node's links, and an error of its own doesn't end them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from sqlalchemy import Connection

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.mempool import Mempool
from moneyer.node.config import Config
from moneyer.node.p2p.gossip.gossip import Gossip
from moneyer.node.p2p.gossip.link_manager import MAX_INBOUND, MAX_INBOUND_EACH, MAX_LEARNED, LinkManager
from moneyer.node.p2p.gossip.links import Link
from moneyer.node.p2p.peer.errors import OtherCoin, TableFull
from moneyer.node.p2p.peer.urls import PeerUrl
from moneyer.node.p2p.sync.sync import Sync
from moneyer.node.p2p.table.configured import ConfiguredPeers
from moneyer.node.p2p.table.peer_table import PeerTable
from moneyer.node.p2p.table.standing import INBOUND, OUTBOUND, blank
from moneyer.node.store import peers as table
from moneyer.node.store.engine import Store
from moneyer.node.system.shares import INBOUND_LINKS
from tests.kit.net.gossip import COIN, SOON
from tests.kit.net.peers import Serve
from tests.kit.nodes import NOW
from tests.kit.waiting import Clock, wait_until


class Idle(Link):
    """A link that calls nobody."""

    def start(self) -> None:
        pass


class Unlucky(Idle):
    """A link for which the system has no thread."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


class Held(Idle):
    """A link whose start takes until it is stopped, as a read does of a database that does not answer."""

    def start(self) -> None:
        wait_until(lambda: self.is_stopped, SOON, "the link to be stopped")


MakeLink = Callable[..., Link]


@dataclass
class Managed:
    manager: LinkManager
    gossip: Gossip
    peers: PeerTable
    clock: Clock
    kinds: list[type[Link]]
    """Of the next links; then `Idle`."""

    def knows(self, urls: list[str], direction: str) -> None:
        rows = [replace(blank(url, direction, NOW), last_seen=NOW) for url in urls]

        def job(conn: Connection) -> None:
            for row in rows:
                table.save(conn, row)

        self.peers.store.write(job)

    def urls(self) -> list[str]:
        return [link.url.url for link in self.manager.links()]


Manage = Callable[..., Managed]


@pytest.fixture
def manage(tmp_path: Path, serve: Serve) -> Iterator[Manage]:
    """A link manager on a real store, whose links are idle. Options: of Config."""
    stack: list[Managed] = []

    def make(**options: object) -> Managed:
        config = Config(tmp_path, port=serve({}).port, **options)  # type: ignore[arg-type]
        store = Store.open(config, COIN)
        peers, mempool, clock, kinds = PeerTable(store, config), Mempool(store), Clock(), list[type[Link]]()
        gossip = Gossip(config, mempool, peers, Sync(Chain(store), peers))

        def make_link(url: PeerUrl, direction: str, is_probe: bool) -> Link:
            return (kinds.pop(0) if kinds else Idle)(url, direction, gossip, is_probe=is_probe)

        manager = LinkManager(config, peers, ConfiguredPeers(config), make_link, clock)
        stack.append(Managed(manager, gossip, peers, clock, kinds))
        return stack[-1]

    yield make
    for each in stack:
        each.manager.stop()
        each.peers.close()
        each.peers.store.close()


def test_one_address_has_a_few_of_the_places_for_those_that_ask(manage: Manage) -> None:
    keeping = manage()
    crowd = [f"http://203.0.113.5:{port}" for port in range(1, 2 * MAX_INBOUND)]
    here = [f"http://127.0.0.1:{port}" for port in range(1, 11)]
    keeping.knows([*crowd, "http://203.0.113.6:5001", *here], INBOUND)
    keeping.manager.start()
    wait_until(lambda: len(keeping.urls()) >= MAX_INBOUND_EACH + 1 + len(here), SOON, "the links")
    keeping.peers.remove("127.9.9.9:9")
    assert len(set(keeping.urls()) & set(crowd)) == MAX_INBOUND_EACH
    assert {"http://203.0.113.6:5001", *here} < set(keeping.urls())


def test_for_those_that_find_no_place_no_link_is_made(manage: Manage) -> None:
    keeping = manage()
    crowd = [f"http://127.0.0.2:{port}" for port in range(1, 301)]
    keeping.knows(crowd, INBOUND)
    made = len(crowd)
    keeping.kinds += [Idle] * made
    keeping.manager.start()
    wait_until(lambda: len(keeping.urls()) == INBOUND_LINKS.each, SOON, "the links")
    keeping.manager.table_changed("http://127.9.9.9:9")
    keeping.peers.remove("127.9.9.9:9")
    assert made - len(keeping.kinds) == INBOUND_LINKS.each


def test_a_peer_that_tells_of_many_does_not_keep_out_what_others_tell(manage: Manage) -> None:
    keeping = manage(outbound=2 * MAX_LEARNED)
    teller = Idle(PeerUrl("203.0.113.5", 5001), OUTBOUND, keeping.gossip)
    teller.addresses = frozenset([ip_address("203.0.113.5")])
    dead = [f"http://198.51.{number}.100:9" for number in range(1, 251)]
    for _ in range(100):  # 50 are taken at a time
        keeping.manager.learned(teller, dead)
    told = [f"http://192.0.{number}.2:5001" for number in range(1, 51)]
    keeping.manager.learned(teller, told)
    keeping.manager.start()
    wait_until(lambda: len(keeping.urls()) == MAX_LEARNED, SOON, "all that were heard of to be called")
    assert len(set(keeping.urls()) & set(told)) > len(told) // 2  # each took the place of a random one


def test_a_thread_that_can_not_be_had_ends_neither_the_manager_nor_what_it_knows_of_the_peer(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    url, other = "http://198.51.100.1:5001", "http://198.51.100.2:5001"
    keeping = manage(peers=(url, other))
    keeping.kinds += [Unlucky]
    keeping.manager.start()
    wait_until(lambda: "can't start new thread" in caplog.text, SOON, "the fault in the log")
    wait_until(lambda: keeping.urls() == [other], SOON, "the manager to go on with the other")
    keeping.clock.now += 60
    keeping.peers.remove("127.9.9.9:9")
    keeping.manager.table_changed("http://127.9.9.9:9")
    wait_until(lambda: sorted(keeping.urls()) == [url, other], SOON, "the peer to be tried again")


def test_a_peer_that_found_no_room_is_tried_again_within_a_minute(manage: Manage) -> None:
    full, foreign = "http://198.51.100.1:5001", "http://198.51.100.2:5001"
    keeping = manage(peers=(full, foreign))
    keeping.manager.start()
    wait_until(lambda: sorted(keeping.urls()) == [full, foreign], SOON, "both to be tried")
    links = {link.url.url: link for link in keeping.manager.links()}
    keeping.manager.ended(links[foreign], OtherCoin("another coin"))
    keeping.manager.ended(links[full], TableFull("no room"))
    keeping.clock.now += 60
    keeping.manager.table_changed("http://127.9.9.9:9")
    wait_until(lambda: keeping.urls() == [full], SOON, "the one to be tried again")


def test_one_that_was_told_and_then_called_by_itself_has_one_link(manage: Manage) -> None:
    """Two links would be taken for duplicates: the peer would be refused for minutes, and one link would never end."""
    here = manage()
    url = "http://192.0.2.7:5001"
    here.manager.remember(url)
    here.knows([url], INBOUND)
    here.kinds += [Idle, Unlucky]  # the second would not start
    here.manager.connect()
    (link,) = here.manager.links()
    assert (link.url.url, link.direction) == (url, INBOUND)
    other = here.manager.make_link(link.url, OUTBOUND, False)  # of the same URL: its end is not this link's
    here.manager.ended(other, None)
    assert here.manager.links() == [link]


def test_links_end_at_once_though_the_thread_that_starts_them_is_held_up(manage: Manage) -> None:
    keeping = manage(peers=("http://198.51.100.1:5001", "http://198.51.100.2:5001"))
    keeping.kinds += [Idle, Held]
    keeping.manager.start()
    wait_until(lambda: len(keeping.urls()) == 2, SOON, "the links")
    links = keeping.manager.links()
    keeping.manager.stop()
    assert len(links) == 2
    assert all(link.is_stopped for link in links)
    assert keeping.manager.links() == links, "none of them waited to be stopped until it was given up"
