"""Each block's sums of transactions, fees and bytes up to it: what a stretch of the chain had is a difference."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAMES = ("tx_count", "fees", "size")
_MASK = 2**63 - 1
"""As `node.store.tables.SUM_MASK` was when this was written: a migration must not change with the program."""
_AT_ONCE = 1_000

_BLOCKS = sa.table(
    "blocks",
    *map(sa.column, ("joined", "height", "block_hash", "prev_hash", *_NAMES, *(f"total_{name}" for name in _NAMES))),
    sa.column("main_chain", sa.Boolean()),
)
_PARENT = _BLOCKS.alias("parent")
_COLUMNS = [_BLOCKS.c[name] for name in ("joined", *_NAMES)]
# By SQLAlchemy, which writes the condition of each dialect's index.
_MAIN = (
    sa.select(*_COLUMNS)
    .where(_BLOCKS.c.main_chain, _BLOCKS.c.height >= sa.bindparam("height", type_=sa.BigInteger()))
    .order_by(_BLOCKS.c.height)
    .limit(_AT_ONCE)
)
_BESIDE = (
    sa.select(*_COLUMNS, *(_PARENT.c[f"total_{name}"] for name in _NAMES))
    .join_from(_BLOCKS, _PARENT, _PARENT.c.block_hash == _BLOCKS.c.prev_hash)
    .where(~_BLOCKS.c.main_chain, _BLOCKS.c.joined > sa.bindparam("joined", type_=sa.BigInteger()))
    .order_by(_BLOCKS.c.joined)
    .limit(1)
)
_SAVE = sa.text(
    "UPDATE blocks SET total_tx_count = :tx_count, total_fees = :fees, total_size = :size WHERE joined = :joined"
)


def upgrade() -> None:
    for name in _NAMES:
        op.add_column(
            "blocks", sa.Column(f"total_{name}", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
    conn = op.get_bind()
    height = 0
    sums: tuple[int, ...] = (0, 0, 0)
    while rows := conn.execute(_MAIN, {"height": height}).all():
        saved = []
        for joined, *own in rows:
            sums = _added(sums, own)
            saved.append({"joined": joined, **dict(zip(_NAMES, sums, strict=True))})
        conn.execute(_SAVE, saved)
        height += len(rows)
    joined = 0
    while (row := conn.execute(_BESIDE, {"joined": joined}).first()) is not None:  # a parent joined before its child
        joined, *rest = row
        conn.execute(_SAVE, {"joined": joined, **dict(zip(_NAMES, _added(rest[3:], rest[:3]), strict=True))})


def _added(sums: Sequence[int], own: Sequence[int]) -> tuple[int, ...]:
    return tuple((before + more) & _MASK for before, more in zip(sums, own, strict=True))
