"""Proof of a whole database: every block from genesis, replayed in memory and held against the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from node.ancestry import Ancestry
from node.core import codec, ledger, rules
from node.core.errors import MoneyerError, RuleError
from node.core.hashing import sha256d
from node.core.types import NO_ACCOUNT, Account, Block
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

    def run(self, progress: Callable[[int, int], None] | None) -> Verified:
        tip = blocks.tip(self._conn)
        prev_hash, height = b"", 0
        while height <= tip.height:
            rows = blocks.oldest_first(self._conn, height, _BATCH)
            if not rows:
                raise ChainBroken(f"block {height} is missing", height=height)
            for row in rows:
                prev_hash = self._replay(row, height, prev_hash)
                height += 1
            if progress:
                progress(height - 1, tip.height)
        self._compare_accounts(tip.height)
        return Verified(tip.height, self._transfers)

    def _replay(self, row: blocks.BlockRow, height: int, prev_hash: bytes) -> bytes:
        try:
            if row.height != height:
                raise ChainBroken(f"block {height} is missing", height=height)
            block = blocks.load(self._conn, row.block_hash)
            if height == 0:
                self._genesis(block)
            else:
                self._block(block, row, prev_hash)
        except (RuleError, LookupError) as error:
            raise ChainBroken(f"block {height} is not valid: {error}", height=height) from error
        return row.block_hash

    def _genesis(self, block: Block) -> None:
        if block != self._coin.genesis:
            raise ChainBroken("block 0 is not this coin's genesis block", height=0)
        ledger.apply_genesis(self._accounts, block)

    def _block(self, block: Block, row: blocks.BlockRow, prev_hash: bytes) -> None:
        header = block.header
        if header.prev_hash != prev_hash:
            raise ChainBroken(f"block {row.height} does not stand on block {row.height - 1}", height=row.height)
        if sha256d(codec.encode_header(header)) != row.block_hash:
            raise ChainBroken(f"the header of block {row.height} is not the one of its hash", height=row.height)
        rules.check_size(row.size, self._coin)
        rules.check_header_in_isolation(header, row.block_hash, self._coin)
        context = self._ancestry.context_after(self._conn, prev_hash)
        # Time cannot run backwards for a block that was accepted once: it is old enough by its own timestamp.
        rules.check_header_in_context(header, context, self._coin, now=header.timestamp)
        txids = [codec.txid(transaction) for transaction in block.transactions]
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
        if transactions.find(self._conn, txids[-1]) != (row.height, len(txids) - 1):
            raise ChainBroken(f"block {row.height} is not in the index of transactions", height=row.height)

    def _compare_accounts(self, height: int) -> None:
        replayed = {payload: account for payload, account in self._accounts.items() if account != NO_ACCOUNT}
        if replayed != accounts.everyone(self._conn):
            raise ChainBroken("the balances are not the ones that the blocks make", height=height)
        if sum(account.balance for account in replayed.values()) != self._coin.issued(height):
            raise ChainBroken("the balances do not sum to what was issued", height=height)
