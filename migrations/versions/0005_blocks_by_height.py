"""A block's children are found by their height: an index that grows at its end only."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_blocks_prev_hash", table_name="blocks")
    op.create_index("ix_blocks_height", "blocks", ["height"], unique=False)
