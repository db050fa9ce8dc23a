"""What an endpoint may use: the node's parts, put together once a process."""

from __future__ import annotations

from dataclasses import dataclass

from ..chain.accept import Chain
from ..chain.mempool import Mempool
from ..config import Config
from ..core.coin import Coin
from ..p2p.gossip.gossip import Gossip
from ..p2p.sync.sync import Sync
from ..p2p.table.peer_table import PeerTable
from ..store.engine import Store
from ..system.api_token import TokenFile
from ..wallet.keystore import Wallet
from ..wallet.live import LiveWallet


@dataclass(frozen=True, slots=True, eq=False)
class NodeContext:
    config: Config
    coin: Coin
    store: Store
    chain: Chain
    mempool: Mempool
    keys: LiveWallet
    peers: PeerTable
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
