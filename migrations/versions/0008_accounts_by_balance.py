"""The largest accounts are found by an index."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_accounts_balance", "accounts", ["balance"], unique=False)
