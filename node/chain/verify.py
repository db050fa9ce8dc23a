"""Proof of a whole database: every block from genesis, replayed in memory and held against the rows.

First the file (pages, indexes, constraints, references), then the main chain, the side branches where they fork off,
what is known to be invalid, the accounts and indexes, the mempool. Each stored column that follows from others is
computed anew; peers, jobs and settings follow from nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..core import codec, ledger, pow, rules
from ..core.codec import sha256d, show
from ..core.errors import MoneyerError, RuleError
from ..core.template import fee_rate
from ..core.types import HEADER_SIZE, NO_ACCOUNT, Account, Block, Transfer
from ..store import accounts, blocks, transactions
from ..store.engine import Store
from ..store.errors import StoreDamaged, cause_of
from ..store.explore import series
from ..store.opening import check
from ..store.unconfirmed import entries
from .pipeline import Ancestry
from .signatures import verify_signatures

_BATCH = 200


class ChainBroken(MoneyerError):
    """The stored chain is not valid; `details["height"]` tells where."""

    code = "chain_broken"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proved. `height`: of the tip; `transfers`: how many signatures were checked."""

    height: int
    transfers: int


def verify_chain(store: Store, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check the file, every block of the tree from genesis, and that all other rows are what they make.

    `progress(height, tip_height)` is called now and then. Raises ChainBroken at the first thing that is wrong.
    """
    with store.read_long() as conn:
        return _Replay(store, conn).run(progress)


class _Replay:
    def __init__(self, store: Store, conn: Connection) -> None:
        self._coin = store.coin
        self._conn = conn
        self._ancestry = Ancestry(store.coin)
        self._accounts: dict[bytes, Account] = {}
        self._transfers = 0
        self._index = 0
        self._history = 0
        self._history_rows = 0
        self._joined: dict[bytes, blocks.BlockRow] = {}
        """Side blocks whose parent was met: on the main chain, or before them."""
        self._sides: dict[bytes, list[blocks.BlockRow]] = {}
        """Blocks off the main chain, by their parent."""

    def run(self, progress: Callable[[int, int], None] | None) -> Verified:
        parent: blocks.BlockRow | None = None
        height = 0
        try:
            self._check_file()
            tip = blocks.tip(self._conn)
            side_count = self._load_sides()
            while height <= tip.height:
                rows = blocks.oldest_first(self._conn, height, _BATCH)
                if not rows or rows[0].height != height:
                    raise ChainBroken(f"block {height} is missing", height=height)
                for row in rows:
                    self._replay(row, height, parent)
                    self._check_branches(row)
                    parent = row
                    height += 1
                if progress:
                    progress(height - 1, tip.height)
            if len(self._joined) != side_count:
                raise ChainBroken("a block of a side branch stands on none that is here", height=tip.height)
            self._compare(tip.height)
            self._check_pool(tip.height)
            self._check_start(tip.height)
        except (RuleError, LookupError) as error:
            raise ChainBroken(f"block {height} is not valid: {error}", height=height) from error
        except DBAPIError as error:
            raise ChainBroken(f"block {height} cannot be read: {cause_of(error).words}", height=height) from error
        except (ValueError, TypeError) as error:  # a value of another type than its column's
            raise ChainBroken(
                f"what is noted of block {height} is not of the kind that it must be", height=height
            ) from error
        return Verified(tip.height, self._transfers)

    def _replay(self, row: blocks.BlockRow, height: int, parent: blocks.BlockRow | None) -> None:
        if row.height != height:
            raise ChainBroken(f"block {height} is missing", height=height)
        block, txids = self._stored(row)
        if parent is None:
            self._genesis(block, row)
        else:
            self._block(block, row, parent, txids)
        self._count(block, row, txids)

    def _check_file(self) -> None:
        wrong = check.damage(self._conn)
        if wrong:
            raise ChainBroken(f"the database file is damaged: {wrong}", height=0)
        odd = blocks.odd_parent(self._conn)
        if odd is not None:
            raise ChainBroken(f"what is noted as the parent of block {odd} is not what it says", height=odd)
        odd = blocks.odd_digits(self._conn)
        if odd is not None:
            raise ChainBroken(f"the digits by which block {odd} is found are not its hash's", height=odd)
        odd = series.odd_sum(self._conn)
        if odd is not None:
            raise ChainBroken(f"the sums up to block {odd} do not follow from its parent's", height=odd)

    def _load_sides(self) -> int:
        """How many blocks are off the main chain."""
        rows = blocks.side_blocks(self._conn)
        for row in rows:
            self._sides.setdefault(row.header.prev_hash, []).append(row)
        return len(rows)

    def _check_branches(self, fork: blocks.BlockRow) -> None:
        """Checks every side block on a branch from `fork`. The accounts are those after `fork`, and are restored."""
        todo: list[tuple[blocks.BlockRow, blocks.BlockRow | None]] = [
            (side, fork) for side in self._sides.get(fork.block_hash, ())
        ]
        before: dict[bytes, dict[bytes, Account | None]] = {}
        while todo:
            row, parent = todo.pop()
            if parent is None:  # all that stands on it was looked at
                self._restore(before.pop(row.block_hash, {}))
                continue
            before[row.block_hash] = self._check_side(row, parent)
            self._joined[row.block_hash] = row
            todo.append((row, None))
            todo += [(child, row) for child in self._sides.get(row.block_hash, ())]

    def _restore(self, before: dict[bytes, Account | None]) -> None:
        for payload, account in before.items():
            if account is None:
                self._accounts.pop(payload, None)
            else:
                self._accounts[payload] = account

    def _check_side(self, row: blocks.BlockRow, parent: blocks.BlockRow) -> dict[bytes, Account | None]:
        """A block off the main chain, against the rules as far as its status says; the accounts that it changed."""
        name = f"block {show(row.block_hash)[:16]}… of a side branch"
        wrong = self._side_row(row, parent)
        if wrong is not None:
            raise ChainBroken(f"{name}: {wrong}", height=row.height)
        self._check_header(row, parent)
        parts = transactions.parts_of_block(self._conn, row.joined)
        if row.status == blocks.INVALID:
            if parts:
                raise ChainBroken(f"{name} is invalid, and its body is kept", height=row.height)
            return {}
        block, txids = self._stored(row)
        rules.check_size(_size(block), self._coin)
        rules.check_body_in_isolation(block, txids)
        self._compare_columns(block, row, parent)
        if row.status != blocks.CONNECTED:
            return {}
        before = {payload: self._accounts.get(payload) for payload in ledger.payloads_of(block)}
        self._apply(block, row.height)
        return before

    @staticmethod
    def _side_row(row: blocks.BlockRow, parent: blocks.BlockRow) -> str | None:
        """What is wrong with the row of a side block, seen from its parent's."""
        work = parent.work + pow.block_work(pow.decode_bits(row.header.bits))
        if (row.height, row.work) != (parent.height + 1, work):
            return "its height or work does not follow from its parent's"
        if row.joined <= parent.joined:
            return "it is noted to have come before its parent"
        if parent.status == blocks.INVALID and row.status != blocks.INVALID:
            return "its parent is invalid, and it isn't"
        if row.status == blocks.CONNECTED and parent.status != blocks.CONNECTED:
            return "it is marked as connected, and its parent isn't"
        return None

    def _check_header(self, row: blocks.BlockRow, parent: blocks.BlockRow) -> None:
        header = row.header
        if sha256d(codec.encode_header(header)) != row.block_hash:
            raise ChainBroken(f"the header of block {row.height} is not the one of its hash", height=row.height)
        rules.check_header_in_isolation(header, row.block_hash, self._coin)
        context = self._ancestry.context_after(self._conn, parent.block_hash)
        # Time cannot run backwards for a block that was accepted once: it is old enough by its own timestamp.
        rules.check_header_in_context(header, context, self._coin, now=header.timestamp)

    def _stored(self, row: blocks.BlockRow) -> tuple[Block, list[bytes]]:
        """A block and its txids; what is kept to find a single transaction in it is checked."""
        parts = transactions.parts_of_block(self._conn, row.joined)
        if check.root_of(parts) != row.header.merkle_root:
            raise ChainBroken(
                f"the body of block {row.height}, or where its parts begin, is damaged", height=row.height
            )
        block = blocks.load(self._conn, row.block_hash)
        return block, [codec.txid(transaction) for transaction in block.transactions]

    def _apply(self, block: Block, height: int) -> int:
        """How many transfers it has."""
        transfers = ledger.spends_of(block)
        ledger.apply_block(
            self._accounts,
            block,
            height=height,
            subsidy=self._coin.subsidy(height),
            signatures=verify_signatures(self._coin.chain_id, transfers),
        )
        return len(transfers)

    def _check_pool(self, height: int) -> None:
        """Each waiting transfer is what its row says, and ready exactly where all before it are."""
        following: dict[bytes, int] = {}
        waiting = list(entries.stored(self._conn))
        for row in waiting:
            try:
                transfer = codec.decode_spend(row.raw)
            except RuleError as error:
                raise ChainBroken(f"a waiting transfer is damaged: {error}", height=height) from error
            size = len(row.raw)
            noted = (row.txid, row.sender, row.sequence, row.receiver, row.cost, row.fee, row.fee_rate, row.size)
            whose = (transfer.sender, transfer.sequence, transfer.receiver)
            if noted != (sha256d(row.raw), *whose, transfer.cost, transfer.fee, fee_rate(transfer), size):
                raise ChainBroken("what is noted of a waiting transfer is not what it says", height=height)
            state = self._accounts.get(transfer.sender, NO_ACCOUNT)
            is_ready = transfer.sequence == following.get(transfer.sender, state.sequence)
            if is_ready:
                following[transfer.sender] = transfer.sequence + 1
            if row.ready != is_ready:
                raise ChainBroken("whether a waiting transfer is ready is noted wrongly", height=height)
            if row.head != (transfer.sequence == state.sequence):
                raise ChainBroken("whether a waiting transfer is its sender's next is noted wrongly", height=height)
        transfers = [codec.decode_spend(row.raw) for row in waiting]
        if not all(verify_signatures(self._coin.chain_id, transfers)):
            raise ChainBroken("a waiting transfer's signature is wrong", height=height)
        if entries.totals(self._conn) != (len(waiting), sum(row.size for row in waiting)):
            raise ChainBroken("the mempool's totals are not those of its transfers", height=height)

    def _check_start(self, height: int) -> None:
        """The checks of a node's start that the replay does not cover: counts, links, sums."""
        try:
            check.check_sums(self._conn, self._coin)
        except StoreDamaged as error:
            raise ChainBroken(f"the database file is damaged: {error.message}", height=height) from None

    def _genesis(self, block: Block, row: blocks.BlockRow) -> None:
        if block != self._coin.genesis:
            raise ChainBroken("block 0 is not this coin's genesis block", height=0)
        if row.status != blocks.CONNECTED or _columns(row) != _columns_of(block, 0):
            raise ChainBroken("what is noted of block 0 is not what it says", height=0)
        ledger.apply_genesis(self._accounts, block)

    def _block(self, block: Block, row: blocks.BlockRow, parent: blocks.BlockRow, txids: list[bytes]) -> None:
        if block.header.prev_hash != parent.block_hash:
            raise ChainBroken(f"block {row.height} does not stand on block {row.height - 1}", height=row.height)
        if row.joined <= parent.joined:
            raise ChainBroken(f"block {row.height} is noted to have come before its parent", height=row.height)
        self._check_header(row, parent)
        rules.check_size(_size(block), self._coin)
        rules.check_body_in_isolation(block, txids)
        self._transfers += self._apply(block, row.height)
        self._compare_columns(block, row, parent)

    def _compare_columns(self, block: Block, row: blocks.BlockRow, parent: blocks.BlockRow) -> None:
        work = parent.work + pow.block_work(pow.decode_bits(block.header.bits))
        if _columns(row) != _columns_of(block, work):
            raise ChainBroken(f"what is noted of block {row.height} is not what it says", height=row.height)

    def _count(self, block: Block, row: blocks.BlockRow, txids: list[bytes]) -> None:
        """Adds hashes of the block's index and history entries to sums, which `_compare` holds against the rows."""
        for position, (txid, transaction) in enumerate(zip(txids, block.transactions, strict=True)):
            self._index += hash((txid, row.height, position))
            touched = {transaction.receiver}
            if isinstance(transaction, Transfer):
                touched.add(transaction.sender)
            self._history += sum(hash((payload, row.height, position)) for payload in touched)
            self._history_rows += len(touched)

    def _compare(self, height: int) -> None:
        """The rows hold what the blocks make, and nothing else."""
        replayed = {payload: account for payload, account in self._accounts.items() if account != NO_ACCOUNT}
        if replayed != accounts.everyone(self._conn):
            raise ChainBroken("the balances are not the ones that the blocks make", height=height)
        if sum(account.balance for account in replayed.values()) != self._coin.issued(height):
            raise ChainBroken("the balances do not sum to what was issued", height=height)
        if sum(map(hash, transactions.everything(self._conn))) != self._index:
            raise ChainBroken("the index of transactions is not the one that the blocks make", height=height)
        if (
            sum(map(hash, accounts.all_history(self._conn))) != self._history
            or accounts.count_history(self._conn) != self._history_rows
        ):
            raise ChainBroken("the accounts' histories are not the ones that the blocks make", height=height)


def _columns(row: blocks.BlockRow) -> tuple[int, int, int, bytes, int, int]:
    return row.work, row.size, row.tx_count, row.miner, row.reward, row.fees


def _columns_of(block: Block, work: int) -> tuple[int, int, int, bytes, int, int]:
    """What a block with its `work` makes of those columns."""
    coinbase = ledger.coinbase_of(block)
    fees = ledger.fees_of(block)
    return work, _size(block), len(block.transactions), coinbase.receiver, coinbase.amount, fees


def _size(block: Block) -> int:
    """Bytes of the whole block."""
    count = len(codec.encode_count(len(block.transactions)))
    return HEADER_SIZE + count + sum(map(codec.transaction_size, block.transactions))
