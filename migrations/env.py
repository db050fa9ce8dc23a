"""Alembic's entry. The connection comes from `node.store.opening.migrate`, within its one transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from ..node.store.tables import metadata

connection: Connection = context.config.attributes["connection"]
# SQLite alters by copying a table; the transaction is the caller's, who commits or rolls back the whole upgrade.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
