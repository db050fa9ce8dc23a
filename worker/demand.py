"""What the node wants of its worker now: read from the database, and decided by the mode."""

from __future__ import annotations

from dataclasses import dataclass

from node.store import blocks, jobs, mempool, mining
from node.store.engine import Store
from node.store.jobs import JobRow
from node.store.mining import Kind, Mode
from worker.rhythm import SPACINGS, Rhythm


@dataclass(frozen=True, slots=True)
class Look:
    """One snapshot of the database."""

    version: int
    """`data_version` before the snapshot was taken: another one means that this may be old."""
    tip_hash: bytes
    height: int
    job: JobRow | None
    """The oldest job that is open."""
    pool_count: int
    """Transfers in the mempool, ready or waiting."""
    mode: Mode | None
    """What was set last, by whomever."""


def look(store: Store) -> Look:
    """Raises StoreUnavailable."""
    version = store.data_version()
    with store.read() as conn:
        tip = blocks.tip(conn)
        pool_count = mempool.totals(conn)[0]
        return Look(version, tip.block_hash, tip.height, jobs.next_open(conn), pool_count, mining.mode(conn))


def timestamps(store: Store) -> list[int]:
    """Of the chain's last blocks, the oldest first. Raises StoreUnavailable."""
    with store.read() as conn:
        return [row.header.timestamp for row in reversed(blocks.newest_first(conn, None, SPACINGS + 1))]


def wants_block(mode: Mode, seen: Look, rhythm: Rhythm) -> bool:
    """Whether a block shall be searched. For `instant` only a maybe: the pool may hold nothing that can be mined."""
    if seen.job is not None or mode.kind is Kind.CONTINUOUS:
        return True
    if mode.kind is Kind.INTERVAL:
        return rhythm.wait == 0
    return mode.kind is Kind.INSTANT and seen.pool_count > 0
