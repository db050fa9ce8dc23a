"""What begins with some digits is found by an index: txids are kept as they are shown, and block hashes have one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_BYTES = 6
"""As `node.store.blocks.DIGIT_BYTES` was when this was written: a migration must not change with the program."""


def upgrade() -> None:
    is_file = op.get_bind().dialect.name == "sqlite"
    op.rename_table("transactions", "raw_transactions")
    if not is_file:  # an index keeps its name, and no other table's may have it
        op.execute("ALTER INDEX pk_transactions RENAME TO pk_raw_transactions")
    op.create_table(
        "transactions",
        sa.Column("shown_txid", sa.LargeBinary(), nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.CheckConstraint("length(shown_txid) = 32", name=op.f("ck_transactions_shown_txid_size")),
        sa.PrimaryKeyConstraint("shown_txid", name=op.f("pk_transactions")),
        sqlite_with_rowid=False,
    )
    zero = sa.text("0")
    op.add_column("blocks", sa.Column("first_digits", sa.BigInteger(), server_default=zero, nullable=False))
    if is_file:
        _fill_by_functions()
    else:
        _fill()
    op.drop_table("raw_transactions")
    op.create_index("ix_blocks_first_digits", "blocks", ["first_digits"], unique=False)


# Both in the order of the new key: else each row goes to a page of its own.


def _fill_by_functions() -> None:
    connection: Any = op.get_bind().connection.driver_connection
    connection.create_function("reversed", 1, lambda raw: raw[::-1])
    op.execute("INSERT INTO transactions SELECT reversed(txid), height, position FROM raw_transactions ORDER BY 1")
    connection.create_function("reversed", 1, None)
    connection.create_function("first_digits", 1, lambda raw: int.from_bytes(raw[: -_BYTES - 1 : -1]))
    op.execute("UPDATE blocks SET first_digits = first_digits(block_hash)")
    connection.create_function("first_digits", 1, None)


def _fill() -> None:
    """The same where all bytes are of the size that they should be: a server holds its tables to their constraints."""
    last = "substring(txid FROM place FOR 1), '' ORDER BY place DESC"
    shown = f"(SELECT string_agg({last}) FROM generate_series(1, 32) AS place)"  # noqa: S608 - no value in it
    op.execute(f"INSERT INTO transactions SELECT {shown}, height, position FROM raw_transactions ORDER BY 1")  # noqa: S608
    digits = " | ".join(
        f"(get_byte(block_hash, {31 - each})::bigint << {8 * (_BYTES - 1 - each)})" for each in range(_BYTES)
    )
    op.execute(f"UPDATE blocks SET first_digits = {digits}")  # noqa: S608
