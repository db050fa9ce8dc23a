"""Checks a database that a node serves from: whose it is, and whether its rows contradict each other.

A few seconds at most; the proof of every block is `node.chain.verify.verify_chain`. Of a large file a node looks at the
newest blocks before it answers, and at the whole file behind that (`behind`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import groupby, islice
from pathlib import Path
from struct import unpack
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Select,
    Table,
    TextClause,
    and_,
    func,
    inspect,
    literal_column,
    or_,
    select,
    text,
    type_coerce,
)

from ...core import codec
from ...core.codec import merkle_root, sha256d
from ...core.coin import Coin
from .. import accounts as account_rows
from .. import blocks as block_rows
from .. import meta
from ..backends.sqlite.engines import open_to_look, refusing
from ..backends.statements import SERVER
from ..errors import Fault, StoreDamaged, damaged, note
from ..meta import NODE_ID_SIZE
from ..tables import accounts, asset_history, assets, blocks, bodies, holdings, mempool, metadata, transactions
from ..unconfirmed import entries as mempool_rows
from . import genesis

_WHOLE_FILE_BYTES = 200_000_000
"""Files up to this size have every page checked at each start (about a second)."""

_BODY_BYTES = 32_000_000
"""The newest bodies, up to so many bytes, are hashed: SQLite itself cannot tell that a blob has changed."""

_NEWEST_BYTES = 500_000
_NEWEST_BLOCKS = 100
"""What `Look.NEWEST` hashes: bodies up to so many bytes, and so many blocks at most."""

_CONTRADICTS = "its pages, indexes or rows contradict each other"


class Look(Enum):
    """How much of a file is looked at."""

    OWNER = "whose it is"
    NEWEST = "its tables, the tip and the blocks below it, the mempool: as long for any chain"
    WHOLE = "everything that a start looks at"


def look(database: Path, coin: Coin, what: Look) -> bool:
    """Checks a file, which stays as it is; whether the database is new. Raises StoreRefused (damaged, another coin)."""
    engine = open_to_look(database)
    try:
        with refusing(database), engine.connect() as conn, conn.begin():
            return look_at(conn, coin, what, database)
    finally:
        engine.dispose()


def look_at(conn: Connection, coin: Coin, what: Look, database: Path | str) -> bool:
    """`look`, by a connection. `database`: the file, or a server's database as it is shown."""
    try:
        is_new = genesis.check_coin(conn, coin, database)
        if what is not Look.OWNER and not is_new:
            _check_tables(conn)
        if what is Look.NEWEST and not is_new:
            _check_tip(conn)
            _check_rest(conn)
            _check_bodies(conn, _NEWEST_BYTES, _NEWEST_BLOCKS)
        if what is Look.WHOLE and not is_new:
            if isinstance(database, Path):
                _check_pages(conn, database)
            check_rows(conn, coin)
    except StoreDamaged as error:
        raise damaged(database, error.message) from None
    return is_new


def check_rows(conn: Connection, coin: Coin) -> None:
    """Checks counts, links, sums and the newest bodies. Raises StoreDamaged."""
    check_sums(conn, coin)
    _check_bodies(conn, _BODY_BYTES)


def damage(conn: Connection) -> str | None:
    """What is wrong with a database of any size (pages, indexes, constraints, references); None where nothing is.

    A server answers for its own pages, and takes no row that its constraints forbid: there this finds nothing.
    """
    if conn.dialect.name == SERVER:
        return None
    return _contradiction(conn, "integrity_check(20)")


def _contradiction(conn: Connection, pragma: str) -> str | None:
    """The first contradiction that SQLite's own check finds, or that it does not look for; None where there is none."""
    wrong = [str(row[0]) for row in conn.exec_driver_sql(f"PRAGMA {pragma}") if row[0] != "ok"]
    if wrong:
        note(Fault.DAMAGE, "; ".join(wrong))
        return f"{_CONTRADICTS}: {len(wrong)} {'finding' if len(wrong) == 1 else 'findings'}"
    orphan = conn.exec_driver_sql("PRAGMA foreign_key_check").first()
    return _odd_value(conn) if orphan is None else f"a row of {orphan[0]} refers to none of {orphan[2]}"


def check_sums(conn: Connection, coin: Coin) -> None:
    """Checks that tables agree: counts, links and sums. Raises StoreDamaged."""
    _check_chain(conn)
    _check_money(conn, coin)
    _check_assets(conn)
    _check_rest(conn)


def _odd_value(conn: Connection) -> str | None:
    """The first table with a value that is not of its column's kind, or that its constraints forbid; None for none.

    Asked for here: SQLite's own check knows no kinds, and no CHECK either on a connection that only reads.
    """
    for table in metadata.sorted_tables:
        if conn.execute(select(literal_column("1")).select_from(table).where(_is_odd(table)).limit(1)).first():
            return f"a row of {table.name} has a value that cannot stand there"
    return None


def _is_odd(table: Table) -> ColumnElement[bool]:
    checks = [each.sqltext for each in table.constraints if isinstance(each, CheckConstraint)]
    forbidden = [text(f"NOT ({each.text})") for each in checks if isinstance(each, TextClause)]
    return or_(*map(_is_of_another_kind, table.columns), *forbidden)


def _is_of_another_kind(column: Column[Any]) -> ColumnElement[bool]:
    kind = {Integer: "integer", Boolean: "integer", LargeBinary: "blob"}
    wanted = next((name for each, name in kind.items() if isinstance(column.type, each)), "text")
    is_odd = func.typeof(column) != wanted
    if column.nullable:
        return and_(column.is_not(None), is_odd)
    return or_(is_odd, type_coerce(column, Integer).not_in((0, 1))) if isinstance(column.type, Boolean) else is_odd


def _check_tables(conn: Connection) -> None:
    missing = metadata.tables.keys() - set(inspect(conn).get_table_names())
    if missing:
        raise StoreDamaged(f"it has no table {min(missing)}")


def _check_pages(conn: Connection, database: Path) -> None:
    if database.stat().st_size > _WHOLE_FILE_BYTES:
        return
    wrong = _contradiction(conn, "quick_check(1)")
    if wrong:
        raise StoreDamaged(wrong)


def _check_chain(conn: Connection) -> None:
    """Every height has its block, its body and its transactions, and each block's parent is the one below."""
    parent = blocks.alias("parent")
    tip = _check_tip(conn)
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
            ).join(bodies, (bodies.c.joined == blocks.c.joined) & (bodies.c.first == 0))
        )
        .where(blocks.c.main_chain)
    ).one()
    if linked[0] != tip.height:
        raise StoreDamaged(f"{tip.height} blocks should link to genesis, {linked[0]} do")
    first = block_rows.by_height(conn, 0)
    wanted = (linked[1] or 0) + (first.tx_count if first else 0)
    _expect(conn, "transactions", select(func.count()).select_from(transactions), wanted)
    kept = select(func.count()).select_from(blocks).where(blocks.c.status != block_rows.INVALID)
    whole = select(func.count()).select_from(bodies).where(bodies.c.first == 0)
    _expect(conn, "bodies", whole, conn.execute(kept).scalar_one())
    transfers = (linked[1] or 0) - tip.height  # each block above genesis has one coinbase
    _expect(conn, "confirmed transfers", select(func.coalesce(func.sum(accounts.c.sequence), 0)), transfers)


def _check_tip(conn: Connection) -> block_rows.BlockRow:
    """The main chain's last block, which must be the best one of all."""
    tip, best = block_rows.tip(conn), block_rows.best(conn)
    if tip.block_hash != best.block_hash:
        raise StoreDamaged(f"the best block is at height {best.height}, the main chain ends at {tip.height}")
    return tip


def _expect(conn: Connection, what: str, statement: Select[int], wanted: int) -> None:
    found = conn.execute(statement).scalar_one()
    if found != wanted:
        raise StoreDamaged(f"the blocks have {wanted} {what}, the tables {found}")


def _check_money(conn: Connection, coin: Coin) -> None:
    total, issued = account_rows.total(conn), coin.issued(block_rows.tip(conn).height)
    if total != issued:
        raise StoreDamaged(f"balances sum to {total} base units, {issued} were issued")


def _check_assets(conn: Connection) -> None:
    """Holdings are of an account and of an asset, and those of each asset sum to minted - burned, within max_supply."""
    of_none: Select[int] = (
        select(literal_column("1"))
        .select_from(holdings.outerjoin(accounts, accounts.c.account_id == holdings.c.account_id))
        .outerjoin(assets, assets.c.asset_number == holdings.c.asset_number)
        .where(or_(accounts.c.account_id.is_(None), assets.c.asset_number.is_(None)))
    )
    if conn.execute(of_none.limit(1)).first():
        raise StoreDamaged("a holding is of an account, or of an asset, that there is not")
    known: Select[int] = select(literal_column("1")).where(assets.c.asset_number == asset_history.c.asset_number)
    if conn.execute(select(literal_column("1")).select_from(asset_history).where(~known.exists()).limit(1)).first():
        raise StoreDamaged("a history is of an asset that there is not")
    held = (
        select(func.coalesce(func.sum(holdings.c.amount), 0))
        .where(holdings.c.asset_number == assets.c.asset_number)
        .scalar_subquery()
    )
    is_odd = or_(held != assets.c.minted - assets.c.burned, assets.c.minted > assets.c.max_supply)
    odd = conn.execute(select(assets.c.asset, held, assets.c.minted, assets.c.burned).where(is_odd).limit(1)).first()
    if odd is not None:
        asset, found, minted, burned = odd
        raise StoreDamaged(f"holdings of asset {asset.hex()} sum to {found}; minted were {minted}, burned {burned}")


def _check_rest(conn: Connection) -> None:
    own_id = meta.get(conn, "node_id")
    if own_id is None or len(own_id) != NODE_ID_SIZE:
        raise StoreDamaged("the node's own id is gone or damaged")
    sums = conn.execute(select(func.count(), func.coalesce(func.sum(mempool.c.size), 0)).select_from(mempool)).one()
    count, size = mempool_rows.totals(conn)
    if (count, size) != (sums[0], sums[1]):
        raise StoreDamaged(f"the mempool has {sums[0]} transfers of {sums[1]} bytes, its totals say {count} of {size}")


def _check_bodies(conn: Connection, most_bytes: int, most_blocks: int | None = None) -> None:
    """Headers by their hash, bodies by their Merkle root, from the tip down, until so much has been hashed."""
    newest = (
        select(blocks.c.height, blocks.c.block_hash, blocks.c.header, bodies.c.first, bodies.c.body, bodies.c.offsets)
        .join_from(blocks, bodies)
        .where(blocks.c.main_chain)
        .order_by(blocks.c.height.desc(), bodies.c.first)
        .execution_options(yield_per=16)
    )
    seen = 0
    with conn.execute(newest) as rows:
        for height, parts in islice(groupby(rows, lambda row: row.height), most_blocks):
            block = [tuple(part) for part in parts]
            _, block_hash, header, *_ = block[0]
            if sha256d(header) != block_hash:
                raise StoreDamaged(f"the header at height {height} is not the one of its hash")
            if root_of([part[3:] for part in block]) != codec.decode_header(header).merkle_root:
                raise StoreDamaged(f"the body at height {height} is not the one of its header")
            seen += sum(len(part[4]) for part in block)
            if seen > most_bytes:
                return


def root_of(parts: Sequence[tuple[int, bytes, bytes]]) -> bytes | None:
    """Merkle root of a stored body's slices; None where its parts are not one whole body.

    Each part: position of its first transaction, bytes, offsets.
    """
    txids: list[bytes] = []
    begins = []
    for first, body, offsets in parts:
        starts = unpack(f"<{len(offsets) // 4}I", offsets[: len(offsets) // 4 * 4])
        if first != len(txids) or not starts or len(offsets) % 4:
            return None
        begins.append(body[: starts[0]])
        txids += [sha256d(body[a:b]) for a, b in zip(starts, (*starts[1:], len(body)), strict=True)]
    if not parts or b"".join(begins) != codec.encode_count(len(txids)) or not begins[0]:
        return None
    return merkle_root(txids)
