"""The one schema. A change here wants a migration: a test holds the two together.

Hashes, payloads and bodies are raw bytes. Money is whole base units. Rows say what is; anything that can be derived
(the tip, a balance's history) has no column of its own, but for `mempool_totals` and a block's `total_…`, whose sums
would be scans.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnClause,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    literal_column,
    text,
)

from ..core.types import MAX_MONEY

SCHEMA_REVISION = "0010"
"""The newest migration. Known without importing Alembic, so that a start with nothing to do is quick."""

SUM_MASK = 2**63 - 1
"""What is kept of a sum over blocks: coins can be paid as fees again and again, and SQLite has 64 bits."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

WHOLE = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of up to 64 bits. SQLite's INTEGER has as many, and no other type of its numbers a rowid."""

WORDS = Text().with_variant(Text(collation="C"), "postgresql")
"""Text, compared and sorted by its bytes: as SQLite does, and whatever the server's locale is, or becomes."""

ONE: ColumnClause[int] = literal_column("1")
"""For a limit or a column. In the statement, not a parameter: PostgreSQL plans by what it sees, and may keep a plan."""

NONE: ColumnClause[int] = literal_column("0")
"""Likewise, and for conditions that are also those of an index."""


def _size(column: str, size: int) -> CheckConstraint:
    return CheckConstraint(f"length({column}) = {size}", name=f"{column}_size")


def _money(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN 0 AND {MAX_MONEY}", name=column)


blocks = Table(
    "blocks",
    metadata,
    # The order in which blocks joined the tree: breaks ties of work.
    Column("joined", WHOLE, primary_key=True, autoincrement=False),
    Column("block_hash", LargeBinary, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("height", WHOLE, nullable=False),
    Column("work", LargeBinary, nullable=False),  # cumulative, 32 bytes big-endian: sorts as the number does
    Column("status", WORDS, nullable=False),  # stored (never connected yet), connected (valid), invalid
    Column("main_chain", Boolean, nullable=False),
    Column("invalid_code", WORDS),
    Column("header", LargeBinary, nullable=False),
    Column("size", WHOLE, nullable=False),
    Column("tx_count", WHOLE, nullable=False),
    Column("miner", LargeBinary, nullable=False),
    Column("reward", BigInteger, nullable=False),
    Column("fees", BigInteger, nullable=False),
    # Sums over this block and its ancestors, modulo SUM_MASK + 1: what a stretch had is a difference of two.
    Column("total_tx_count", BigInteger, nullable=False, server_default=text("0")),
    Column("total_fees", BigInteger, nullable=False, server_default=text("0")),
    Column("total_size", BigInteger, nullable=False, server_default=text("0")),
    # The number that the first 12 digits of the hash make as people see it: those that begin alike stand side by side.
    Column("first_digits", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("block_hash"),
    _size("block_hash", 32),
    _size("prev_hash", 32),
    _size("work", 32),
    _size("header", 80),
    CheckConstraint("height >= 0", name="height"),
    CheckConstraint("status IN ('stored', 'connected', 'invalid')", name="status"),
    CheckConstraint("(status = 'invalid') = (invalid_code IS NOT NULL)", name="invalid_code"),
    CheckConstraint("NOT main_chain OR status = 'connected'", name="main_chain"),
    Index(
        "ix_blocks_main_chain",
        "height",
        unique=True,
        sqlite_where=text("main_chain = 1"),  # as SQLAlchemy writes it in queries: else SQLite scans
    ),
    Index("ix_blocks_height", "height"),  # a block's children: an index by prev_hash grows at random places
    Index("ix_blocks_work", "work"),
    Index("ix_blocks_first_digits", "first_digits"),
)

bodies = Table(
    "bodies",
    metadata,
    Column("joined", WHOLE, ForeignKey("blocks.joined"), primary_key=True),
    Column("first", WHOLE, primary_key=True),  # position of the part's first transaction
    Column("body", LargeBinary, nullable=False),
    Column("offsets", LargeBinary, nullable=False),  # u32 little-endian each: where a transaction begins in body
)
"""Bodies in parts, cut between transactions: SQLite reads all of a value of which a slice is asked.

A block's parts end to end are its body as on the wire, behind the header; the first holds the count too.
"""

transactions = Table(
    "transactions",
    metadata,
    Column("shown_txid", LargeBinary, primary_key=True),
    Column("height", WHOLE, nullable=False),
    Column("position", WHOLE, nullable=False),
    _size("shown_txid", 32),
    sqlite_with_rowid=False,
)
"""Main chain only. `shown_txid`: a txid's bytes in the order in which people see them, the last one first
(`core.codec.show`), so that those that begin with some digits stand side by side."""

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", WHOLE, primary_key=True, autoincrement=False),
    Column("payload", LargeBinary, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    UniqueConstraint("payload"),
    _size("payload", 33),
    _money("balance"),
    _money("sequence"),
    Index("ix_accounts_balance", "balance"),
)
"""Confirmed state at the tip. A row of (0, 0) is no account: it only keeps its number."""

account_history = Table(
    "account_history",
    metadata,
    Column("account_id", WHOLE, primary_key=True),
    Column("height", WHOLE, primary_key=True),
    Column("position", WHOLE, primary_key=True),
    sqlite_with_rowid=False,
)
"""Main chain only: which transactions touched an account."""

assets = Table(
    "assets",
    metadata,
    Column("asset_number", WHOLE, primary_key=True, autoincrement=False),  # in the order of issue
    Column("asset", LargeBinary, nullable=False),  # its id
    Column("issuer", LargeBinary, nullable=False),
    Column("symbol", WORDS, nullable=False),
    Column("name", WORDS, nullable=False),
    Column("decimals", WHOLE, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("max_supply", BigInteger, nullable=False),
    Column("minted", BigInteger, nullable=False),
    Column("burned", BigInteger, nullable=False),
    Column("height", WHOLE, nullable=False),  # of the block with its issue
    UniqueConstraint("asset"),
    _size("asset", 32),
    _size("issuer", 33),
    _size("content", 32),
    _money("max_supply"),
    CheckConstraint("minted BETWEEN 0 AND max_supply AND burned BETWEEN 0 AND minted", name="supply"),
    CheckConstraint("decimals BETWEEN 0 AND 8", name="decimals"),
    Index("ix_assets_issuer", "issuer", "asset_number"),
    Index("ix_assets_symbol", "symbol", "asset_number"),
    Index("ix_assets_issuer_symbol", "issuer", "symbol", "asset_number"),
)
"""Rules 2: the assets of the main chain. One that was undone has no row."""

holdings = Table(
    "holdings",
    metadata,
    Column("account_id", WHOLE, primary_key=True),
    Column("asset_number", WHOLE, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    CheckConstraint(f"amount BETWEEN 1 AND {MAX_MONEY}", name="amount"),
    Index("ix_holdings_asset_number", "asset_number", "amount", "account_id"),
    sqlite_with_rowid=False,
)
"""Confirmed state at the tip: units of assets that accounts hold. A holding of 0 has no row."""

asset_history = Table(
    "asset_history",
    metadata,
    Column("asset_number", WHOLE, primary_key=True),
    Column("height", WHOLE, primary_key=True),
    Column("position", WHOLE, primary_key=True),
    sqlite_with_rowid=False,
)
"""Main chain only: which transactions issued, moved, minted or burned an asset."""

mempool = Table(
    "mempool",
    metadata,
    Column("arrived", WHOLE, primary_key=True),
    Column("txid", LargeBinary, nullable=False),
    Column("sender", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("receiver", LargeBinary, nullable=False),
    Column("cost", BigInteger, nullable=False),  # amount + fee
    Column("fee", BigInteger, nullable=False),
    Column("fee_rate", BigInteger, nullable=False),  # core.template.fee_rate
    Column("size", WHOLE, nullable=False),
    Column("ready", Boolean, nullable=False),  # else waiting behind a gap
    Column("raw", LargeBinary, nullable=False),
    Column("head", Boolean, nullable=False, server_default=false()),  # its sequence is the sender's confirmed one
    # Rules 2. `asset`: of what it moves, mints or burns; NULL for the coin, and for an issue.
    Column("asset", LargeBinary),
    Column("asset_amount", BigInteger, nullable=False, server_default=text("0")),  # leaves the sender's holding
    Column("mints", BigInteger, nullable=False, server_default=text("0")),
    # The greatest height and median_time_past that it asks of its block, 0 for none.
    Column("lock_height", BigInteger, nullable=False, server_default=text("0")),
    Column("lock_time", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("txid"),
    UniqueConstraint("sender", "sequence"),
    _size("txid", 32),
    _size("sender", 33),
    _size("receiver", 33),
    _money("cost"),
    _money("fee"),
    _money("asset_amount"),
    _money("mints"),
    CheckConstraint("asset IS NULL OR length(asset) = 32", name="asset_size"),
    CheckConstraint("lock_height >= 0 AND lock_time >= 0", name="locks"),
    CheckConstraint("size = length(raw)", name="size"),
    Index("ix_mempool_eviction", "ready", "fee_rate", "arrived"),
    Index("ix_mempool_receiver_cost", "receiver", "cost", "fee"),
    Index("ix_mempool_sender_cost", "sender", "ready", "sequence", "cost"),
    sqlite_autoincrement=True,  # a number is never given twice: who remembers the last one it saw misses nothing
)

Index(
    "ix_mempool_head",
    mempool.c.fee_rate.desc(),
    mempool.c.arrived,
    sqlite_where=text("head = 1"),
)

Index(
    "ix_mempool_asset",
    *(mempool.c.sender, mempool.c.asset, mempool.c.asset_amount, mempool.c.mints),
    sqlite_where=text("asset IS NOT NULL"),
)
Index(
    "ix_mempool_locks",
    *(mempool.c.lock_height, mempool.c.lock_time),
    sqlite_where=text("lock_height > 0 OR lock_time > 0"),
)

mempool_totals = Table(
    "mempool_totals",
    metadata,
    Column("row", WHOLE, primary_key=True, autoincrement=False),
    Column("count", WHOLE, nullable=False),
    Column("bytes", WHOLE, nullable=False),
    CheckConstraint("row = 1", name="one_row"),
    CheckConstraint("count >= 0 AND bytes >= 0", name="not_negative"),
)

peers = Table(
    "peers",
    metadata,
    Column("url", WORDS, primary_key=True),
    Column("node_id", WORDS),
    Column("state", WORDS, nullable=False),
    Column("height", WHOLE, nullable=False),
    Column("work", LargeBinary, nullable=False),
    Column("agent", WORDS, nullable=False),
    Column("direction", WORDS, nullable=False),
    Column("added_at", WHOLE, nullable=False),
    Column("last_seen", WHOLE),
    Column("latency_ms", WHOLE),
    Column("score", WHOLE, nullable=False),
    Column("banned_until", WHOLE),
    _size("work", 32),
    CheckConstraint("length(url) <= 300 AND length(agent) <= 100", name="bounded"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", WHOLE, primary_key=True),
    Column("job_id", WORDS, nullable=False),
    Column("receiver", LargeBinary),
    Column("wanted", WHOLE, nullable=False),
    Column("mined", WHOLE, nullable=False),
    Column("state", WORDS, nullable=False),
    Column("message", WORDS, nullable=False),
    Column("last_hash", LargeBinary),
    Column("created_at", WHOLE, nullable=False),
    Column("updated_at", WHOLE, nullable=False),
    UniqueConstraint("job_id"),
    CheckConstraint("state IN ('open', 'done', 'failed')", name="state"),
    CheckConstraint("wanted >= 1 AND mined BETWEEN 0 AND wanted", name="mined"),
    Index("ix_jobs_state", "state", "number"),
)

meta = Table(
    "meta",
    metadata,
    Column("key", WORDS, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""chain_id, node_id."""

processes = Table(
    "processes",
    metadata,
    Column("number", WHOLE, primary_key=True, autoincrement=False),  # drawn by the process itself
    Column("kind", WORDS, nullable=False),
    Column("status", LargeBinary, nullable=False),
    Column("committed", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    CheckConstraint("number BETWEEN 1 AND 2147483647", name="number"),
    CheckConstraint("length(kind) BETWEEN 1 AND 20 AND length(status) <= 65536", name="bounded"),
    CheckConstraint("committed >= 0", name="committed"),
    CheckConstraint("started_at >= 0 AND seen_at >= 0", name="times"),
)
"""PostgreSQL: a row for each process that has the database open, and perhaps of some that ended (`backends`).

`number`: also that of the session lock by which it is known to be alive; `status`: JSON; `committed`: what the counter
of commits was at its last one, by which a COMMIT is looked up whose answer was lost; times Unix seconds.
"""

_PARTIAL = {
    "ix_blocks_main_chain": "main_chain",
    "ix_mempool_head": "head",
    "ix_mempool_asset": "asset IS NOT NULL",
    "ix_mempool_locks": "lock_height > 0 OR lock_time > 0",
}
"""Indexes of some rows, by PostgreSQL's words for these."""


@event.listens_for(metadata, "before_create")
def _say_what_is_partial(_: MetaData, connection: Connection, **__: object) -> None:
    """Said here, not above: an index with words for a dialect loads that, and a node on SQLite needs none of it."""
    if connection.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes if index.name in _PARTIAL):
            index.dialect_options["postgresql"]["where"] = text(_PARTIAL[str(index.name)])
