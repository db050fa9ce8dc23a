"""Compares the rows with how they were last seen, whichever process wrote them: events, in shapes of `v1`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec
from sqlalchemy import Connection

from ...chain.tip_follower import TipMove
from ...core.codec import show
from ...core.coin import Coin
from ...store import blocks, peers, transactions
from ...store.blocks import BlockRow
from ...store.peers import PeerRow
from ...store.unconfirmed import entries, order
from ..shapes.render import block_summary, peer_view, pool_view, stored_view
from ..shapes.v1 import ReorgEvent, ResetEvent

BLOCK, REORG, TRANSACTION, PEER, RESET = "block", "reorg", "transaction", "peer", "reset"

MAX_BLOCKS: Final = 100
"""Blocks told one by one when as many come at once; of more, only the tip."""
MAX_TRANSACTIONS: Final = 1_000
"""The same of transfers."""

Event = tuple[str, msgspec.Struct]


def move_events(conn: Connection, coin: Coin, move: TipMove) -> Iterator[Event]:
    """`reorg` where blocks left the main chain, then each new block, behind it its transfers."""
    if move.disconnected:
        yield (
            REORG,
            ReorgEvent(
                fork_height=move.fork_height,
                disconnected=move.disconnected,
                old_tip=show(move.old.block_hash),
                new_tip=show(move.new.block_hash),
                height=move.new.height,
            ),
        )
    rows = [move.new]
    if 1 < move.connected <= MAX_BLOCKS:
        rows = blocks.oldest_first(conn, move.fork_height + 1, move.connected)
    if move.connected > MAX_BLOCKS or sum(row.tx_count for row in rows) > MAX_TRANSACTIONS:
        yield RESET, reset(move.new, f"{move.connected} blocks came at once: not all of them are told here")
        for row in rows:
            yield BLOCK, block_summary(coin, row)
        return
    for row in rows:
        yield BLOCK, block_summary(coin, row)
        if row.tx_count > 1:
            yield from _confirmed(conn, coin, row, move.new.height)


def _confirmed(conn: Connection, coin: Coin, row: BlockRow, tip_height: int) -> Iterator[Event]:
    block_hash, timestamp = show(row.block_hash), row.header.timestamp
    for position, raw in enumerate(transactions.of_block(conn, row.joined)):
        if position > 0:  # the coinbase
            place = (block_hash, row.height, position)
            yield TRANSACTION, stored_view(coin, raw, "confirmed", place, timestamp, tip_height - row.height + 1)


def reset(tip: BlockRow, reason: str) -> ResetEvent:
    """The event that some events are not told, and why."""
    return ResetEvent(reason, tip.height, show(tip.block_hash))


class Pool:
    """The mempool's arrivals since it was last looked at."""

    def __init__(self, conn: Connection, coin: Coin) -> None:
        self._coin = coin
        self._last = order.last(conn)

    def events(self, conn: Connection) -> Iterator[Event]:
        last = order.last(conn)
        rows = entries.arrived_after(conn, self._last, MAX_TRANSACTIONS + 1) if last != self._last else []
        if len(rows) > MAX_TRANSACTIONS:
            self._last = max(last, rows[-1].arrived)
            yield (
                RESET,
                reset(blocks.tip(conn), f"over {MAX_TRANSACTIONS} transfers came at once: they are not told here"),
            )
            return
        for row in rows:
            self._last = row.arrived
            yield TRANSACTION, pool_view(self._coin, row)


class Table:
    """The peers' states when they were last looked at. A peer that is forgotten is told with state `removed`."""

    def __init__(self, conn: Connection) -> None:
        self._rows: dict[str, PeerRow] = {row.url: row for row in peers.listed(conn)}

    def events(self, conn: Connection) -> Iterator[Event]:
        states = peers.states(conn)
        for url, state in states.items():
            known = self._rows.get(url)
            if known is None or known.state != state:
                row = peers.get(conn, url)
                assert row is not None  # noqa: S101 - one snapshot
                self._rows[url] = row
                yield PEER, peer_view(row)
        for url in self._rows.keys() - states.keys():
            yield PEER, peer_view(replace(self._rows.pop(url), state="removed"))
