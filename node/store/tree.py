"""What changes the tree of blocks: they join it, go on and off the main chain, or turn out invalid."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import pack

from sqlalchemy import Connection, bindparam, delete, func, insert, literal, select, update

from ..core import codec
from ..core.errors import InvalidParent
from ..core.ledger import coinbase_of, fees_of
from ..core.types import HEADER_SIZE, Block
from . import blocks
from .blocks import CONNECTED, INVALID, STORED, BlockRow
from .bulk import Many, Query, Values
from .tables import blocks as table
from .tables import bodies

_CHUNK = 500

PART_BYTES = 16_384
"""A part of a body has at most so many bytes and one transaction: what is read to answer with one transaction.

Measured (docs/performance.md): 100 transactions of 100 blocks of 1 MB take 2.4 ms so, 36 ms where bodies are whole.
"""


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A block that is to join the tree. `body`: bytes on the wire; `work`: cumulative."""

    block: Block
    block_hash: bytes
    body: bytes
    height: int
    work: int


_NEXT_JOINED = select(func.coalesce(func.max(table.c.joined), 0) + 1)
_INSERT = Many(
    insert(table),
    *("joined", "block_hash", "prev_hash", "height", "work", "status", "main_chain", "invalid_code"),
    *("header", "size", "tx_count", "miner", "reward", "fees"),
)
_INSERT_BODY = Many(insert(bodies), "joined", "first", "body", "offsets")
_SET_MAIN_CHAIN = Many(
    update(table)
    .where(table.c.block_hash == bindparam("which"))
    .values(status=CONNECTED, main_chain=bindparam("is_on")),
    "status",
    "is_on",
    "which",
)


def parts_of(body: bytes, sizes: Iterable[int], count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """A body in parts: (position of the first transaction, bytes, offsets). `sizes`: of its `count` transactions."""
    offset = len(codec.encode_count(count))
    starts = []
    for size in sizes:
        starts.append(offset)
        offset += size
    if len(body) <= PART_BYTES:  # most are: what follows takes twice as long
        yield 0, body, pack(f"<{count}I", *starts)
        return
    first = begin = 0
    while begin < len(body):
        behind = bisect_left(starts, begin + PART_BYTES, lo=first + 1)
        end = starts[behind] if behind < len(starts) else len(body)
        yield first, body[begin:end], pack(f"<{behind - first}I", *(start - begin for start in starts[first:behind]))
        first, begin = behind, end


def add(conn: Connection, news: Sequence[NewBlock]) -> None:
    """Blocks join the tree with their bodies, in this order, not yet connected."""
    first = conn.execute(_NEXT_JOINED).scalar_one()
    rows, body_rows = [], []
    for joined, new in enumerate(news, first):
        coinbase = coinbase_of(new.block)
        rows.append(_values(joined, new, STORED, None, (coinbase.receiver, coinbase.amount, fees_of(new.block))))
        sizes = map(codec.transaction_size, new.block.transactions)
        parts = parts_of(new.body, sizes, len(new.block.transactions))
        body_rows += [(joined, *part) for part in parts]
    _INSERT.run(conn, rows)
    _INSERT_BODY.run(conn, body_rows)


def add_invalid(conn: Connection, new: NewBlock, code: str) -> None:
    """Remember a hash as invalid; its body is not kept."""
    joined = conn.execute(_NEXT_JOINED).scalar_one()
    _INSERT.run(conn, [_values(joined, new, INVALID, code, (bytes(33), 0, 0))])


def _values(joined: int, new: NewBlock, status: str, code: str | None, reward: tuple[bytes, int, int]) -> Values:
    """A row in the order of `_INSERT`. `reward`: miner, reward, fees."""
    return (
        joined,
        new.block_hash,
        new.block.header.prev_hash,
        new.height,
        new.work.to_bytes(32, "big"),
        status,
        False,
        code,
        codec.encode_header(new.block.header),
        HEADER_SIZE + len(new.body),
        len(new.block.transactions),
        *reward,
    )


def set_main_chain(conn: Connection, hashes: Iterable[bytes], on: bool) -> None:
    """Blocks were connected to the main chain (they are valid then), or disconnected from it."""
    _SET_MAIN_CHAIN.run(conn, [(CONNECTED, on, block_hash) for block_hash in hashes])


def condemn(conn: Connection, block_hash: bytes, code: str) -> None:
    """A block of the tree turned out invalid: it, and with it all its descendants. Their bodies go."""
    generation = [block_hash]
    while generation:
        # A part at a time: a statement has room for some ten thousand values only.
        some, generation = generation[:_CHUNK], generation[_CHUNK:]
        condemned = table.c.block_hash.in_(some)
        conn.execute(update(table).where(condemned).values(status=INVALID, invalid_code=code))
        conn.execute(delete(bodies).where(bodies.c.joined.in_(select(table.c.joined).where(condemned))))
        children = select(table.c.block_hash).where(table.c.prev_hash.in_(some), table.c.status != INVALID)
        generation += conn.execute(children).scalars()
        code = InvalidParent.code


def forget(conn: Connection, hashes: Sequence[bytes]) -> None:
    """Delete blocks, in this order, that were never connected and have no child in the tree; leave any other alone."""
    child = table.alias("child")
    for block_hash in hashes:
        has_child = select(literal(1)).where(child.c.prev_hash == block_hash).exists()
        chosen = (table.c.block_hash == block_hash, table.c.status == STORED, ~has_child)
        joined = conn.execute(select(table.c.joined).where(*chosen)).scalar_one_or_none()
        if joined is not None:
            conn.execute(delete(bodies).where(bodies.c.joined == joined))
            conn.execute(delete(table).where(table.c.joined == joined))


# The blocks without a child, kept in memory: each look reads only what joined the tree since the last one.


_JOINED = Query(
    select(table.c.joined, table.c.block_hash, table.c.prev_hash)
    .where(table.c.joined > bindparam("number"))
    .order_by(table.c.joined)
)
_HASH = Query(select(table.c.block_hash).where(table.c.joined == bindparam("number")))


class Leaves:
    """For one thread at a time. The first look reads the whole tree, 0.1 s at 60,000 blocks; the next ones the news."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._last = 0
        """The number of the block that joined last, of those seen."""
        self._last_hash = b""
        self._hashes: set[bytes] = set()

    def look(self, conn: Connection, limit: int = 1000) -> list[BlockRow]:
        """The main chain's tip and every block without a child, most work first."""
        if self._last and _HASH.one(conn, number=self._last) != (self._last_hash,):
            self._forget()  # blocks were taken out, or it is another database
        self._read_news(conn)
        rows = blocks.by_hashes(conn, list(self._hashes))
        if len(rows) < len(self._hashes):  # some were taken out, and their parents may be leaves now
            self._forget()
            self._read_news(conn)
            rows = blocks.by_hashes(conn, list(self._hashes))
        tip = blocks.tip(conn)
        if tip.block_hash not in self._hashes:  # an invalid block stands on it
            rows.append(tip)
        return sorted(rows, key=lambda row: (-row.work, row.joined))[:limit]

    def _read_news(self, conn: Connection) -> None:
        for joined, block_hash, prev_hash in _JOINED.rows(conn, number=self._last):
            self._hashes.add(block_hash)
            self._hashes.discard(prev_hash)
            self._last, self._last_hash = joined, block_hash
