"""First schema: the block tree, accounts and their history, mempool, peers, jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "account_history",
        sa.Column("account_id", WHOLE, nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "height", "position", name="pk_account_history"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accounts",
        sa.Column("account_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("balance BETWEEN 0 AND 9007199254740991", name=op.f("ck_accounts_balance")),
        sa.CheckConstraint("length(payload) = 33", name=op.f("ck_accounts_payload_size")),
        sa.CheckConstraint("sequence BETWEEN 0 AND 9007199254740991", name=op.f("ck_accounts_sequence")),
        sa.PrimaryKeyConstraint("account_id", name="pk_accounts"),
        sa.UniqueConstraint("payload", name="uq_accounts_payload"),
    )
    op.create_table(
        "blocks",
        sa.Column("joined", WHOLE, autoincrement=False, nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("work", sa.LargeBinary(), nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("main_chain", sa.Boolean(), nullable=False),
        sa.Column("invalid_code", WORDS, nullable=True),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("tx_count", WHOLE, nullable=False),
        sa.Column("miner", sa.LargeBinary(), nullable=False),
        sa.Column("reward", sa.BigInteger(), nullable=False),
        sa.Column("fees", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(status = 'invalid') = (invalid_code IS NOT NULL)", name=op.f("ck_blocks_invalid_code")),
        sa.CheckConstraint("NOT main_chain OR status = 'connected'", name=op.f("ck_blocks_main_chain")),
        sa.CheckConstraint("status IN ('stored', 'connected', 'invalid')", name=op.f("ck_blocks_status")),
        sa.CheckConstraint("height >= 0", name=op.f("ck_blocks_height")),
        sa.CheckConstraint("length(block_hash) = 32", name=op.f("ck_blocks_block_hash_size")),
        sa.CheckConstraint("length(header) = 80", name=op.f("ck_blocks_header_size")),
        sa.CheckConstraint("length(prev_hash) = 32", name=op.f("ck_blocks_prev_hash_size")),
        sa.CheckConstraint("length(work) = 32", name=op.f("ck_blocks_work_size")),
        sa.PrimaryKeyConstraint("joined", name="pk_blocks"),
        sa.UniqueConstraint("block_hash", name="uq_blocks_block_hash"),
    )
    op.create_index(
        "ix_blocks_main_chain",
        "blocks",
        ["height"],
        unique=True,
        sqlite_where=sa.text("main_chain = 1"),
        postgresql_where=sa.text("main_chain"),
    )
    op.create_index("ix_blocks_prev_hash", "blocks", ["prev_hash"], unique=False)
    op.create_index("ix_blocks_work", "blocks", ["work"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("job_id", WORDS, nullable=False),
        sa.Column("receiver", sa.LargeBinary(), nullable=True),
        sa.Column("wanted", WHOLE, nullable=False),
        sa.Column("mined", WHOLE, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("message", WORDS, nullable=False),
        sa.Column("last_hash", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("updated_at", WHOLE, nullable=False),
        sa.CheckConstraint("state IN ('open', 'done', 'failed')", name=op.f("ck_jobs_state")),
        sa.CheckConstraint("wanted >= 1 AND mined BETWEEN 0 AND wanted", name=op.f("ck_jobs_mined")),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("job_id", name="uq_jobs_job_id"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "number"], unique=False)
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
        sa.CheckConstraint("cost BETWEEN 0 AND 9007199254740991", name=op.f("ck_mempool_cost")),
        sa.CheckConstraint("fee BETWEEN 0 AND 9007199254740991", name=op.f("ck_mempool_fee")),
        sa.CheckConstraint("length(receiver) = 33", name=op.f("ck_mempool_receiver_size")),
        sa.CheckConstraint("length(sender) = 33", name=op.f("ck_mempool_sender_size")),
        sa.CheckConstraint("length(txid) = 32", name=op.f("ck_mempool_txid_size")),
        sa.CheckConstraint("size = length(raw)", name=op.f("ck_mempool_size")),
        sa.PrimaryKeyConstraint("arrived", name="pk_mempool"),
        sa.UniqueConstraint("sender", "sequence", name="uq_mempool_sender_sequence"),
        sa.UniqueConstraint("txid", name="uq_mempool_txid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mempool_eviction", "mempool", ["ready", "fee_rate", "arrived"], unique=False)
    op.create_index("ix_mempool_receiver", "mempool", ["receiver"], unique=False)
    op.create_index("ix_mempool_sender_cost", "mempool", ["sender", "ready", "sequence", "cost"], unique=False)
    op.create_table(
        "mempool_totals",
        sa.Column("row", WHOLE, autoincrement=False, nullable=False),
        sa.Column("count", WHOLE, nullable=False),
        sa.Column("bytes", WHOLE, nullable=False),
        sa.CheckConstraint("count >= 0 AND bytes >= 0", name=op.f("ck_mempool_totals_not_negative")),
        sa.CheckConstraint("row = 1", name=op.f("ck_mempool_totals_one_row")),
        sa.PrimaryKeyConstraint("row", name="pk_mempool_totals"),
    )
    op.create_table(
        "meta",
        sa.Column("key", WORDS, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "peers",
        sa.Column("url", WORDS, nullable=False),
        sa.Column("node_id", WORDS, nullable=True),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("work", sa.LargeBinary(), nullable=False),
        sa.Column("agent", WORDS, nullable=False),
        sa.Column("direction", WORDS, nullable=False),
        sa.Column("added_at", WHOLE, nullable=False),
        sa.Column("last_seen", WHOLE, nullable=True),
        sa.Column("latency_ms", WHOLE, nullable=True),
        sa.Column("score", WHOLE, nullable=False),
        sa.Column("banned_until", WHOLE, nullable=True),
        sa.CheckConstraint("length(url) <= 300 AND length(agent) <= 100", name=op.f("ck_peers_bounded")),
        sa.CheckConstraint("length(work) = 32", name=op.f("ck_peers_work_size")),
        sa.PrimaryKeyConstraint("url", name="pk_peers"),
    )
    op.create_table(
        "transactions",
        sa.Column("txid", sa.LargeBinary(), nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.CheckConstraint("length(txid) = 32", name=op.f("ck_transactions_txid_size")),
        sa.PrimaryKeyConstraint("txid", name="pk_transactions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bodies",
        sa.Column("joined", WHOLE, autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("offsets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["joined"], ["blocks.joined"], name="fk_bodies_joined"),
        sa.PrimaryKeyConstraint("joined", name="pk_bodies"),
    )
