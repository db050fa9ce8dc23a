"""Heads of the mempool: of each sender the transfer that a block can take first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MEMPOOL = sa.table("mempool", sa.column("head", sa.Boolean()))


def upgrade() -> None:
    op.add_column("mempool", sa.Column("head", sa.Boolean(), server_default=sa.false(), nullable=False))
    is_head = "sequence = (SELECT accounts.sequence FROM accounts WHERE payload = sender)"
    op.execute(sa.update(_MEMPOOL).values(head=sa.true()).where(sa.text(is_head)))
    op.create_index(
        "ix_mempool_head",
        "mempool",
        [sa.text("fee_rate DESC"), "arrived"],
        unique=False,
        sqlite_where=sa.text("head = 1"),
        postgresql_where=sa.text("head"),
    )
