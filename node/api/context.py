"""What an endpoint may use: the node's parts, put together once a process."""

from __future__ import annotations

from dataclasses import dataclass

from node.api.guard import TokenFile
from node.chain import Chain
from node.config import Config
from node.core.coin import Coin
from node.mempool import Mempool
from node.p2p.gossip import Gossip
from node.p2p.peers import Peers
from node.p2p.sync import Sync
from node.store.engine import Store
from node.wallet.keystore import Wallet
from node.wallet.live import LiveWallet


@dataclass(frozen=True, slots=True, eq=False)
class NodeContext:
    config: Config
    coin: Coin
    store: Store
    chain: Chain
    mempool: Mempool
    keys: LiveWallet
    peers: Peers
    sync: Sync
    gossip: Gossip
    node_id: str
    """Made once a data folder; by it a node knows itself under another name."""
    token: TokenFile
    """What `Authorization: Bearer` must carry."""

    @property
    def wallet(self) -> Wallet:
        """The node's keys as they are now: other processes add to them."""
        return self.keys.now()
