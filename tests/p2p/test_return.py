"""A peer that was away for long is found again once it is back."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.mempool import Mempool
from moneyer.node.config import Config
from moneyer.node.p2p.gossip.gossip import Gossip
from moneyer.node.p2p.sync.sync import Sync
from moneyer.node.p2p.table.peer_table import PeerTable
from moneyer.node.p2p.table.standing import CONNECTED, DOWN, OUTBOUND, blank
from moneyer.node.store import peers as table
from moneyer.node.store.engine import Store
from tests.kit.net.gossip import SOON, gossiping, peers_of
from tests.kit.net.peers import Serve
from tests.kit.nodes import place_coin
from tests.kit.running import rich_coin, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import Clock, wait_until

COIN = rich_coin()
MINUTE, HOUR = 60, 3600
NOBODY = "127.9.9.9:9"


class Closed:
    """A port where nothing answers: `knocks` counts connections."""

    def __init__(self, port: int) -> None:
        self.knocks = 0
        self._socket = socket.create_server(("127.0.0.1", port), reuse_port=False)
        threading.Thread(target=self._refuse, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _refuse(self) -> None:
        with suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.knocks += 1


def test_a_peer_that_was_gone_for_an_hour_is_tried_every_minute_and_found_when_it_is_back(
    tmp_path: Path, serve: Serve
) -> None:
    clock, port = Clock(), free_port()
    config = Config(tmp_path / "here", port=serve({}).port, peers=(f"http://127.0.0.1:{port}",))
    config.data.mkdir()
    store = Store.open(config, COIN)
    peers = PeerTable(store, config)
    mempool = Mempool(store)
    gossip = Gossip(config, mempool, peers, Sync(Chain(store), peers), clock)

    def state() -> str:
        row = peers.find(config.peers[0])
        return row.state if row else ""

    def a_minute_later() -> None:
        clock.now += MINUTE
        peers.remove(NOBODY)  # any change of the table starts a round of the manager

    try:
        with running(tmp_path / "there", COIN, port=port):
            gossip.start()
            wait_until(lambda: state() == CONNECTED, SOON, "the peer to be connected")
            went_at = clock.now
        closed = Closed(port)
        try:
            a_minute_later()
            wait_until(lambda: state() == DOWN and not gossip.links(), SOON, "the loss to be noticed")
            while clock.now < went_at + HOUR:
                knocks = closed.knocks
                a_minute_later()
                wait_until(lambda knocks=knocks: closed.knocks > knocks, SOON, "another try")  # type: ignore[misc]
                wait_until(lambda: not gossip.links(), SOON, "it to fail")
        finally:
            closed.close()
        row = peers.find(config.peers[0])
        assert row is not None
        assert row.score < 50
        assert row.banned_until is None
        with running(tmp_path / "there", COIN, port=port):
            a_minute_later()
            wait_until(lambda: state() == CONNECTED, SOON, "the peer to be found again")
    finally:
        gossip.stop()
        peers.close()
        store.close()


def test_a_peer_unseen_for_an_hour_is_found_among_many_better_ones_that_are_dead(tmp_path: Path) -> None:
    with running(tmp_path / "old", COIN) as old:
        old.extend()
        long_ago = int(time.time()) - HOUR
        rows = [replace(blank(old.url, OUTBOUND, long_ago), state=DOWN, score=1, last_seen=long_ago)]
        for number in range(60):
            url = f"http://127.9.9.{number + 1}:9"
            rows.append(replace(blank(url, OUTBOUND, long_ago), state=CONNECTED, last_seen=long_ago + HOUR))
        place_coin(tmp_path / "node", COIN)
        store = Store.open(Config(tmp_path / "node"), COIN)
        for row in rows:
            store.write(lambda conn, row=row: table.save(conn, row))  # type: ignore[misc]
        store.close()
        with gossiping(tmp_path / "node", coin=COIN) as node:
            node.wait_for_tip(old.chain)
            assert peers_of(node)[old.url] == "connected"
