"""What changes blocks and the state behind them: blocks join the tree, connect, disconnect, or turn out invalid.

`add`, `add_invalid`, `condemn` and `forget` change the tree of blocks; `ChainState` moves the end of the main chain,
and with it accounts, the index of transactions and the histories. Balances are computed in memory by
`node.core.ledger`; nothing of them is written before `ChainState.save`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from struct import pack

from sqlalchemy import Connection, bindparam, delete, func, insert, literal, select, update

from ..core import codec, ledger
from ..core.assets import asset_of
from ..core.coin import Coin
from ..core.errors import InvalidParent
from ..core.ledger import BlockContext, Effect, Ledger, Touched, coinbase_of, fees_of
from ..core.types import HEADER_SIZE, NO_ACCOUNT, Account, Block, Coinbase, Header, Transfer
from . import blocks
from .assets.asset_state import AssetState
from .backends.statements import Among, Many, Query, Values
from .blocks import CONNECTED, INVALID, STORED
from .tables import SUM_MASK, account_history, accounts, bodies, transactions
from .tables import blocks as table

_CHUNK = 500

PART_BYTES = 3_700
"""A part of a body has at most so many bytes and one transaction: what is read to answer with one transaction.

With its offsets it nearly always fits a page of SQLite's. Measured (docs/performance.md): a thousand transactions of
full blocks take 21 ms so, 40 in parts of 16,384 bytes; databases that were made before have those.
"""


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A block on its way into the tree: it has passed every check that does not depend on balances (stages 1 to 4)."""

    block: Block
    block_hash: bytes
    body: bytes
    """Bytes on the wire."""
    height: int
    work: int
    """Cumulative, as in `BlockRow`."""
    txids: Sequence[bytes]
    """Of its transactions, in order; empty for genesis, and for one that is only remembered as invalid."""

    @property
    def header(self) -> Header:
        return self.block.header

    @property
    def status(self) -> str:
        """As of a row that was never connected."""
        return STORED


_NEXT_JOINED = Query(select(func.coalesce(func.max(table.c.joined), 0) + 1))
_INSERT_BLOCK = Many(
    insert(table),
    *("joined", "block_hash", "prev_hash", "height", "work", "status", "main_chain", "invalid_code"),
    *("header", "size", "tx_count", "miner", "reward", "fees"),
    *("total_tx_count", "total_fees", "total_size", "first_digits"),
)
_SUMS = Query(
    select(table.c.total_tx_count, table.c.total_fees, table.c.total_size).where(
        table.c.block_hash == bindparam("block_hash")
    )
)
_NO_SUMS = (0, 0, 0)
"""Of what stands before genesis."""
_INSERT_BODY = Many(insert(bodies), "joined", "first", "body", "offsets")
_SET_MAIN_CHAIN = Many(
    update(table)
    .where(table.c.block_hash == bindparam("which"))
    .values(status=CONNECTED, main_chain=bindparam("is_on")),
    "status",
    "is_on",
    "which",
)


def _next(conn: Connection, number: Query) -> int:
    """The number of the next row."""
    row = number.one(conn)
    assert row is not None  # noqa: S101 - of no rows it is 1
    return int(row[0])


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
    first = _next(conn, _NEXT_JOINED)
    rows, body_rows = [], []
    sums: dict[bytes, Values] = {}
    for joined, new in enumerate(news, first):
        coinbase = coinbase_of(new.block)
        reward = (coinbase.receiver, coinbase.amount, fees_of(new.block))
        before = sums.get(new.header.prev_hash) or _SUMS.one(conn, block_hash=new.header.prev_hash) or _NO_SUMS
        rows.append(_values(joined, new, STORED, None, reward, before))
        sums[new.block_hash] = rows[-1][-4:-1]
        sizes = map(codec.transaction_size, new.block.transactions)
        parts = parts_of(new.body, sizes, len(new.block.transactions))
        body_rows += [(joined, *part) for part in parts]
    _INSERT_BLOCK.run(conn, rows)
    _INSERT_BODY.run(conn, body_rows)


def add_invalid(conn: Connection, new: NewBlock, code: str) -> None:
    """Remember a hash as invalid; its body is not kept."""
    joined = _next(conn, _NEXT_JOINED)
    before = _SUMS.one(conn, block_hash=new.header.prev_hash) or _NO_SUMS
    _INSERT_BLOCK.run(conn, [_values(joined, new, INVALID, code, (bytes(33), 0, 0), before)])


def _values(
    joined: int, new: NewBlock, status: str, code: str | None, reward: tuple[bytes, int, int], before: Values
) -> Values:
    """A row in the order of `_INSERT_BLOCK`. `reward`: miner, reward, fees; `before`: the parent's sums."""
    size, tx_count = HEADER_SIZE + len(new.body), len(new.block.transactions)
    own = (tx_count, reward[2], size)
    return (
        joined,
        new.block_hash,
        new.header.prev_hash,
        new.height,
        new.work.to_bytes(32, "big"),
        status,
        False,
        code,
        codec.encode_header(new.header),
        size,
        tx_count,
        *reward,
        *((total + more) & SUM_MASK for total, more in zip(before, own, strict=True)),
        blocks.first_digits(new.block_hash),
    )


def set_main_chain(conn: Connection, hashes: Iterable[bytes], on: bool) -> None:
    """Blocks were connected to the main chain (they are valid then), or disconnected from it."""
    _SET_MAIN_CHAIN.run(conn, [(CONNECTED, on, block_hash) for block_hash in hashes])


def condemn(conn: Connection, block_hash: bytes, code: str) -> None:
    """A block of the tree turned out invalid: it, and with it all its descendants. Their bodies go."""
    height = conn.execute(select(table.c.height).where(table.c.block_hash == block_hash)).scalar_one()
    generation = [block_hash]
    while generation:
        children: list[bytes] = []
        # A part at a time: a statement has room for some ten thousand values only.
        for start in range(0, len(generation), _CHUNK):
            some = generation[start : start + _CHUNK]
            condemned = table.c.block_hash.in_(some)
            conn.execute(update(table).where(condemned).values(status=INVALID, invalid_code=code))
            conn.execute(delete(bodies).where(bodies.c.joined.in_(select(table.c.joined).where(condemned))))
            is_child = (table.c.height == height + 1, table.c.prev_hash.in_(some), table.c.status != INVALID)
            children += conn.execute(select(table.c.block_hash).where(*is_child)).scalars()
        generation, height, code = children, height + 1, InvalidParent.code


def forget(conn: Connection, hashes: Sequence[bytes]) -> None:
    """Delete blocks, in this order, that were never connected and have no child in the tree; leave any other alone."""
    child = table.alias("child")
    for block_hash in hashes:
        is_child = (child.c.height == table.c.height + 1, child.c.prev_hash == block_hash)
        has_child = select(literal(1)).where(*is_child).correlate(table).exists()
        chosen = (table.c.block_hash == block_hash, table.c.status == STORED, ~has_child)
        joined = conn.execute(select(table.c.joined).where(*chosen)).scalar_one_or_none()
        if joined is not None:
            conn.execute(delete(bodies).where(bodies.c.joined == joined))
            conn.execute(delete(table).where(table.c.joined == joined))


MOST_TRANSACTIONS = 100_000
"""What one `Leaving` sums up at most, and some blocks more: some 10 MB."""

_BLOCKS_AT_ONCE = 16
"""Blocks in one read: a transaction of its own for each costs as much as a block of 50 transfers; and where SQLite
keeps a rollback journal, a read holds writers up."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The last blocks of the main chain, summed up: all that disconnecting them takes, without the blocks themselves.

    It depends on nothing but their bytes, so it is computed before the write transaction that disconnects them.
    `hashes`: of the blocks, newest first; `txids`: of all their transactions.
    """

    hashes: list[bytes] = field(default_factory=list)
    txids: list[bytes] = field(default_factory=list)
    effect: Effect = field(default_factory=Effect)

    @property
    def spends(self) -> int:
        """How many they are."""
        return len(self.txids) - len(self.hashes)

    def add(self, conn: Connection, block_hash: bytes, chain_id: bytes) -> None:
        """The block below the last one."""
        coinbase, coinbase_txid, spends = blocks.outline(conn, block_hash)
        self.hashes.append(block_hash)
        self.txids.append(coinbase_txid)
        self.txids.extend([spend.txid for spend in spends])
        self.effect.add(chain_id, coinbase, spends)


def sum_up(
    hashes: Sequence[bytes], reading: Callable[[], AbstractContextManager[Connection]], chain_id: bytes
) -> Leaving:
    """The first of `hashes`, as many as are not too many. `reading`: a connection for some of them."""
    leaving = Leaving()
    for start in range(0, len(hashes), _BLOCKS_AT_ONCE):
        with reading() as conn:
            for block_hash in hashes[start : start + _BLOCKS_AT_ONCE]:
                leaving.add(conn, block_hash, chain_id)
        if len(leaving.txids) >= MOST_TRANSACTIONS:
            break
    leaving.txids.sort(key=lambda txid: txid[::-1])  # in the order of their rows
    return leaving


_MOST_ROWS = 100_000
"""Rows that wait in memory at most (and one block's more): bounds what a long reorg takes."""

_NEXT_ID = Query(select(func.coalesce(func.max(accounts.c.account_id), 0) + 1))
_LOAD_ACCOUNTS = Among(
    select(accounts.c.payload, accounts.c.account_id, accounts.c.balance, accounts.c.sequence), accounts.c.payload
)
_UPDATE_ACCOUNT = Many(
    update(accounts)
    .where(accounts.c.account_id == bindparam("number"))
    .values(balance=bindparam("new_balance"), sequence=bindparam("new_sequence")),
    "new_balance",
    "new_sequence",
    "number",
)
_INSERT_ACCOUNT = Many(insert(accounts), "account_id", "payload", "balance", "sequence")
_INSERT_TX = Many(insert(transactions), "shown_txid", "height", "position")
_INSERT_HISTORY = Many(insert(account_history), "account_id", "height", "position")
_DELETE_TX = Many(delete(transactions).where(transactions.c.shown_txid == bindparam("gone")), "gone")
_DELETE_HISTORY = Many(
    delete(account_history).where(
        account_history.c.account_id == bindparam("number"), account_history.c.height >= bindparam("lowest")
    ),
    "number",
    "lowest",
)


class ChainState:
    """The end of the main chain within one write transaction: disconnect blocks, connect others, then `save`.

    Blocks are disconnected before any is connected. An error leaves the blocks before it as they were.
    """

    def __init__(self, conn: Connection, coin: Coin) -> None:
        self._conn = conn
        self._coin = coin
        self._accounts: dict[bytes, Account] = {}
        self._stored: dict[bytes, Account] = {}
        """What the rows hold, of `_accounts`."""
        self._numbers: dict[bytes, int] = {}
        self._next_number: int | None = None
        self._assets: AssetState | None = None
        """Once a block touched an asset."""
        self._clear()

    def _clear(self) -> None:
        self._touched: set[bytes] = set()
        self._new_tx: list[Values] = []
        self._new_history: list[Values] = []
        self._old_tx: list[Values] = []
        self._old_history: set[int] = set()
        """Numbers of the accounts that the disconnected blocks touched."""
        self._lowest = 0
        """Height of the lowest of those blocks; all above it are disconnected too."""
        self._connected: list[bytes] = []
        self._disconnected: list[bytes] = []

    def connect(
        self, block: Block, block_hash: bytes, height: int, signatures: Sequence[bool], txids: Sequence[bytes]
    ) -> None:
        """Connect a stored block behind the tip. Raises the rule's error, and the block has then no effect."""
        touched = ledger.touched_by(block, self._coin.chain_id)
        before = self._view(touched)
        after = before.copy()
        subsidy = self._coin.subsidy(height)
        prev_hash = block.header.prev_hash
        context = BlockContext(self._coin.chain_id, height, lambda: blocks.median_time_past_of(self._conn, prev_hash))
        ledger.apply_block(after, block, context, subsidy=subsidy, signatures=signatures)
        ledger.check_block_invariants(before, after, subsidy)
        self._connect(after, touched, block, block_hash, height, txids)

    def connect_genesis(self) -> None:
        genesis = self._coin.genesis
        touched = ledger.touched_by(genesis, self._coin.chain_id)
        view = self._view(touched)
        ledger.apply_genesis(view, genesis)
        txids = [codec.txid(transaction) for transaction in genesis.transactions]
        self._connect(view, touched, genesis, self._coin.chain_id, 0, txids)

    def disconnect(self, leaving: Leaving, lowest: int) -> None:
        """Exact inverse of `connect`, for the last blocks. `lowest`: height of the last of these."""
        touched = leaving.effect.touched
        view = self._view(touched)
        ledger.undo(view, leaving.effect)
        self._keep(view, touched)
        self._old_tx += [(txid[::-1],) for txid in leaving.txids]
        self._old_history.update([self._numbers[payload] for payload in touched.payloads])
        if self._assets is not None:
            self._assets.disconnected(touched.assets, lowest)
        self._lowest = lowest
        self._disconnected += leaving.hashes
        self._save_if_many()

    def save(self) -> None:
        """Write what was done since the last time."""
        conn = self._conn
        self._save_accounts()
        if self._assets is not None:
            self._assets.save(self._numbers)
        # In the order of their keys: neighbours share a page of the index.
        _DELETE_TX.run(conn, sorted(self._old_tx))
        _DELETE_HISTORY.run(conn, [(number, self._lowest) for number in sorted(self._old_history)])
        _INSERT_TX.run(conn, sorted(self._new_tx))
        _INSERT_HISTORY.run(conn, sorted(self._new_history))
        set_main_chain(conn, self._disconnected, False)
        set_main_chain(conn, self._connected, True)
        self._clear()

    def _view(self, touched: Touched) -> Ledger:
        """A copy of what blocks touch."""
        payloads = touched.payloads
        missing = [payload for payload in payloads if payload not in self._accounts]
        for payload, number, balance, sequence in _LOAD_ACCOUNTS.rows(self._conn, missing):
            self._numbers[payload] = number
            self._accounts[payload] = self._stored[payload] = Account(balance, sequence)
        view = {payload: self._accounts[payload] for payload in payloads if payload in self._accounts}
        if not touched.assets:
            return Ledger(view)
        if self._assets is None:
            self._assets = AssetState(self._conn)
        return Ledger(view, *self._assets.view(touched.assets, touched.holdings, self._numbers))

    def _keep(self, view: Ledger, touched: Touched) -> None:
        # One that left the view is (0, 0) now; its row stays, for its number.
        accounts = view.accounts
        self._accounts.update((payload, accounts.get(payload, NO_ACCOUNT)) for payload in touched.payloads)
        self._touched.update(touched.payloads)
        if self._assets is not None:
            self._assets.keep(view, touched)

    def _connect(
        self,
        view: Ledger,
        touched: Touched,
        block: Block,
        block_hash: bytes,
        height: int,
        txids: Sequence[bytes],
    ) -> None:
        self._keep(view, touched)
        self._number(touched.payloads)
        numbers = self._numbers
        self._new_tx += [(txid[::-1], height, position) for position, txid in enumerate(txids)]
        for position, transaction in enumerate(block.transactions):
            receiver = numbers[transaction.receiver]
            self._new_history.append((receiver, height, position))
            if isinstance(transaction, Coinbase):
                continue
            if transaction.sender != transaction.receiver:
                self._new_history.append((numbers[transaction.sender], height, position))
            if self._assets is not None and not isinstance(transaction, Transfer):
                asset = asset_of(self._coin.chain_id, transaction)
                if asset is not None:
                    self._assets.connected(asset, height, position)
        self._connected.append(block_hash)
        self._save_if_many()

    def _number(self, payloads: set[bytes]) -> None:
        """Give numbers to those that have none. In the order of payloads: the same chain makes the same file."""
        new = sorted(payloads - self._numbers.keys())
        if not new:
            return
        if self._next_number is None:
            self._next_number = _next(self._conn, _NEXT_ID)
        self._numbers.update((payload, self._next_number + i) for i, payload in enumerate(new))
        self._next_number += len(new)

    def _save_accounts(self) -> None:
        changed, new = [], []
        for payload in self._touched:
            account = self._accounts[payload]
            stored = self._stored.get(payload)
            if stored is None:
                new.append((self._numbers[payload], payload, *account))
            elif stored != account:
                changed.append((*account, self._numbers[payload]))
            self._stored[payload] = account
        _UPDATE_ACCOUNT.run(self._conn, changed)
        _INSERT_ACCOUNT.run(self._conn, sorted(new))

    def _save_if_many(self) -> None:
        waiting = self._new_tx, self._new_history, self._old_tx, self._old_history
        if sum(map(len, waiting)) + (self._assets.waiting if self._assets else 0) > _MOST_ROWS:
            self.save()
