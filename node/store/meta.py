"""Facts about this database: which chain it holds, and this node's own id."""

from __future__ import annotations

from sqlalchemy import Connection, select

from .errors import StoreDamaged
from .tables import meta

NODE_ID_SIZE = 16
"""Bytes."""


COIN = "coin"
"""Key of the coin file's text, where the database is a server's."""
CHANGES = "changes"
"""Key of the number of commits that changed something (`backends.postgres`), 8 bytes big-endian."""


def get(conn: Connection, key: str) -> bytes | None:
    """The value of a key, None where it is not set. Raises StoreDamaged where it is no bytes."""
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
