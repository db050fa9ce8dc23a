"""What begins with some digits is found by an index: txids are kept as they are shown, and block hashes have one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BYTES = 6
"""As `node.store.blocks.DIGIT_BYTES` was when this was written: a migration must not change with the program."""


def upgrade() -> None:
    op.rename_table("transactions", "raw_transactions")
    op.create_table(
        "transactions",
        sa.Column("shown_txid", sa.LargeBinary(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(shown_txid) = 32", name=op.f("ck_transactions_shown_txid_size")),
        sa.PrimaryKeyConstraint("shown_txid", name=op.f("pk_transactions")),
        sqlite_with_rowid=False,
    )
    connection: Any = op.get_bind().connection.driver_connection
    connection.create_function("reversed", 1, lambda raw: raw[::-1])
    # In the order of the new key: else each row goes to a page of its own.
    op.execute("INSERT INTO transactions SELECT reversed(txid), height, position FROM raw_transactions ORDER BY 1")
    connection.create_function("reversed", 1, None)
    op.drop_table("raw_transactions")
    zero = sa.text("0")
    op.add_column("blocks", sa.Column("first_digits", sa.BigInteger(), server_default=zero, nullable=False))
    connection.create_function("first_digits", 1, lambda raw: int.from_bytes(raw[: -_BYTES - 1 : -1]))
    op.execute("UPDATE blocks SET first_digits = first_digits(block_hash)")
    connection.create_function("first_digits", 1, None)
    op.create_index("ix_blocks_first_digits", "blocks", ["first_digits"], unique=False)
