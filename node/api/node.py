"""A node's parts, opened and put together."""

from __future__ import annotations

import logging
import threading
from typing import Final

from node.api.context import NodeContext
from node.api.guard import TokenFile
from node.chain import Chain
from node.config import Config
from node.logs import plain_url
from node.mempool import Mempool
from node.p2p.errors import PeerError, PeerRefused
from node.p2p.gossip import Gossip
from node.p2p.peers import Peers
from node.p2p.sync import Sync
from node.store import meta
from node.store.engine import Store, load_coin
from node.store.errors import StoreUnavailable
from node.store.peers import PeerRow
from node.wallet.keystore import ensure_wallet
from node.wallet.passphrase import given_passphrase

_LONGEST_PAUSE: Final = 60.0

log = logging.getLogger("moneyer.p2p")


def open_node(config: Config) -> NodeContext:
    """Open a data folder for serving. Raises StoreRefused, BadCoin, WalletError, OSError, each with a sentence."""
    coin = load_coin(config)
    passphrase = None if config.development else given_passphrase(config.passphrase_file)
    wallet = ensure_wallet(config.data, development=config.development, passphrase=passphrase)
    store = Store.open(config, coin)
    mempool = Mempool(store)
    chain = Chain(store, mempool)
    peers = Peers(store, config)
    sync = Sync(chain, mempool, peers)
    with store.read() as conn:
        node_id = meta.node_id(conn)
    return NodeContext(
        config=config,
        coin=coin,
        store=store,
        chain=chain,
        mempool=mempool,
        wallet=wallet,
        peers=peers,
        sync=sync,
        gossip=Gossip(config, mempool, peers, sync),
        node_id=node_id,
        token=TokenFile(config.token_file),
    )


def meet_peers(node: NodeContext) -> None:
    """Take in, in a thread, the peers that `--peer` names: who is down is tried again, who is refused is not.

    For a manual node; another keeps itself connected (`Gossip`).
    """
    if node.config.peers:
        threading.Thread(target=_meet, args=(node,), name="meet-peers", daemon=True).start()


def _meet(node: NodeContext) -> None:
    wanted, pause = list(node.config.peers), 1.0
    while True:
        try:
            answers: list[tuple[str, PeerRow | PeerError]] = list(zip(wanted, node.peers.add_many(wanted), strict=True))
        except StoreUnavailable:
            answers = [(url, PeerError("not now")) for url in wanted]
        failed = [(url, answer) for url, answer in answers if isinstance(answer, PeerError)]
        for url, answer in failed:
            if isinstance(answer, PeerRefused):
                log.warning("peer %s is not taken: %s", plain_url(url), answer.message)
        wanted = [url for url, answer in failed if not isinstance(answer, PeerRefused)]
        if not wanted:
            return
        threading.Event().wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
