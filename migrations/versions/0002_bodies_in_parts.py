"""Bodies in parts, so that one transaction is read without its whole block."""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack, unpack

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_PART_BYTES = 16_384
"""As `node.store.chainstate.PART_BYTES` was when this was written: a migration must not change with the program."""


def upgrade() -> None:
    op.rename_table("bodies", "whole_bodies")
    conn = op.get_bind()
    if conn.dialect.name == "postgresql":  # an index keeps its name, and no other table's may have it
        op.execute("ALTER INDEX pk_bodies RENAME TO pk_whole_bodies")
    op.create_table(
        "bodies",
        sa.Column("joined", WHOLE, nullable=False),
        sa.Column("first", WHOLE, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("offsets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["joined"], ["blocks.joined"], name="fk_bodies_joined"),
        sa.PrimaryKeyConstraint("joined", "first", name="pk_bodies"),
    )
    numbers = conn.execute(sa.text("SELECT joined FROM whole_bodies ORDER BY joined")).scalars().all()
    for joined in numbers:
        body, offsets = conn.execute(
            sa.text("SELECT body, offsets FROM whole_bodies WHERE joined = :joined"), {"joined": joined}
        ).one()
        conn.execute(
            sa.text("INSERT INTO bodies VALUES (:joined, :first, :body, :offsets)"),
            [
                {"joined": joined, "first": first, "body": part, "offsets": starts}
                for first, part, starts in _parts(body, offsets)
            ],
        )
    op.drop_table("whole_bodies")


def _parts(body: bytes, offsets: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """What is damaged stays so, in one part: the check behind the upgrade finds it."""
    starts = unpack(f"<{len(offsets) // 4}I", offsets[: len(offsets) // 4 * 4])
    if not starts or len(offsets) % 4 or list(starts) != sorted(set(starts)) or starts[-1] >= len(body):
        yield 0, body, offsets
        return
    first = begin = 0
    while first < len(starts):
        behind = first + 1
        while behind < len(starts) and starts[behind] < begin + _PART_BYTES:
            behind += 1
        end = starts[behind] if behind < len(starts) else len(body)
        yield first, body[begin:end], pack(f"<{behind - first}I", *(start - begin for start in starts[first:behind]))
        first, begin = behind, end
