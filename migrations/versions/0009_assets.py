"""Rules 2: assets, who holds them, and their history; the mempool knows what a spend takes of an asset, and its locks.

`fee_rate` is by 25 million bytes: spends are longer than a transfer was.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_FEE_RATE_SCALE, _MAX_FEE_RATE = 25_000_000, 2**63 - 1
"""As in `node.core.template` when this was written: a migration must not change with the program."""
_SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = 'mempool'"
_CLAIMS = (
    ("asset_amount", "asset_amount BETWEEN 0 AND 9007199254740991"),
    ("mints", "mints BETWEEN 0 AND 9007199254740991"),
    ("asset_size", "asset IS NULL OR length(asset) = 32"),
    ("locks", "lock_height >= 0 AND lock_time >= 0"),
)
_KEPT = "txid, sender, sequence, receiver, cost, fee, size, ready, raw, head"


def upgrade() -> None:
    _create_assets()
    _create_holdings()
    if op.get_bind().dialect.name == "sqlite":
        _copy_mempool()
    else:
        _alter_mempool()


def _copy_mempool() -> None:
    """A table of SQLite's gets no CHECK afterwards, so it is made anew. Its indexes go with the old one."""
    conn = op.get_bind()
    arrived = conn.execute(sa.text(_SEQUENCE)).scalar()
    op.rename_table("mempool", "old_mempool")
    _create_mempool()
    connection: Any = conn.connection.driver_connection
    connection.create_function("rate_of", 2, _rate_of)
    op.execute(
        f"INSERT INTO mempool (arrived, fee_rate, {_KEPT}) "  # noqa: S608 - names of ours
        f"SELECT arrived, rate_of(fee, size), {_KEPT} FROM old_mempool ORDER BY arrived"
    )
    connection.create_function("rate_of", 2, None)
    op.drop_table("old_mempool")
    # A number is never given twice, those of transfers that have left the pool neither.
    if arrived is not None:
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'mempool'")
        conn.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('mempool', :seq)"), {"seq": arrived})
    _index_mempool()


def _rate_of(fee: Any, size: Any) -> Any:
    """What is damaged stays so: the check behind the upgrade finds it."""
    if not isinstance(fee, int) or not isinstance(size, int) or size < 1:
        return fee
    return min(fee * _FEE_RATE_SCALE // size, _MAX_FEE_RATE)


def _alter_mempool() -> None:
    """The same where a table can get a CHECK, and a row's bytes are as many as its size says."""
    op.add_column("mempool", sa.Column("asset", sa.LargeBinary(), nullable=True))
    for name in ("asset_amount", "mints", "lock_height", "lock_time"):
        op.add_column("mempool", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    for name, condition in _CLAIMS:
        op.create_check_constraint(op.f(f"ck_mempool_{name}"), "mempool", condition)
    rate = f"least(div(fee::numeric * {_FEE_RATE_SCALE}, size), {_MAX_FEE_RATE})"
    op.execute(f"UPDATE mempool SET fee_rate = {rate} WHERE size > 0")  # noqa: S608 - numbers of ours
    _index_claims()


def _create_assets() -> None:
    op.create_table(
        "assets",
        sa.Column("asset_number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("asset", sa.LargeBinary(), nullable=False),
        sa.Column("issuer", sa.LargeBinary(), nullable=False),
        sa.Column("symbol", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("decimals", WHOLE, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("max_supply", sa.BigInteger(), nullable=False),
        sa.Column("minted", sa.BigInteger(), nullable=False),
        sa.Column("burned", sa.BigInteger(), nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.CheckConstraint("length(asset) = 32", name=op.f("ck_assets_asset_size")),
        sa.CheckConstraint("length(issuer) = 33", name=op.f("ck_assets_issuer_size")),
        sa.CheckConstraint("length(content) = 32", name=op.f("ck_assets_content_size")),
        sa.CheckConstraint("max_supply BETWEEN 0 AND 9007199254740991", name=op.f("ck_assets_max_supply")),
        sa.CheckConstraint(
            "minted BETWEEN 0 AND max_supply AND burned BETWEEN 0 AND minted", name=op.f("ck_assets_supply")
        ),
        sa.CheckConstraint("decimals BETWEEN 0 AND 8", name=op.f("ck_assets_decimals")),
        sa.PrimaryKeyConstraint("asset_number", name=op.f("pk_assets")),
        sa.UniqueConstraint("asset", name=op.f("uq_assets_asset")),
    )
    op.create_index("ix_assets_issuer", "assets", ["issuer", "asset_number"], unique=False)
    op.create_index("ix_assets_symbol", "assets", ["symbol", "asset_number"], unique=False)
    op.create_index("ix_assets_issuer_symbol", "assets", ["issuer", "symbol", "asset_number"], unique=False)


def _create_holdings() -> None:
    op.create_table(
        "holdings",
        sa.Column("account_id", WHOLE, nullable=False),
        sa.Column("asset_number", WHOLE, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount BETWEEN 1 AND 9007199254740991", name=op.f("ck_holdings_amount")),
        sa.PrimaryKeyConstraint("account_id", "asset_number", name=op.f("pk_holdings")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_holdings_asset_number", "holdings", ["asset_number", "amount", "account_id"], unique=False)
    op.create_table(
        "asset_history",
        sa.Column("asset_number", WHOLE, nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("asset_number", "height", "position", name=op.f("pk_asset_history")),
        sqlite_with_rowid=False,
    )


def _create_mempool() -> None:
    zero = sa.text("0")
    op.create_table(
        "mempool",
        sa.Column("arrived", WHOLE, nullable=False),
        sa.Column("txid", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("receiver", sa.LargeBinary(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("fee_rate", sa.BigInteger(), nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.Boolean(), server_default=zero, nullable=False),
        sa.Column("asset", sa.LargeBinary(), nullable=True),
        sa.Column("asset_amount", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("mints", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("lock_height", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("lock_time", sa.BigInteger(), server_default=zero, nullable=False),
        sa.CheckConstraint("cost BETWEEN 0 AND 9007199254740991", name=op.f("ck_mempool_cost")),
        sa.CheckConstraint("fee BETWEEN 0 AND 9007199254740991", name=op.f("ck_mempool_fee")),
        *(sa.CheckConstraint(condition, name=op.f(f"ck_mempool_{name}")) for name, condition in _CLAIMS),
        sa.CheckConstraint("length(receiver) = 33", name=op.f("ck_mempool_receiver_size")),
        sa.CheckConstraint("length(sender) = 33", name=op.f("ck_mempool_sender_size")),
        sa.CheckConstraint("length(txid) = 32", name=op.f("ck_mempool_txid_size")),
        sa.CheckConstraint("size = length(raw)", name=op.f("ck_mempool_size")),
        sa.PrimaryKeyConstraint("arrived", name=op.f("pk_mempool")),
        sa.UniqueConstraint("sender", "sequence", name=op.f("uq_mempool_sender_sequence")),
        sa.UniqueConstraint("txid", name=op.f("uq_mempool_txid")),
        sqlite_autoincrement=True,
    )


def _index_mempool() -> None:
    op.create_index("ix_mempool_eviction", "mempool", ["ready", "fee_rate", "arrived"], unique=False)
    op.create_index("ix_mempool_receiver_cost", "mempool", ["receiver", "cost", "fee"], unique=False)
    op.create_index("ix_mempool_sender_cost", "mempool", ["sender", "ready", "sequence", "cost"], unique=False)
    op.create_index(
        "ix_mempool_head",
        "mempool",
        [sa.text("fee_rate DESC"), "arrived"],
        unique=False,
        sqlite_where=sa.text("head = 1"),
    )
    _index_claims()


def _index_claims() -> None:
    op.create_index(
        "ix_mempool_asset",
        "mempool",
        ["sender", "asset", "asset_amount", "mints"],
        unique=False,
        sqlite_where=sa.text("asset IS NOT NULL"),
        postgresql_where=sa.text("asset IS NOT NULL"),
    )
    op.create_index(
        "ix_mempool_locks",
        "mempool",
        ["lock_height", "lock_time"],
        unique=False,
        sqlite_where=sa.text("lock_height > 0 OR lock_time > 0"),
        postgresql_where=sa.text("lock_height > 0 OR lock_time > 0"),
    )
