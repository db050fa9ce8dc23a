"""Facts about this database: which chain it holds, this node's own id, which blocks' transfers are to come back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from ..core.types import HASH_SIZE
from .errors import StoreDamaged
from .tables import meta

NODE_ID_SIZE = 16
"""Bytes."""
_RETURNING = "returning"


def get(conn: Connection, key: str) -> bytes | None:
    """The value of a key. Raises StoreDamaged where it is none."""
    value = conn.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    if not isinstance(value, bytes | None):
        raise StoreDamaged(f"what it says of its {key} is not of the kind that it must be")
    return value


def put(conn: Connection, key: str, value: bytes) -> None:
    """Set a key that is not there yet."""
    conn.execute(meta.insert().values(key=key, value=value))


def replace(conn: Connection, key: str, value: bytes) -> None:
    """Set a key, whether or not it is there."""
    conn.execute(meta.delete().where(meta.c.key == key))
    put(conn, key, value)


def node_id(conn: Connection) -> str:
    """32 hex digits made at random when the database was: by them a node knows itself under another name."""
    value = get(conn, "node_id")
    assert value is not None  # noqa: S101 - written with genesis
    return value.hex()


def returning(conn: Connection) -> list[bytes]:
    """Hashes of disconnected blocks whose transfers are still to come back to the mempool, oldest first."""
    raw = get(conn, _RETURNING) or b""
    if len(raw) % HASH_SIZE:
        raise StoreDamaged("the list of blocks whose transfers return to the mempool is no list of hashes")
    return [raw[start : start + HASH_SIZE] for start in range(0, len(raw), HASH_SIZE)]


def set_returning(conn: Connection, block_hashes: Sequence[bytes]) -> None:
    """Replace that list."""
    replace(conn, _RETURNING, b"".join(block_hashes))
