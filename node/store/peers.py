"""Peers that this node knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from .tables import peers

CONNECTED: Final = "connected"
"""The `state` of a peer that said hello when it was asked last; the other states: `p2p.table.standing`."""


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A peer. `url`: canonical `http://host:port`; `work`: cumulative, as it claims; times Unix seconds."""

    url: str
    node_id: str | None
    state: str
    height: int
    work: int
    agent: str
    direction: str
    added_at: int
    last_seen: int | None
    latency_ms: int | None
    score: int
    banned_until: int | None


def listed(conn: Connection) -> list[PeerRow]:
    """Every peer, the oldest first."""
    return [_row(row) for row in conn.execute(select(peers).order_by(peers.c.added_at, peers.c.url))]


def states(conn: Connection) -> dict[str, str]:
    """URL -> state, of every peer."""
    return {row.url: row.state for row in conn.execute(select(peers.c.url, peers.c.state))}


def get(conn: Connection, url: str) -> PeerRow | None:
    found = conn.execute(select(peers).where(peers.c.url == url)).first()
    return _row(found) if found else None


def _row(row: Row[*tuple[Any, ...]]) -> PeerRow:
    return PeerRow(
        url=row.url,
        node_id=row.node_id,
        state=row.state,
        height=row.height,
        work=int.from_bytes(row.work, "big"),
        agent=row.agent,
        direction=row.direction,
        added_at=row.added_at,
        last_seen=row.last_seen,
        latency_ms=row.latency_ms,
        score=row.score,
        banned_until=row.banned_until,
    )


def count(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(peers)).scalar_one()


def save(conn: Connection, row: PeerRow) -> None:
    """Insert, or replace what was known of this url."""
    values = {
        "node_id": row.node_id,
        "state": row.state,
        "height": row.height,
        "work": row.work.to_bytes(32, "big"),
        "agent": row.agent,
        "direction": row.direction,
        "added_at": row.added_at,
        "last_seen": row.last_seen,
        "latency_ms": row.latency_ms,
        "score": row.score,
        "banned_until": row.banned_until,
    }
    if not conn.execute(update(peers).where(peers.c.url == row.url).values(values)).rowcount:
        conn.execute(insert(peers).values(url=row.url, **values))


def remove(conn: Connection, url: str) -> bool:
    """Removes a peer; whether there was one."""
    return bool(conn.execute(delete(peers).where(peers.c.url == url)).rowcount)
