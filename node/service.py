"""A running node: every part it is made of, opened, started and stopped in one order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .chain.accept import Chain
from .chain.mempool import Mempool
from .config import Config
from .core.coin import Coin
from .p2p.gossip.gossip import Gossip
from .p2p.lan import Discovery
from .p2p.peer.link_conditions import read_conditions
from .p2p.sync.sync import Sync
from .p2p.table.peer_table import PeerTable
from .p2p.turn import PeerTurn
from .store import meta
from .store.engine import Store, load_coin
from .store.errors import StoreRefused
from .store.snapshots.restore import check_own, rows_of
from .system.api_token import TokenFile
from .wallet.keystore import Wallet
from .wallet.live import LiveWallet


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """The parts of one node in one process. Its HTTP interface is not one of them: `node.api` is built on a `Node`.

    Life: `open` → `start` → `stop` → `close`. A node that was opened and not started answers, accepts and stores;
    it only keeps no links. Tests and benches work on such a node.
    """

    config: Config
    coin: Coin
    store: Store
    """The database. Its writer's thread runs from `open` to `close`."""
    chain: Chain
    mempool: Mempool
    keys: LiveWallet
    """The wallet's file, read again when another process has changed it."""
    peers: PeerTable
    sync: Sync
    gossip: Gossip
    """Links to other nodes, and what is told over them."""
    discovery: Discovery
    """Other nodes of the local network, by mDNS."""
    turn: PeerTurn
    """Starts and stops the two: of a server's database, one node at a time speaks to other nodes."""
    node_id: str
    """Made once a database; by it a node recognises itself under another URL."""
    token: TokenFile
    """What `Authorization: Bearer` must carry."""

    @classmethod
    def open(cls, config: Config, on_damage: Callable[[StoreRefused], None] | None = None) -> Node:
        """Open a data folder for serving. Raises StoreRefused, BadCoin, WalletError, BadConditions, OSError.

        `on_damage`: as of `Store.open`.
        """
        coin = load_coin(config)
        keys = LiveWallet(config.data, development=config.development, passphrase_file=config.passphrase_file)
        if config.lab:
            read_conditions(config.links_file)  # what is wrong with it is said before anything is opened
        store = Store.open(config, coin, on_damage=on_damage)
        mempool = Mempool(store)
        chain = Chain(store)
        peers = PeerTable(store, config)
        sync = Sync(chain, peers)
        gossip = Gossip(config, mempool, peers, sync)
        if not config.manual:
            chain.on_extended = gossip.relay.announce
        with store.read() as conn:
            node_id = meta.node_id(conn)
        discovery = Discovery(config, coin, node_id, None if config.manual else gossip.found)

        def meet() -> None:
            gossip.start()
            if not config.manual:
                chain.on_extended = gossip.relay.announce  # the relay may be another one than before
            discovery.start()

        def leave() -> None:
            discovery.stop()
            gossip.stop()
            peers.close()

        return cls(
            config=config,
            coin=coin,
            store=store,
            chain=chain,
            mempool=mempool,
            keys=keys,
            peers=peers,
            sync=sync,
            gossip=gossip,
            discovery=discovery,
            turn=PeerTurn(store, config, meet, leave),
            node_id=node_id,
            token=TokenFile(config.token_file),
        )

    @property
    def wallet(self) -> Wallet:
        """The node's keys as they are now: other processes add to them."""
        return self.keys.now()

    def go_back(self, snapshot: Path) -> None:
        """Have the rows of a snapshot of this very node in place of the present ones, and forget what is kept beside
        them. Whatever happened since the snapshot is gone. Raises StoreRefused (and nothing has changed),
        StoreUnavailable.

        Links begin anew: a node that is to keep the old rows has its links cut first, or its peers bring it on again.
        """
        check_own(snapshot, self.coin, self.node_id)
        with rows_of(snapshot) as replace_rows:
            self.store.submit(replace_rows, alone=True).result()
        self.chain.went_back()
        self.gossip.went_back()

    def start(self) -> None:
        """Meet other nodes: links first, then the search of the local network, which feeds them. On a server's database
        as soon as this node has the turn, if it is to have one."""
        self.turn.start()

    def stop(self) -> None:
        """Leave the other nodes, in the opposite order; within about three seconds. Requests are still answered."""
        self.turn.stop()

    def close(self) -> None:
        """`stop`, then end connections to peers, finish what is queued for the database and let go of it.

        A second time does nothing.
        """
        self.stop()
        self.peers.close()
        self.store.close()
