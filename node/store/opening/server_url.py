"""A server's URL, looked at before anything is started: what is wrong with it is an option's mistake."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from ...system.advice import typed
from ..errors import StoreRefused


def need_psycopg() -> None:
    """Raises StoreRefused where it is missing."""
    if find_spec("psycopg") is None:
        raise StoreRefused(
            "a database on PostgreSQL needs psycopg, which is not installed: "
            f"`{typed(sys.executable)} -m pip install 'psycopg[binary]>=3.3,<4'`"
        )


def check_url(url: str) -> str:
    """The URL, as it was given. No server is asked. Raises StoreRefused. It needs psycopg."""
    from ..backends.postgres.pg_address import conninfo  # psycopg is an extra, and takes a while to import

    conninfo(url)
    return url


def is_url(text: str) -> bool:
    """Whether a text that may be a path is meant as a database's URL, well written or not."""
    return "://" in text or text.lower().startswith(("postgresql:", "postgres:"))
