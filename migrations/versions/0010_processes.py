"""The processes that have a database on a server open; a file has locks of its own for that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("status", sa.LargeBinary(), nullable=False),
        sa.Column("committed", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("number BETWEEN 1 AND 2147483647", name=op.f("ck_processes_number")),
        sa.CheckConstraint(
            "length(kind) BETWEEN 1 AND 20 AND length(status) <= 65536", name=op.f("ck_processes_bounded")
        ),
        sa.CheckConstraint("committed >= 0", name=op.f("ck_processes_committed")),
        sa.CheckConstraint("started_at >= 0 AND seen_at >= 0", name=op.f("ck_processes_times")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_processes")),
    )
