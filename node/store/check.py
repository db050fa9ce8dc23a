"""What is looked at before a node serves from a file. Whole proof is `Chain.verify_chain`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, and_, func, select, text
from sqlalchemy.exc import DBAPIError

from node.core import codec
from node.core.coin import Coin
from node.core.hashing import merkle_root, sha256d
from node.store import accounts as account_rows
from node.store import blocks as block_rows
from node.store.errors import StoreRefused
from node.store.tables import blocks, bodies, transactions

_WHOLE_FILE_BYTES = 200_000_000
"""Files up to this size have every page checked at each start (about a second)."""

_NEWEST = 10
"""Blocks whose bodies are read and hashed: a torn write would be here."""


class _Damaged(Exception):
    pass


def check_at_start(conn: Connection, coin: Coin, database: Path) -> None:
    """Raises StoreRefused for a damaged file, which is left as it is."""
    try:
        if database.stat().st_size <= _WHOLE_FILE_BYTES:
            _check_pages(conn)
        _check_chain(conn)
        _check_money(conn, coin)
        _check_newest(conn)
    except (_Damaged, DBAPIError, LookupError) as error:
        raise StoreRefused(
            f"{database} is damaged ({getattr(error, 'orig', error)}). It was left as it is: move it away and start "
            "again (the chain comes back from peers), or put a backup in its place; `moneyer verify` tells more"
        ) from None


def _check_pages(conn: Connection) -> None:
    found = conn.execute(text("PRAGMA quick_check(1)")).scalar()
    if found != "ok":
        raise _Damaged(str(found))


def _check_chain(conn: Connection) -> None:
    """Every height has its block, its body and its transactions, and each block's parent is the one below."""
    parent = blocks.alias("parent")
    height = block_rows.tip(conn).height
    linked = conn.execute(
        select(func.count(), func.sum(blocks.c.tx_count))
        .select_from(
            blocks.join(
                parent,
                and_(
                    parent.c.block_hash == blocks.c.prev_hash,
                    parent.c.main_chain,
                    parent.c.height == blocks.c.height - 1,
                ),
            ).join(bodies, bodies.c.joined == blocks.c.joined)
        )
        .where(blocks.c.main_chain)
    ).one()
    if linked[0] != height:
        raise _Damaged(f"{height} blocks should link to genesis, {linked[0]} do")
    genesis = block_rows.by_height(conn, 0)
    rows = conn.execute(select(func.count()).select_from(transactions)).scalar_one()
    wanted = (linked[1] or 0) + (genesis.tx_count if genesis else 0)
    if rows != wanted:
        raise _Damaged(f"the blocks have {wanted} transactions, the index has {rows}")


def _check_money(conn: Connection, coin: Coin) -> None:
    total, issued = account_rows.total(conn), coin.issued(block_rows.tip(conn).height)
    if total != issued:
        raise _Damaged(f"balances sum to {total} base units, {issued} were issued")


def _check_newest(conn: Connection) -> None:
    for row in block_rows.newest_first(conn, None, _NEWEST):
        block = block_rows.load(conn, row.block_hash)
        if sha256d(codec.encode_header(block.header)) != row.block_hash:
            raise _Damaged(f"the header at height {row.height} is not the one of its hash")
        if merkle_root([codec.txid(transaction) for transaction in block.transactions]) != block.header.merkle_root:
            raise _Damaged(f"the body at height {row.height} is not the one of its header")
