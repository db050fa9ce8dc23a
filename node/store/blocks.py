"""Blocks: the tree of all that joined, and the main chain in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, literal, select, update

from node.core import codec
from node.core.errors import InvalidParent
from node.core.fork import Tip
from node.core.ledger import coinbase_of, transfers_of
from node.core.types import HEADER_SIZE, Block, Header, Transaction
from node.store.tables import blocks, bodies

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

    @property
    def tip(self) -> Tip:
        """As fork choice looks at it."""
        return Tip(self.block_hash, self.height, self.work, self.joined)


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A block that is to join the tree. `body`: bytes on the wire; `work`: cumulative."""

    block: Block
    block_hash: bytes
    body: bytes
    height: int
    work: int


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
_BY_HASH = _ROW.where(blocks.c.block_hash == bindparam("block_hash"))
_BY_HEIGHT = _MAIN.where(blocks.c.height == bindparam("height"))
_TIP = _MAIN.order_by(blocks.c.height.desc()).limit(1)
_BEST = _ROW.where(blocks.c.status != INVALID).order_by(blocks.c.work.desc(), blocks.c.joined).limit(1)
_PARENT = select(blocks.c.prev_hash).where(blocks.c.block_hash == bindparam("block_hash"))
_BODY = (
    select(blocks.c.header, bodies.c.body)
    .join_from(blocks, bodies)
    .where(blocks.c.block_hash == bindparam("block_hash"))
)
_INSERT = insert(blocks)
_INSERT_BODY = insert(bodies)


def _row(row: Row[*tuple[Any, ...]]) -> BlockRow:
    return BlockRow(
        joined=row.joined,
        block_hash=row.block_hash,
        height=row.height,
        work=int.from_bytes(row.work, "big"),
        status=row.status,
        main_chain=bool(row.main_chain),
        invalid_code=row.invalid_code,
        header=codec.decode_header(row.header),
        size=row.size,
        tx_count=row.tx_count,
        miner=row.miner,
        reward=row.reward,
        fees=row.fees,
    )


def _one(conn: Connection, statement: Select[*tuple[Any, ...]], **parameters: object) -> BlockRow | None:
    found = conn.execute(statement, parameters).first()
    return _row(found) if found else None


def _many(conn: Connection, statement: Select[*tuple[Any, ...]], **parameters: object) -> list[BlockRow]:
    return [_row(found) for found in conn.execute(statement, parameters)]


def tip(conn: Connection) -> BlockRow:
    """The main chain's last block."""
    row = _one(conn, _TIP)
    assert row is not None  # noqa: S101 - genesis is there once a Store is open
    return row


def best(conn: Connection) -> BlockRow:
    """The block with the most work that is not known to be invalid; of equals the first that joined."""
    row = _one(conn, _BEST)
    assert row is not None  # noqa: S101 - as in tip
    return row


def by_hash(conn: Connection, block_hash: bytes) -> BlockRow | None:
    return _one(conn, _BY_HASH, block_hash=block_hash)


def by_height(conn: Connection, height: int) -> BlockRow | None:
    """The main chain's block at `height`."""
    return _one(conn, _BY_HEIGHT, height=height)


def parent_of(conn: Connection, block_hash: bytes) -> bytes:
    """prev_hash of a block that is in the tree."""
    prev_hash: bytes = conn.execute(_PARENT, {"block_hash": block_hash}).scalar_one()
    return prev_hash


def newest_first(conn: Connection, before: int | None, limit: int) -> list[BlockRow]:
    """Main chain below height `before` (None: from the tip), at most `limit`."""
    statement = _MAIN.order_by(blocks.c.height.desc()).limit(limit)
    return _many(conn, statement if before is None else statement.where(blocks.c.height < before))


def oldest_first(conn: Connection, from_height: int, limit: int) -> list[BlockRow]:
    """Main chain from `from_height` up, at most `limit`."""
    return _many(conn, _MAIN.where(blocks.c.height >= from_height).order_by(blocks.c.height).limit(limit))


def raw(conn: Connection, block_hash: bytes) -> bytes | None:
    """A whole block as on the wire; None where the body is not kept."""
    found = conn.execute(_BODY, {"block_hash": block_hash}).first()
    return found.header + found.body if found else None


def load(conn: Connection, block_hash: bytes) -> Block:
    """A block of the tree, decoded. Raises LookupError where its body is not kept."""
    found = raw(conn, block_hash)
    if found is None:
        raise LookupError(f"no body for {block_hash.hex()}")
    return codec.decode_block(found)


def known(conn: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Those of `hashes` that are in the tree, invalid ones too."""
    return set(conn.execute(select(blocks.c.block_hash).where(blocks.c.block_hash.in_(hashes))).scalars())


def branch_tips(conn: Connection, limit: int = 1000) -> list[BlockRow]:
    """Every block without a child, most work first."""
    child = blocks.alias("child")
    has_child = select(literal(1)).where(child.c.prev_hash == blocks.c.block_hash).exists()
    return _many(conn, _ROW.where(~has_child).order_by(blocks.c.work.desc(), blocks.c.joined).limit(limit))


def fork_point(conn: Connection, row: BlockRow) -> BlockRow:
    """The last block that `row`'s branch shares with the main chain."""
    while not row.main_chain:
        parent = by_hash(conn, row.header.prev_hash)
        assert parent is not None  # noqa: S101 - a block joins the tree after its parent
        row = parent
    return row


def fork_height(conn: Connection, row: BlockRow) -> int:
    return fork_point(conn, row).height


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


def offsets_of(transactions: Iterable[Transaction], count: int) -> bytes:
    """u32 little-endian each: where a transaction begins in the body."""
    offset = len(codec.encode_count(count))
    starts = []
    for transaction in transactions:
        starts.append(offset)
        offset += codec.transaction_size(transaction)
    return pack(f"<{len(starts)}I", *starts)


def add(conn: Connection, new: NewBlock) -> None:
    """A block joins the tree with its body, not yet connected."""
    coinbase = coinbase_of(new.block)
    fees = sum(transfer.fee for transfer in transfers_of(new.block))
    values = _values(new) | {"miner": coinbase.receiver, "reward": coinbase.amount, "fees": fees, "status": STORED}
    joined = conn.execute(_INSERT.returning(blocks.c.joined), values).scalar_one()
    offsets = offsets_of(new.block.transactions, len(new.block.transactions))
    conn.execute(_INSERT_BODY, {"joined": joined, "body": new.body, "offsets": offsets})


def add_invalid(conn: Connection, new: NewBlock, code: str) -> None:
    """Remember a hash as invalid; its body is not kept."""
    nobody = {"miner": bytes(33), "reward": 0, "fees": 0}
    conn.execute(_INSERT, _values(new) | nobody | {"status": INVALID, "invalid_code": code})


def _values(new: NewBlock) -> dict[str, object]:
    return {
        "block_hash": new.block_hash,
        "prev_hash": new.block.header.prev_hash,
        "height": new.height,
        "work": new.work.to_bytes(32, "big"),
        "main_chain": False,
        "invalid_code": None,
        "header": codec.encode_header(new.block.header),
        "size": HEADER_SIZE + len(new.body),
        "tx_count": len(new.block.transactions),
    }


def set_main_chain(conn: Connection, block_hash: bytes, on: bool) -> None:
    """A block was connected to the main chain (it is valid then), or disconnected from it."""
    conn.execute(update(blocks).where(blocks.c.block_hash == block_hash).values(main_chain=on, status=CONNECTED))


def condemn(conn: Connection, block_hash: bytes, code: str) -> None:
    """A block of the tree turned out invalid: it, and with it all its descendants. Their bodies go."""
    family = [block_hash]
    conn.execute(update(blocks).where(blocks.c.block_hash == block_hash).values(status=INVALID, invalid_code=code))
    generation = [block_hash]
    while generation:
        children = select(blocks.c.block_hash).where(blocks.c.prev_hash.in_(generation), blocks.c.status != INVALID)
        generation = list(conn.execute(children).scalars())
        family += generation
        conn.execute(
            update(blocks)
            .where(blocks.c.block_hash.in_(generation))
            .values(status=INVALID, invalid_code=InvalidParent.code)
        )
    numbers = select(blocks.c.joined).where(blocks.c.block_hash.in_(family))
    conn.execute(delete(bodies).where(bodies.c.joined.in_(numbers)))
