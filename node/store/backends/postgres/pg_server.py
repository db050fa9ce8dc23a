"""What is asked of a PostgreSQL server before it is used: its version, its encoding, and that it forgets nothing."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from ...errors import StoreRefused

OLDEST: Final = 14
_ASKED: Final = text(
    "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'), "
    "current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), "
    "pg_is_in_recovery()"
)


def check_server(conn: Connection, shown: str, *, unsafe: bool) -> None:
    """Raises StoreRefused for a server that cannot be relied on. `unsafe`: one that may forget is taken."""
    version, encoding, synchronous, fsync, pages, is_replica = conn.execute(_ASKED).one()
    if version < OLDEST:
        raise StoreRefused(f"{shown} is on PostgreSQL {version}: it takes PostgreSQL {OLDEST} or newer")
    if encoding != "UTF8":
        raise StoreRefused(f"{shown} keeps text as {encoding}: make a database with ENCODING 'UTF8' TEMPLATE template0")
    if is_replica:
        raise StoreRefused(
            f"{shown} is a replica, which can only be read: name its primary with --database, and this one with "
            "--read-database"
        )
    off = {"synchronous_commit": synchronous, "fsync": fsync, "full_page_writes": pages}
    wrong = [f"{name}=off" for name, value in off.items() if value == "off"]
    if wrong and not unsafe:
        raise StoreRefused(
            f"{shown} may lose what it has acknowledged, since its server has {' and '.join(wrong)}: turn that on "
            "there, or take the risk with --unsafe-database"
        )
