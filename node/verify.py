"""Proof of a whole database: every block from genesis, replayed in memory and held against the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from node.ancestry import Ancestry
from node.core import codec, ledger, pow, rules
from node.core.errors import MoneyerError, RuleError
from node.core.hashing import sha256d
from node.core.types import HEADER_SIZE, NO_ACCOUNT, Account, Block, Transfer
from node.signatures import check_signatures
from node.store import accounts, blocks, transactions
from node.store.engine import Store

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
    """Check every block of the main chain from genesis, and that the accounts are what they make.

    `progress(height, tip_height)` is called now and then. Raises ChainBroken at the first thing that is wrong.
    """
    with store.read() as conn:
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

    def run(self, progress: Callable[[int, int], None] | None) -> Verified:
        parent: blocks.BlockRow | None = None
        height = 0
        try:
            tip = blocks.tip(self._conn)
            while height <= tip.height:
                rows = blocks.oldest_first(self._conn, height, _BATCH)
                if not rows or rows[0].height != height:
                    raise ChainBroken(f"block {height} is missing", height=height)
                for row in rows:
                    self._replay(row, height, parent)
                    parent = row
                    height += 1
                if progress:
                    progress(height - 1, tip.height)
            self._compare(tip.height)
        except (RuleError, LookupError) as error:
            raise ChainBroken(f"block {height} is not valid: {error}", height=height) from error
        except DBAPIError as error:
            raise ChainBroken(f"block {height} cannot be read: {error.orig}", height=height) from error
        return Verified(tip.height, self._transfers)

    def _replay(self, row: blocks.BlockRow, height: int, parent: blocks.BlockRow | None) -> None:
        if row.height != height:
            raise ChainBroken(f"block {height} is missing", height=height)
        block = blocks.load(self._conn, row.block_hash)
        txids = [codec.txid(transaction) for transaction in block.transactions]
        if parent is None:
            self._genesis(block)
        else:
            self._block(block, row, parent, txids)
        self._count(block, row, txids)

    def _genesis(self, block: Block) -> None:
        if block != self._coin.genesis:
            raise ChainBroken("block 0 is not this coin's genesis block", height=0)
        ledger.apply_genesis(self._accounts, block)

    def _block(self, block: Block, row: blocks.BlockRow, parent: blocks.BlockRow, txids: list[bytes]) -> None:
        header = block.header
        if header.prev_hash != parent.block_hash:
            raise ChainBroken(f"block {row.height} does not stand on block {row.height - 1}", height=row.height)
        if sha256d(codec.encode_header(header)) != row.block_hash:
            raise ChainBroken(f"the header of block {row.height} is not the one of its hash", height=row.height)
        rules.check_size(_size(block), self._coin)
        rules.check_header_in_isolation(header, row.block_hash, self._coin)
        context = self._ancestry.context_after(self._conn, parent.block_hash)
        # Time cannot run backwards for a block that was accepted once: it is old enough by its own timestamp.
        rules.check_header_in_context(header, context, self._coin, now=header.timestamp)
        rules.check_body_in_isolation(block, txids)
        transfers = ledger.transfers_of(block)
        ledger.apply_block(
            self._accounts,
            block,
            height=row.height,
            subsidy=self._coin.subsidy(row.height),
            signatures=check_signatures(self._coin.chain_id, transfers),
        )
        self._transfers += len(transfers)
        self._compare_columns(block, row, parent)

    def _compare_columns(self, block: Block, row: blocks.BlockRow, parent: blocks.BlockRow) -> None:
        coinbase = ledger.coinbase_of(block)
        found = (row.work, row.size, row.tx_count, row.miner, row.reward, row.fees)
        made = (
            parent.work + pow.block_work(pow.decode_bits(block.header.bits)),
            _size(block),
            len(block.transactions),
            coinbase.receiver,
            coinbase.amount,
            ledger.fees_of(block),
        )
        if found != made:
            raise ChainBroken(f"what is noted of block {row.height} is not what it says", height=row.height)

    def _count(self, block: Block, row: blocks.BlockRow, txids: list[bytes]) -> None:
        """What this block gives to the index and the histories, as a sum in which order doesn't matter."""
        for position, (txid, transaction) in enumerate(zip(txids, block.transactions, strict=True)):
            self._index += hash((txid, row.height, position))
            touched = {transaction.receiver}
            if isinstance(transaction, Transfer):
                touched.add(transaction.sender)
            self._history += sum(hash((payload, row.height, position)) for payload in touched)

    def _compare(self, height: int) -> None:
        """The rows hold what the blocks make, and nothing else."""
        replayed = {payload: account for payload, account in self._accounts.items() if account != NO_ACCOUNT}
        if replayed != accounts.everyone(self._conn):
            raise ChainBroken("the balances are not the ones that the blocks make", height=height)
        if sum(account.balance for account in replayed.values()) != self._coin.issued(height):
            raise ChainBroken("the balances do not sum to what was issued", height=height)
        if sum(map(hash, transactions.everything(self._conn))) != self._index:
            raise ChainBroken("the index of transactions is not the one that the blocks make", height=height)
        if sum(map(hash, accounts.all_history(self._conn))) != self._history:
            raise ChainBroken("the accounts' histories are not the ones that the blocks make", height=height)


def _size(block: Block) -> int:
    """Bytes of the whole block."""
    count = len(codec.encode_count(len(block.transactions)))
    return HEADER_SIZE + count + sum(map(codec.transaction_size, block.transactions))
