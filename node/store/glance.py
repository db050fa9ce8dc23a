"""The rows that tell of a node at a glance, from one statement: pages ask for them after every commit."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ..core import codec
from .errors import StoreDamaged
from .peers import CONNECTED
from .tables import ONE, blocks, mempool_totals, peers


@dataclass(frozen=True, slots=True)
class Glance:
    """Heights from genesis = 0; `work`: cumulative."""

    tip_hash: bytes
    height: int
    work: int
    bits: int
    mempool_count: int
    mempool_bytes: int
    peers: int
    """How many are known, whatever their state."""
    peers_connected: int


_GLANCE = (
    select(
        blocks.c.block_hash,
        blocks.c.height,
        blocks.c.work,
        blocks.c.header,
        select(mempool_totals.c.count).scalar_subquery().label("mempool_count"),
        select(mempool_totals.c.bytes).scalar_subquery().label("mempool_bytes"),
        select(func.count()).select_from(peers).scalar_subquery().label("peers"),
        select(func.count()).where(peers.c.state == CONNECTED).scalar_subquery().label("peers_connected"),
    )
    .where(blocks.c.main_chain)
    .order_by(blocks.c.height.desc())
    .limit(ONE)
)


def glance(conn: Connection) -> Glance:
    """What stands now. Raises StoreDamaged."""
    row = conn.execute(_GLANCE).first()
    if row is None or row.mempool_count is None:
        raise StoreDamaged("the main chain's tip or the mempool's totals are gone")
    return Glance(
        tip_hash=row.block_hash,
        height=row.height,
        work=int.from_bytes(row.work, "big"),
        bits=codec.decode_header(row.header).bits,
        mempool_count=row.mempool_count,
        mempool_bytes=row.mempool_bytes,
        peers=row.peers,
        peers_connected=row.peers_connected,
    )
