"""A database's URL: checked, completed with what a node asks of a connection, and shown without its password."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...errors import StoreRefused

_SCHEMES: Final = ("postgresql://", "postgres://")
_EXAMPLE: Final = "postgresql://moneyer@db.example/beach"
CONNECT_SECONDS: Final = 5
"""How long one address of a server may take to answer at all."""
_WANTED: Final[dict[str, str | int]] = {
    "application_name": "moneyer",
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_SECONDS,
    # A machine that is gone says nothing: it is found out within some 20 seconds.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


def shown(url: str) -> str:
    """A URL without its password, for sentences and logs; parameters are left out, as one may be a password too."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}"


def conninfo(url: str) -> str:
    """libpq's words for a connection. Raises StoreRefused for what is no URL of a database."""
    if not url.startswith(_SCHEMES):
        raise StoreRefused(f"--database takes a URL such as {_EXAMPLE}, not {shown(url)[:100]!r}")
    try:
        given = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        raise StoreRefused(
            f"{shown(url)[:200]} is no URL of a PostgreSQL database: it looks like {_EXAMPLE} (letters of a password "
            "that mean something in a URL are written as %XX)"
        ) from None
    if not given.get("dbname"):
        raise StoreRefused(f"{shown(url)} names no database: put its name behind the host, as in {_EXAMPLE}")
    wanted = {key: value for key, value in _WANTED.items() if key not in given}
    # Of several hosts, the one that can be written to: behind the loss of a primary that is another one.
    if "," in str(given.get("host", "")) and "target_session_attrs" not in given:
        wanted["target_session_attrs"] = "read-write"
    return make_conninfo(url, **wanted)
