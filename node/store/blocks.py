"""Blocks: the tree of all that joined, and the main chain in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Integer, Select, bindparam, func, literal_column, select

from ..core import codec
from ..core.codec import show
from ..core.errors import Malformed
from ..core.pow import median_time_past
from ..core.rules import MEDIAN_SPAN
from ..core.types import HEADER_SIZE, Block, Coinbase, Header
from .backends.statements import Among, Query
from .errors import StoreDamaged
from .tables import ONE, blocks, bodies

STORED, CONNECTED, INVALID = "stored", "connected", "invalid"


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block without its body. `work`: cumulative, genesis left out; `miner`: payload; money in base units."""

    joined: int
    block_hash: bytes
    height: int
    work: int
    status: str
    main_chain: bool
    invalid_code: str | None
    header: Header
    size: int
    tx_count: int
    miner: bytes
    reward: int
    fees: int


_COLUMNS = (
    blocks.c.joined,
    blocks.c.block_hash,
    blocks.c.height,
    blocks.c.work,
    blocks.c.status,
    blocks.c.main_chain,
    blocks.c.invalid_code,
    blocks.c.header,
    blocks.c.size,
    blocks.c.tx_count,
    blocks.c.miner,
    blocks.c.reward,
    blocks.c.fees,
)
_ROW = select(*_COLUMNS)
_MAIN = _ROW.where(blocks.c.main_chain)
_BY_HASH = Query(_ROW.where(blocks.c.block_hash == bindparam("block_hash")))
_BY_HEIGHT = Query(_MAIN.where(blocks.c.height == bindparam("height")))
_TIP_ID = Query(
    select(blocks.c.height, blocks.c.block_hash).where(blocks.c.main_chain).order_by(blocks.c.height.desc()).limit(ONE)
)
_TIP = Query(_MAIN.order_by(blocks.c.height.desc()).limit(ONE))
_valid = blocks.c.status != literal_column(f"'{INVALID}'")  # in the statement: see `tables.ONE`
# By way of the most work there is: ordered by (work, joined), SQLite would sort the whole tree. And by its order, for
# PostgreSQL knows no max of bytes before 18.
_MOST_WORK = select(blocks.c.work).where(_valid).order_by(blocks.c.work.desc()).limit(ONE).scalar_subquery()
_BEST = Query(_ROW.where(_valid, blocks.c.work == _MOST_WORK).order_by(blocks.c.joined).limit(ONE))
_PARENT = Query(select(blocks.c.prev_hash).where(blocks.c.block_hash == bindparam("block_hash")))
_DIGITS = Query(
    select(blocks.c.joined, blocks.c.height, blocks.c.block_hash, blocks.c.first_digits)
    .where(blocks.c.joined > bindparam("last"))
    .order_by(blocks.c.joined)
    .limit(10_000)
)
_BODY = Query(
    select(blocks.c.header, bodies.c.body)
    .join_from(blocks, bodies)
    .where(blocks.c.block_hash == bindparam("block_hash"))
    .order_by(bodies.c.first)
)
_NEWEST = Query(
    _MAIN.where(blocks.c.height < bindparam("before"))
    .order_by(blocks.c.height.desc())
    .limit(bindparam("at_most", type_=Integer))
)
_up = _MAIN.where(blocks.c.height >= bindparam("start")).order_by(blocks.c.height)
_OLDEST = Query(_up.limit(bindparam("at_most", type_=Integer)))
_BODIES = Query(
    select(blocks.c.height, blocks.c.header, bodies.c.body)
    .join_from(blocks, bodies)
    .where(blocks.c.main_chain, blocks.c.height >= bindparam("start"), blocks.c.height < bindparam("end"))
    .order_by(blocks.c.height, bodies.c.first)
)
_PORTION = 500
_PORTION_BYTES = 2_000_000
"""Blocks, and bytes of theirs, that one statement reads: a server sends all that was asked for, wanted or not."""
_NO_HEIGHT = 2**32
"""Above every block: heights have 32 bits on the wire."""
_BY_HASHES = Among(_ROW, blocks.c.block_hash)
_KNOWN = Among(select(blocks.c.block_hash), blocks.c.block_hash)

_STEP = (blocks.c.block_hash, blocks.c.prev_hash, blocks.c.height, blocks.c.main_chain)
_branch = select(*_STEP).where(blocks.c.block_hash.in_(bindparam("hashes", expanding=True))).cte(recursive=True)
# By UNION, not UNION ALL: a block that was met already is not walked from again.
_branch = _branch.union(select(*_STEP).where(blocks.c.block_hash == _branch.c.prev_hash, ~_branch.c.main_chain))
_DOWN_TO_FORKS = select(_branch).order_by(_branch.c.height)


def _row(row: Sequence[Any]) -> BlockRow:
    """From the values of `_COLUMNS`, SQLAlchemy's or the driver's own."""
    joined, block_hash, height, work, status, main_chain, invalid_code, header, *rest = row
    decoded = codec.decode_header(header)
    cumulative = int.from_bytes(work, "big")
    return BlockRow(joined, block_hash, height, cumulative, status, bool(main_chain), invalid_code, decoded, *rest)


DIGIT_BYTES: Final = 6
"""Bytes of a hash in the column `first_digits`."""


def first_digits(block_hash: bytes) -> int:
    """The number that the first 12 digits of a hash make, as it is shown (`core.codec.show`)."""
    return int.from_bytes(block_hash[: -DIGIT_BYTES - 1 : -1])


def odd_digits(conn: Connection) -> int | None:
    """Height of a block whose `first_digits` are not its hash's; for checks."""
    last = -1
    while rows := list(_DIGITS.rows(conn, last=last)):
        for _, height, block_hash, digits in rows:
            if digits != first_digits(block_hash):
                return int(height)
        last = rows[-1][0]
    return None


def _one(conn: Connection, query: Query, **values: object) -> BlockRow | None:
    found = query.one(conn, **values)
    return _row(found) if found else None


def _many(conn: Connection, statement: Select[*tuple[Any, ...]], **parameters: object) -> list[BlockRow]:
    return [_row(found) for found in conn.execute(statement, parameters)]


class TipId(NamedTuple):
    """Which block the main chain ends with."""

    height: int
    block_hash: bytes


def tip_id(conn: Connection) -> TipId:
    """What of `tip` an answer needs. Raises StoreDamaged."""
    row = _TIP_ID.one(conn)
    if row is None:
        raise StoreDamaged("the main chain has no block, not even genesis")
    return TipId(*row)


def median_time_past_of(conn: Connection, block_hash: bytes) -> int:
    """Of a child of this block of the tree: the median of the last up to 11 timestamps, Unix seconds."""
    timestamps: list[int] = []
    while len(timestamps) < MEDIAN_SPAN:
        row = by_hash(conn, block_hash)
        if row is None:  # below genesis
            break
        timestamps.append(row.header.timestamp)
        block_hash = row.header.prev_hash
    return median_time_past(timestamps)


def tip(conn: Connection) -> BlockRow:
    """The main chain's last block."""
    row = _one(conn, _TIP)
    if row is None:
        raise StoreDamaged("the main chain has no block, not even genesis")
    return row


def best(conn: Connection) -> BlockRow:
    """The block with the most work that is not known to be invalid; of equals the first that joined."""
    row = _one(conn, _BEST)
    if row is None:
        raise StoreDamaged("there is no valid block, not even genesis")
    return row


def count(conn: Connection) -> int:
    """Blocks of the tree, invalid ones too."""
    found: int = conn.execute(select(func.count()).select_from(blocks)).scalar_one()
    return found


def by_hash(conn: Connection, block_hash: bytes) -> BlockRow | None:
    return _one(conn, _BY_HASH, block_hash=block_hash)


def by_height(conn: Connection, height: int) -> BlockRow | None:
    """The main chain's block at `height`."""
    return _one(conn, _BY_HEIGHT, height=height)


def parent_of(conn: Connection, block_hash: bytes) -> bytes:
    """prev_hash of a block that is in the tree."""
    row = _PARENT.one(conn, block_hash=block_hash)
    assert row is not None  # noqa: S101 - the caller has seen it
    prev_hash: bytes = row[0]
    return prev_hash


def newest_first(conn: Connection, before: int | None, limit: int) -> list[BlockRow]:
    """Main chain below height `before` (None: from the tip), at most `limit`."""
    found = _NEWEST.rows(conn, before=_NO_HEIGHT if before is None else before, at_most=limit)
    return [_row(row) for row in found]


def oldest_first(conn: Connection, from_height: int, limit: int) -> list[BlockRow]:
    """Main chain from `from_height` up, at most `limit`."""
    return [_row(row) for row in _OLDEST.rows(conn, start=from_height, at_most=limit)]


def oldest_whole(conn: Connection, from_height: int, limit: int) -> Iterator[tuple[BlockRow, bytes]]:
    """`oldest_first` with each block as on the wire, one after the other. Raises StoreDamaged where one has no body."""
    end = from_height + limit
    while from_height < end:
        asked = min(end - from_height, _PORTION)
        rows = oldest_first(conn, from_height, asked)
        for some in _portions(rows):
            yield from _with_bodies(conn, some)
        if len(rows) < asked:
            return
        from_height = rows[-1].height + 1


def _portions(rows: Sequence[BlockRow]) -> Iterator[Sequence[BlockRow]]:
    """Neighbours of at most _PORTION_BYTES, or one block."""
    begin = size = 0
    for i, row in enumerate(rows):
        size += row.size
        if size > _PORTION_BYTES and i > begin:
            yield rows[begin:i]
            begin, size = i, row.size
    if rows:
        yield rows[begin:]


def _with_bodies(conn: Connection, rows: Sequence[BlockRow]) -> Iterator[tuple[BlockRow, bytes]]:
    found = _BODIES.rows(conn, start=rows[0].height, end=rows[-1].height + 1)
    wholes = groupby(found, lambda row: row[0])
    for row in rows:
        height, parts = next(wholes, (None, iter(())))
        if height != row.height:
            raise StoreDamaged(f"the database has no body for the block at height {row.height}")
        _, header, *first = next(parts)
        yield row, b"".join((header, *first, *(part[-1] for part in parts)))


def raw(conn: Connection, block_hash: bytes) -> bytes | None:
    """A whole block as on the wire; None where the body is not kept."""
    parts = list(_BODY.rows(conn, block_hash=block_hash))
    return b"".join((parts[0][0], *(body for _, body in parts))) if parts else None


def load(conn: Connection, block_hash: bytes) -> Block:
    """A block of the tree, decoded. Raises StoreDamaged (a LookupError) where its body is not kept or not whole."""
    return decode(_whole(conn, block_hash), block_hash)


def load_with_txids(conn: Connection, block_hash: bytes) -> tuple[Block, list[bytes]]:
    """`load`, and the txids of the block's transactions in order."""
    found = _whole(conn, block_hash)
    with _refusing_damage(block_hash):
        transactions, txids = codec.decode_body_and_txids(found[HEADER_SIZE:])
        return Block(codec.decode_header(found[:HEADER_SIZE]), transactions), txids


def outline(conn: Connection, block_hash: bytes) -> tuple[Coinbase, bytes, list[codec.Outline]]:
    """What moved money in a block that was connected once: see `codec.outline_body`. Raises StoreDamaged."""
    found = _whole(conn, block_hash)
    with _refusing_damage(block_hash):
        return codec.outline_body(found[HEADER_SIZE:])


def _whole(conn: Connection, block_hash: bytes) -> bytes:
    found = raw(conn, block_hash)
    if found is None:
        raise StoreDamaged(f"the database has no body for block {show(block_hash)}")
    return found


def decode(found: bytes, block_hash: bytes) -> Block:
    """A stored block. Raises StoreDamaged where it is not whole."""
    with _refusing_damage(block_hash):
        return codec.decode_block(found)


@contextmanager
def _refusing_damage(block_hash: bytes) -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        # Never as Malformed itself: that would blame the block that is being accepted.
        raise StoreDamaged(f"the body of block {show(block_hash)} is damaged: {error}") from error


def known(conn: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Those of `hashes` that are in the tree, invalid ones too."""
    return {block_hash for (block_hash,) in _KNOWN.rows(conn, hashes)}


def never_connected(conn: Connection) -> list[tuple[bytes, bytes, int, int]]:
    """Hash, prev_hash, cumulative work and size of each block that is stored and was never connected, oldest first.

    Looks at every row of the table: once in a process.
    """
    columns = (blocks.c.block_hash, blocks.c.prev_hash, blocks.c.work, blocks.c.size)
    rows = conn.execute(select(*columns).where(blocks.c.status == STORED).order_by(blocks.c.joined))
    return [(block_hash, prev_hash, int.from_bytes(work, "big"), size) for block_hash, prev_hash, work, size in rows]


def by_hashes(conn: Connection, hashes: Sequence[bytes]) -> list[BlockRow]:
    """Those of `hashes` that are in the tree, in no order."""
    return [_row(row) for row in _BY_HASHES.rows(conn, hashes)]


def side_blocks(conn: Connection) -> list[BlockRow]:
    """Every block off the main chain; for checks."""
    return _many(conn, _ROW.where(~blocks.c.main_chain).order_by(blocks.c.joined))


def odd_parent(conn: Connection) -> int | None:
    """Height of a block whose prev_hash is not its header's; for checks."""
    in_header = func.substr(blocks.c.header, 5, 32)
    found: int | None = conn.execute(select(blocks.c.height).where(blocks.c.prev_hash != in_header).limit(1)).scalar()
    return found


def fork_point(conn: Connection, row: BlockRow) -> BlockRow:
    """The last block that `row`'s branch shares with the main chain."""
    while not row.main_chain:
        parent = by_hash(conn, row.header.prev_hash)
        assert parent is not None  # noqa: S101 - a block joins the tree after its parent
        row = parent
    return row


def fork_height(conn: Connection, row: BlockRow) -> int:
    return fork_point(conn, row).height


def fork_heights(conn: Connection, rows: Sequence[BlockRow]) -> list[int]:
    """`fork_height` of each, in one walk: what several branches share is looked at once."""
    forks: dict[bytes, int] = {}
    hashes = [row.block_hash for row in rows if not row.main_chain]
    for found in conn.execute(_DOWN_TO_FORKS, {"hashes": hashes}):  # parents come first
        forks[found.block_hash] = found.height if found.main_chain else forks[found.prev_hash]
    return [row.height if row.main_chain else forks[row.block_hash] for row in rows]


def locator(conn: Connection) -> list[bytes]:
    """Main-chain hashes from the tip back: ten in a row, then at doubling distance, genesis last."""
    height = tip(conn).height
    heights, step = [], 1
    while height > 0:
        heights.append(height)
        if len(heights) >= 10:
            step *= 2
        height -= step
    heights.append(0)
    found = conn.execute(
        select(blocks.c.block_hash)
        .where(blocks.c.main_chain, blocks.c.height.in_(heights))
        .order_by(blocks.c.height.desc())
    )
    return list(found.scalars())


def headers_after(conn: Connection, hashes: Sequence[bytes], limit: int) -> list[bytes]:
    """80-byte headers that follow the first of `hashes` that is on the main chain, else genesis."""
    start = 0
    for block_hash in hashes:
        row = by_hash(conn, block_hash)
        if row is not None and row.main_chain:
            start = row.height
            break
    found = conn.execute(
        select(blocks.c.header)
        .where(blocks.c.main_chain, blocks.c.height > start)
        .order_by(blocks.c.height)
        .limit(limit)
    )
    return list(found.scalars())
