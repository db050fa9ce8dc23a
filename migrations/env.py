"""Alembic's entry, a file that it runs by itself. Connection and metadata come from `node.store.opening.migrate`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, MetaData

connection: Connection = context.config.attributes["connection"]
metadata: MetaData = context.config.attributes["metadata"]
# SQLite alters by copying a table. The transaction is the caller's, on a server too: the whole upgrade or nothing.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
