"""The next block: an unsolved one on the tip, with the transfers that pay best."""

from __future__ import annotations

from dataclasses import dataclass

from ..core import codec
from ..core.template import Parent, assemble, room_for_spends
from ..core.types import Block, Spend
from ..store import blocks
from ..store.engine import Store
from ..store.unconfirmed import entries, order
from . import settle
from .pipeline import Ancestry


@dataclass(frozen=True, slots=True)
class Template:
    """An unsolved block (nonce 0)."""

    block: Block
    parent: Parent
    """What it stands on."""
    txids: tuple[bytes, ...]
    """Of its transfers, in order."""


class TemplateMaker:
    """Makes templates. Keeps the transfers of the last one decoded: the next one has most of them too."""

    def __init__(self, store: Store, ancestry: Ancestry) -> None:
        self._store = store
        self._ancestry = ancestry
        self._decoded: dict[bytes, Spend] = {}
        """By txid."""

    def make(self, receiver: bytes, now: int, extra: bytes) -> Template:
        """An unsolved block on the tip with the best-paying ready transfers.

        `receiver`: payload that the reward goes to; `now`: whole Unix seconds; `extra`: at most 100 bytes.
        Raises NoTimestamp or StoreUnavailable.
        """
        coin = self._store.coin
        with self._store.read() as conn:
            tip = blocks.tip(conn)
            context = self._ancestry.context_after(conn, tip.block_hash)
            best = order.best(conn, room_for_spends(coin), codec.least_spend(coin.rules))
            txids = [each.txid for each in best]
            known = self._decoded
            fresh = order.raws(conn, [txid for txid in txids if txid not in known])
        damaged = [txid for txid, raw in fresh.items() if not entries.is_whole(txid, raw)]
        if damaged:
            settle.drop_damaged(self._store, damaged)
            return self.make(receiver, now, extra)
        decoded = {txid: known.get(txid) or codec.decode_spend(fresh[txid]) for txid in txids}
        self._decoded = decoded
        parent = Parent(tip.block_hash, tip.height, context.median_time_past, context.bits)
        transfers = list(decoded.values())
        block = assemble(coin, parent, transfers, receiver=receiver, now=now, extra=extra, txids=txids)
        return Template(block, parent, tuple(txids))
