"""A node's parts, opened and put together."""

from __future__ import annotations

from ..chain.accept import Chain
from ..chain.mempool import Mempool
from ..config import Config
from ..p2p.gossip.gossip import Gossip
from ..p2p.sync.sync import Sync
from ..p2p.table.peer_table import PeerTable
from ..store import meta
from ..store.engine import Store, load_coin
from ..system.api_token import TokenFile
from ..wallet.live import LiveWallet
from .context import NodeContext


def open_node(config: Config) -> NodeContext:
    """Open a data folder for serving. Raises StoreRefused, BadCoin, WalletError, OSError, each with a sentence."""
    coin = load_coin(config)
    keys = LiveWallet(config.data, development=config.development, passphrase_file=config.passphrase_file)
    store = Store.open(config, coin)
    mempool = Mempool(store)
    chain = Chain(store)
    peers = PeerTable(store, config)
    sync = Sync(chain, peers)
    with store.read() as conn:
        node_id = meta.node_id(conn)
    return NodeContext(
        config=config,
        coin=coin,
        store=store,
        chain=chain,
        mempool=mempool,
        keys=keys,
        peers=peers,
        sync=sync,
        gossip=Gossip(config, mempool, peers, sync),
        node_id=node_id,
        token=TokenFile(config.token_file),
    )
