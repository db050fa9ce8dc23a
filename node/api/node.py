"""A node's parts, opened and put together."""

from __future__ import annotations

from node.api.context import NodeContext
from node.api.guard import TokenFile
from node.chain import Chain
from node.config import Config
from node.mempool import Mempool
from node.p2p.gossip import Gossip
from node.p2p.peers import Peers
from node.p2p.sync import Sync
from node.store import meta
from node.store.engine import Store, load_coin
from node.wallet.live import LiveWallet


def open_node(config: Config) -> NodeContext:
    """Open a data folder for serving. Raises StoreRefused, BadCoin, WalletError, OSError, each with a sentence."""
    coin = load_coin(config)
    keys = LiveWallet(config.data, development=config.development, passphrase_file=config.passphrase_file)
    store = Store.open(config, coin)
    mempool = Mempool(store)
    chain = Chain(store)
    peers = Peers(store, config)
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
