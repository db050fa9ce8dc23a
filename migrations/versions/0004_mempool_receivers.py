"""What waits for a receiver is summed from an index alone."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_mempool_receiver", table_name="mempool")
    op.create_index("ix_mempool_receiver_cost", "mempool", ["receiver", "cost", "fee"], unique=False)
