"""A database's URL: checked, completed with what a node asks of a connection, and shown without its password."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...errors import StoreRefused

_SCHEMES: Final = ("postgresql://", "postgres://")
_EXAMPLE: Final = "postgresql://moneyer@db.example/beach"
CONNECT_SECONDS: Final = 5
"""How long one address of a server may take to answer at all."""
_ALWAYS: Final = {"application_name": "moneyer", "client_encoding": "UTF8"}
"""By this name it is seen who uses a database (`opening.server_database`)."""
_WANTED: Final[dict[str, str | int]] = {
    "connect_timeout": CONNECT_SECONDS,
    # A machine that is gone says nothing: it is found out within some 20 seconds.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


def shown(url: str) -> str:
    """A URL without its password, for sentences and logs; parameters are left out, as one may be a password too.

    Of what is not taken for a URL nothing is shown but how it begins: any part of it may be the password.
    """
    try:
        given = _parts(url)
    except ValueError:
        return "the URL given"
    user, host, port = (str(given.get(key) or "") for key in ("user", "host", "port"))
    ports = port.split(",") if port else []
    hosts = host.split(",")
    if len(ports) == len(hosts):
        hosts = [f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True)]
    return f"postgresql://{user}{'@' if user else ''}{','.join(hosts)}/{given.get('dbname') or ''}"


def _parts(url: str) -> dict[str, Any]:
    """A URL's parts, as libpq takes them. Raises ValueError for what is none."""
    try:
        given = conninfo_to_dict(url if url.startswith(_SCHEMES) else "")
    except (psycopg.Error, UnicodeError):
        given = {}
    shown = [str(given.get(key) or "") for key in ("user", "host", "port", "dbname")]
    # A password with a letter that ends it: libpq takes what is left of it for a host, a port or a database.
    if not given or any(set(part) & set("@#? ") for part in shown[1:]) or not set(shown[2]) <= set("0123456789,"):
        raise ValueError
    return given


def conninfo(url: str, *, is_replica: bool = False) -> str:
    """libpq's words for a connection. Raises StoreRefused for what is no URL of a database.

    Of several hosts it is the one that can be written to: behind the loss of a primary that is another one. Of
    `is_replica` it is one that follows another, where there is any.
    """
    try:
        given = _parts(url)
    except ValueError:
        raise StoreRefused(
            f"a database's URL is one such as {_EXAMPLE}, and not what was given (letters of a password that mean "
            "something in a URL are written as %XX)"
        ) from None
    if not given.get("dbname"):
        raise StoreRefused(f"{shown(url)} names no database: put its name behind the host, as in {_EXAMPLE}")
    wanted = {key: value for key, value in _WANTED.items() if key not in given}
    if "," in str(given.get("host", "")) and "target_session_attrs" not in given:
        wanted["target_session_attrs"] = "prefer-standby" if is_replica else "read-write"
    return make_conninfo(url, **wanted, **_ALWAYS)
