"""Nodes with rows of every kind that a migration turns into others, and what must be the same behind it."""

from __future__ import annotations

from pathlib import Path
from struct import pack, unpack

import pytest
from sqlalchemy import Connection, select

from moneyer.node.core import codec
from moneyer.node.core.errors import MoneyerError
from moneyer.node.store.tables import bodies
from moneyer.node.store.unconfirmed import entries
from tests.kit.chains import transfer
from tests.kit.damage import ALICE, BOB, CHAIN
from tests.kit.nodes import NOW, Node

COIN = CHAIN.coin


def branched(folder: Path, blocks_more: int) -> Node:
    """A node on `folder` with branches that were connected and that never were, and an invalid block."""
    node = Node(folder, COIN)
    stored = CHAIN.branch(26, "stored")
    for _ in range(2):
        stored.add([stored.transfer(ALICE, BOB, 3, 7)])
    node.offer_all(stored.blocks[27:])
    rival = CHAIN.branch(27, "rival")
    rival.grow(4 + blocks_more)
    node.chain.accept_blocks(rival.raw[27:], NOW)
    bad = rival.next_block(amount=COIN.subsidy(rival.height + 1) + 1)
    with pytest.raises(MoneyerError):
        node.offer(bad)
    return node


def filled(folder: Path) -> Node:
    """A node on `folder` with a pool in which numbers are missing, also the last ones, and some wait behind a gap."""
    node = branched(folder, 0)
    with node.store.read() as conn:
        start = entries.view(conn, BOB.payload, 0).run_end
    for number in (*range(12), *range(13, 20)):
        node.mempool.accept_transfer(transfer(COIN, BOB, ALICE, 1, 1 + 7 * number, start + number, b"m" * number))
    node.mempool.accept_transfer(transfer(COIN, BOB, ALICE, 1, 500, start + 5))  # in the place of another
    last = transfer(COIN, BOB, ALICE, 1, 9, start + 40)
    node.mempool.accept_transfer(last)
    node.store.write(lambda conn: entries.remove(conn, [codec.txid(last)]))
    return node


def whole_bodies(conn: Connection) -> dict[int, tuple[bytes, bytes]]:
    """Each block's body and its transactions' places in it, as the first schema kept them; by `joined`."""
    found: dict[int, tuple[bytes, bytes]] = {}
    for joined, body, offsets in conn.execute(
        select(bodies.c.joined, bodies.c.body, bodies.c.offsets).order_by(bodies.c.joined, bodies.c.first)
    ):
        before, starts = found.get(joined, (b"", b""))
        own = unpack(f"<{len(offsets) // 4}I", offsets)
        found[joined] = (before + body, starts + pack(f"<{len(own)}I", *(start + len(before) for start in own)))
    return found
