"""Which backend a node's configuration asks for."""

from __future__ import annotations

from ...config import Config
from .backend import Backend


def backend_of(config: Config) -> Backend:
    """A new one, for this process. Raises StoreRefused for a URL that is none, or where psycopg is missing."""
    if config.database_url is None:
        from .sqlite.file_backend import FileBackend

        return FileBackend(config)
    # psycopg is an extra, and takes a while to import.
    from .postgres.pg_backend import ServerBackend

    return ServerBackend(config)
