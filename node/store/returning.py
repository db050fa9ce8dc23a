"""Blocks that a reorg took off the main chain, and whose transfers are still to come back to the mempool."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from node.core.types import HASH_SIZE
from node.store import meta
from node.store.errors import StoreDamaged

_KEY = "returning"


def hashes(conn: Connection) -> list[bytes]:
    """Their hashes, oldest first."""
    raw = meta.get(conn, _KEY) or b""
    if len(raw) % HASH_SIZE:
        raise StoreDamaged("the list of blocks whose transfers return to the mempool is no list of hashes")
    return [raw[start : start + HASH_SIZE] for start in range(0, len(raw), HASH_SIZE)]


def mark(conn: Connection, block_hashes: Sequence[bytes]) -> None:
    """From now on it is these, oldest first."""
    meta.replace(conn, _KEY, b"".join(block_hashes))
