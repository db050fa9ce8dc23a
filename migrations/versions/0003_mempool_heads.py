"""Heads of the mempool: of each sender the transfer that a block can take first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mempool", sa.Column("head", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.execute(
        sa.text("UPDATE mempool SET head = 1 WHERE sequence = (SELECT sequence FROM accounts WHERE payload = sender)")
    )
    op.create_index(
        "ix_mempool_head",
        "mempool",
        [sa.text("fee_rate DESC"), "arrived"],
        unique=False,
        sqlite_where=sa.text("head = 1"),
        postgresql_where=sa.text("head"),
    )
