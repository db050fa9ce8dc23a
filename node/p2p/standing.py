"""What is kept of a peer, and how that changes with what it does: its state, its score, a ban that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from node.p2p.client import PeerClient
from node.p2p.errors import PeerError, PeerRefused, TableFull
from node.p2p.urls import PeerUrl
from node.p2p.wire import Hello
from node.store import peers as table
from node.store.peers import PeerRow

CONNECTED, DOWN, REFUSED, RESERVE = "connected", "down", "refused", "reserve"
"""States: said hello when last asked; did not, or misbehaved; another coin or worse; never asked."""
OUTBOUND, INBOUND = "outbound", "inbound"
"""Who asked for it first: this node, or the peer by `/p2p/connect`."""

MAX_PEERS: Final = 1000
BEST_SCORE: Final = 100
_SCORE_BACK: Final = 10
BAN_PENALTY: Final = 20
"""Errors that cost this much can end in a ban; being away or slow never does, so that a peer is found again."""
BAN_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Greeting:
    """A peer that has just said hello and is one of ours."""

    url: PeerUrl
    client: PeerClient
    hello: Hello
    latency_ms: int


def take_in(
    conn: Connection, answers: Sequence[Greeting | PeerError], direction: str, now: int
) -> list[PeerRow | PeerError]:
    """The rows of new or known peers, saved; or why not."""
    rows = {row.url: row for row in table.listed(conn)}
    results: list[PeerRow | PeerError] = []
    for answer in answers:
        if isinstance(answer, PeerError):
            results.append(answer)
            continue
        url = answer.url.url
        if url not in rows and len(rows) >= MAX_PEERS:
            spare = [row for row in rows.values() if row.state != CONNECTED]
            if not spare:
                results.append(TableFull(f"this node knows {MAX_PEERS} peers that answer, and takes no more"))
                continue
            worst = max(spare, key=rank).url
            table.remove(conn, worst)
            del rows[worst]
        row = after(rows.get(url) or blank(url, direction, now), answer, now)
        table.save(conn, row)
        rows[url] = row
        results.append(row)
    return results


def blank(url: str, direction: str, added_at: int) -> PeerRow:
    return PeerRow(
        url=url,
        node_id=None,
        state=RESERVE,
        height=0,
        work=0,
        agent="",
        direction=direction,
        added_at=added_at,
        last_seen=None,
        latency_ms=None,
        score=BEST_SCORE,
        banned_until=None,
    )


def after(row: PeerRow, answer: Greeting | PeerError, now: int) -> PeerRow:
    """The row once the peer has answered, or failed."""
    if isinstance(answer, Greeting):
        hello = answer.hello
        return replace(
            row,
            node_id=hello.node_id,
            state=CONNECTED,
            height=hello.height,
            work=hello.claimed_work,
            agent=hello.agent,
            last_seen=now,
            latency_ms=answer.latency_ms,
            score=min(BEST_SCORE, row.score + _SCORE_BACK),
            banned_until=None,
        )
    state = REFUSED if isinstance(answer, PeerRefused) else DOWN
    score = row.score - answer.penalty
    if score > 0:
        return replace(row, state=state, score=score)
    if answer.penalty < BAN_PENALTY:
        return replace(row, state=state, score=1)
    return replace(row, state=state, score=BEST_SCORE // 2, banned_until=now + BAN_SECONDS)


def is_banned(row: PeerRow, now: int) -> bool:
    return row.banned_until is not None and row.banned_until > now


def rank(row: PeerRow) -> tuple[bool, int, int]:
    """Best first: those that answered last time, then by score, then by when they were seen."""
    return (row.state != CONNECTED, -row.score, -(row.last_seen or 0))
