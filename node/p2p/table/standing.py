"""How a peer's row changes with what the peer does: its state, its score, a ban; and which row makes room for another.

The functions are pure but for `take_in`, which reads and writes the table in its caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from sqlalchemy import Connection

from ...store import peers as table
from ...store.peers import PeerRow
from ...system.network import is_loopback
from ...system.shares import address_key
from ..peer.errors import PeerError, PeerRefused, TableFull
from ..peer.peer_client import PeerClient
from ..peer.urls import PeerUrl, parse_peer_url
from ..peer.wire import Hello

CONNECTED, DOWN, REFUSED, RESERVE = table.CONNECTED, "down", "refused", "reserve"
"""States: said hello when last asked; did not, or lied; not taken (another coin, …); in reserve (not asked now)."""
CUT = "cut"
"""Shown in place of the state of a peer's row while the link with it is cut for an experiment (`peer.conditioned`)."""
OUTBOUND, INBOUND = "outbound", "inbound"
"""Directions, by who asked for the link: this node or its owner; or only the peer, by `/p2p/connect`."""

MAX_PEERS: Final = 1000
"""Rows of the table."""
INBOUND_EACH: Final = 8
"""Inbound peers in the table of one address (`limit_key`). All inbound peers together have half of the table."""
BEST_SCORE: Final = 100
_SCORE_BACK: Final = 10
"""Points for blocks or transfers that count. Saying hello costs a peer nothing, so it earns nothing."""
BAN_PENALTY: Final = 20
"""Errors of so many points can end in a ban; being away or slow never does, so that a peer is found again."""
BAN_SECONDS: Final = 3600
_OLD_SECONDS: Final = 86_400
"""Peers that are known for a day rank before newer ones."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A peer that has just said hello and is a node of this coin."""

    url: PeerUrl
    client: PeerClient
    hello: Hello
    latency_ms: int


@lru_cache(maxsize=4096)
def limit_key(host: str) -> str | None:
    """What limits on one address count a peer's host by (`node.system.shares.address_key`).

    None, which no limit counts, for this machine, where whole networks of nodes live, and for a name.
    """
    try:
        ip_address(host)
    except ValueError:
        return None
    return None if is_loopback(host) else address_key(host)


def take_in(
    conn: Connection,
    answers: Sequence[Greeting | PeerError],
    direction: str,
    now: int,
    *,
    is_linked: bool = True,
    known_as: Mapping[str, str] | None = None,
) -> list[PeerRow | PeerError]:
    """Save the rows of new or known peers; for each the row, or why it was not taken.

    `is_linked`: they are asked from now on, so they count as connected; else they wait in reserve. `known_as`: URL ->
    the URL by which the same node is in the table.
    """
    rows: dict[str, PeerRow] | None = None
    """The whole table; read only if a new peer needs room, for the write lock is held meanwhile."""
    results: list[PeerRow | PeerError] = []
    for answer in answers:
        if isinstance(answer, PeerError):
            results.append(answer)
            continue
        url = (known_as or {}).get(answer.url.url, answer.url.url)
        known = table.get(conn, url)
        if known is None:
            if rows is None:
                rows = {row.url: row for row in table.listed(conn)}
            try:
                worst = _leaves(list(rows.values()), answer.url, direction)
            except TableFull as full:
                results.append(full)
                continue
            if worst is not None:
                table.remove(conn, worst.url)
                del rows[worst.url]
        before = known or blank(url, direction, now)
        row = after(before, answer, now)
        if direction == OUTBOUND:
            row = replace(row, direction=OUTBOUND)
        if not is_linked and before.state != CONNECTED:
            row = replace(row, state=RESERVE)
        table.save(conn, row)
        if rows is not None:
            rows[url] = row
        results.append(row)
    return results


def _leaves(rows: Sequence[PeerRow], url: PeerUrl, direction: str) -> PeerRow | None:
    """The row that makes room for a new one; None where there is room. Raises TableFull.

    An inbound peer takes the place of other inbound ones that are not connected, first of those at its own address. An
    outbound peer takes the place of any that is not connected, and then of any inbound one.
    """
    asked = [row for row in rows if row.direction == INBOUND]
    if direction == INBOUND:
        key = limit_key(url.host)
        near = [row for row in asked if key is not None and limit_key(parse_peer_url(row.url).host) == key]
        if len(near) >= INBOUND_EACH:
            return _worst(_spare(near), f"{INBOUND_EACH} peers at your address")
        if len(asked) >= MAX_PEERS // 2:
            return _worst(_spare(asked), f"{MAX_PEERS // 2} peers that asked for it")
    if len(rows) < MAX_PEERS:
        return None
    spare = _spare(asked) or _spare(rows)
    return _worst(spare if direction == INBOUND else spare or asked, f"{MAX_PEERS} peers that answer")


def _spare(rows: Sequence[PeerRow]) -> list[PeerRow]:
    return [row for row in rows if row.state != CONNECTED]


def _worst(rows: Sequence[PeerRow], known: str) -> PeerRow:
    if not rows:
        raise TableFull(f"this node knows {known}, and takes no more")
    return max(rows, key=rank)


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
            banned_until=None,
        )
    state = REFUSED if isinstance(answer, PeerRefused) else DOWN
    score = row.score - answer.penalty
    if score > 0:
        return replace(row, state=state, score=score)
    if answer.penalty < BAN_PENALTY:
        return replace(row, state=state, score=1)
    return replace(row, state=state, score=BEST_SCORE // 2, banned_until=now + BAN_SECONDS)


def credited(row: PeerRow) -> PeerRow:
    """The row once the peer has given blocks or transfers that count: what it did wrong weighs less and less."""
    return replace(row, score=min(BEST_SCORE, row.score + _SCORE_BACK))


def is_banned(row: PeerRow, now: int) -> bool:
    return row.banned_until is not None and row.banned_until > now


def rank(row: PeerRow, now: int | None = None) -> tuple[bool, int, bool, int]:
    """Best first: those that answered last time, then by score, those known for a day, then by when they were seen."""
    is_new = now is not None and now - row.added_at < _OLD_SECONDS
    return (row.state != CONNECTED, -row.score, is_new, -(row.last_seen or 0))
