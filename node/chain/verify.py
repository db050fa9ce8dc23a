"""Proof of a whole database: every block from genesis, replayed in memory and held against the rows.

First the file (pages, indexes, constraints, references), then the main chain, the side branches where they fork off,
what is known to be invalid, the accounts, the assets, the indexes, the mempool. Each stored column that follows from
others is computed anew; peers, jobs and settings follow from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..core import codec, ledger, pow, rules
from ..core.assets import Asset, Holding, asset_of
from ..core.codec import sha256d, show
from ..core.coin import Coin
from ..core.errors import MoneyerError, RuleError
from ..core.ledger import BlockContext, Ledger
from ..core.rules import HeaderContext
from ..core.template import fee_rate
from ..core.types import HEADER_SIZE, NO_ACCOUNT, Account, Block, Coinbase, Envelope, Spend
from ..store import accounts, blocks, transactions
from ..store.assets import asset_pages
from ..store.engine import Store
from ..store.errors import StoreDamaged, cause_of
from ..store.explore import series
from ..store.opening import check
from ..store.unconfirmed import entries
from ..store.unconfirmed.claims import claim_of
from .pipeline import Ancestry
from .signatures import verify_signatures

_BATCH = 200


class ChainBroken(MoneyerError):
    """The stored chain is not valid; `details["height"]` tells where."""

    code = "chain_broken"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proved. `height`: of the tip; `transfers`: how many spends' signatures were checked."""

    height: int
    transfers: int


def verify_chain(store: Store, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check the file, every block of the tree from genesis, and that all other rows are what they make.

    `progress(height, tip_height)` is called now and then. Raises ChainBroken at the first thing that is wrong.
    """
    with store.read_long() as conn:
        return verify_rows(conn, store.coin, progress)


def verify_rows(conn: Connection, coin: Coin, progress: Callable[[int, int], None] | None = None) -> Verified:
    """`verify_chain`, of what a connection sees."""
    return _Replay(conn, coin).run(progress)


def prove_copy(conn: Connection, coin: Coin, progress: Callable[[int, int], None] | None = None) -> None:
    """`verify_rows` of a copy that is made: raises StoreDamaged, and DBAPIError where rows could not be read."""
    try:
        verify_rows(conn, coin, progress)
    except ChainBroken as error:
        if isinstance(error.__cause__, DBAPIError):  # the server is gone, say: nothing is known of the rows
            raise error.__cause__ from None
        raise StoreDamaged(error.message) from None


Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Before:
    """What of the ledger a block touches, as it was before it; None for what there was not."""

    accounts: dict[bytes, Account | None]
    assets: dict[bytes, Asset | None]
    holdings: dict[Holding, int | None]


def _put_back(mapping: MutableMapping[Key, Value], before: dict[Key, Value | None]) -> None:
    for key, value in before.items():
        if value is None:
            mapping.pop(key, None)
        else:
            mapping[key] = value


class _Replay:
    def __init__(self, conn: Connection, coin: Coin) -> None:
        self._coin = coin
        self._conn = conn
        self._ancestry = Ancestry(coin)
        self._ledger = Ledger({})
        self._transfers = 0
        self._index = 0
        self._history = 0
        self._history_rows = 0
        self._asset_history = 0
        self._asset_history_rows = 0
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
        """Checks every side block on a branch from `fork`. The ledger is the one after `fork`, and is restored."""
        todo: list[tuple[blocks.BlockRow, blocks.BlockRow | None]] = [
            (side, fork) for side in self._sides.get(fork.block_hash, ())
        ]
        before: dict[bytes, _Before | None] = {}
        while todo:
            row, parent = todo.pop()
            if parent is None:  # all that stands on it was looked at
                self._restore(before.pop(row.block_hash, None))
                continue
            before[row.block_hash] = self._check_side(row, parent)
            self._joined[row.block_hash] = row
            todo.append((row, None))
            todo += [(child, row) for child in self._sides.get(row.block_hash, ())]

    def _before(self, block: Block) -> _Before:
        touched, now = ledger.touched_by(block, self._coin.chain_id), self._ledger
        return _Before(
            {payload: now.accounts.get(payload) for payload in touched.payloads},
            {asset: now.assets.get(asset) for asset in touched.assets},
            {key: now.holdings.get(key) for key in touched.holdings},
        )

    def _restore(self, before: _Before | None) -> None:
        if before is not None:
            _put_back(self._ledger.accounts, before.accounts)
            _put_back(self._ledger.assets, before.assets)
            _put_back(self._ledger.holdings, before.holdings)

    def _check_side(self, row: blocks.BlockRow, parent: blocks.BlockRow) -> _Before | None:
        """A block off the main chain, against the rules as far as its status says; what it changed, where it did."""
        name = f"block {show(row.block_hash)[:16]}… of a side branch"
        wrong = self._side_row(row, parent)
        if wrong is not None:
            raise ChainBroken(f"{name}: {wrong}", height=row.height)
        context = self._check_header(row, parent)
        parts = transactions.parts_of_block(self._conn, row.joined)
        if row.status == blocks.INVALID:
            if parts:
                raise ChainBroken(f"{name} is invalid, and its body is kept", height=row.height)
            return None
        block, txids = self._stored(row)
        rules.check_size(_size(block), self._coin)
        rules.check_body_in_isolation(block, txids, self._coin.rules)
        self._compare_columns(block, row, parent)
        if row.status != blocks.CONNECTED:
            return None
        before = self._before(block)
        self._apply(block, context)
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

    def _check_header(self, row: blocks.BlockRow, parent: blocks.BlockRow) -> HeaderContext:
        header = row.header
        if sha256d(codec.encode_header(header)) != row.block_hash:
            raise ChainBroken(f"the header of block {row.height} is not the one of its hash", height=row.height)
        rules.check_header_in_isolation(header, row.block_hash, self._coin)
        context = self._ancestry.context_after(self._conn, parent.block_hash)
        # Time cannot run backwards for a block that was accepted once: it is old enough by its own timestamp.
        rules.check_header_in_context(header, context, self._coin, now=header.timestamp)
        return context

    def _stored(self, row: blocks.BlockRow) -> tuple[Block, list[bytes]]:
        """A block and its txids; what is kept to find a single transaction in it is checked."""
        parts = transactions.parts_of_block(self._conn, row.joined)
        if check.root_of(parts) != row.header.merkle_root:
            raise ChainBroken(
                f"the body of block {row.height}, or where its parts begin, is damaged", height=row.height
            )
        body = b"".join(part for _, part, _ in parts)
        found, txids = codec.decode_body_and_txids(body, rules=self._coin.rules)
        return Block(row.header, found), txids

    def _apply(self, block: Block, context: HeaderContext) -> int:
        """How many spends it has."""
        spends, chain_id = ledger.spends_of(block), self._coin.chain_id
        ledger.apply_block(
            self._ledger,
            block,
            BlockContext(chain_id, context.height, lambda: context.median_time_past),
            subsidy=self._coin.subsidy(context.height),
            signatures=verify_signatures(chain_id, spends),
        )
        return len(spends)

    def _check_pool(self, height: int) -> None:
        """Each waiting spend is what its row says, and ready exactly where all before it are."""
        following: dict[bytes, int] = {}
        spends = []
        for row in entries.stored(self._conn):
            try:
                spend = codec.decode_spend(row.raw, rules=self._coin.rules)
                rules.check_transaction_in_isolation(spend, self._coin.rules)
            except RuleError as error:
                raise ChainBroken(f"a waiting transfer is damaged: {error}", height=height) from error
            spends.append(spend)
            if _noted(row) != _noted_of(spend, row.raw):
                raise ChainBroken("what is noted of a waiting transfer is not what it says", height=height)
            state = self._ledger.accounts.get(spend.sender, NO_ACCOUNT)
            is_ready = spend.sequence == following.get(spend.sender, state.sequence)
            if is_ready:
                following[spend.sender] = spend.sequence + 1
            if row.ready != is_ready:
                raise ChainBroken("whether a waiting transfer is ready is noted wrongly", height=height)
            if row.head != (spend.sequence == state.sequence):
                raise ChainBroken("whether a waiting transfer is its sender's next is noted wrongly", height=height)
        if not all(verify_signatures(self._coin.chain_id, spends)):
            raise ChainBroken("a waiting transfer's signature is wrong", height=height)
        if entries.totals(self._conn) != (len(spends), sum(map(codec.transaction_size, spends))):
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
        ledger.apply_genesis(self._ledger, block)

    def _block(self, block: Block, row: blocks.BlockRow, parent: blocks.BlockRow, txids: list[bytes]) -> None:
        if block.header.prev_hash != parent.block_hash:
            raise ChainBroken(f"block {row.height} does not stand on block {row.height - 1}", height=row.height)
        if row.joined <= parent.joined:
            raise ChainBroken(f"block {row.height} is noted to have come before its parent", height=row.height)
        context = self._check_header(row, parent)
        rules.check_size(_size(block), self._coin)
        rules.check_body_in_isolation(block, txids, self._coin.rules)
        self._transfers += self._apply(block, context)
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
            if not isinstance(transaction, Coinbase):
                touched.add(transaction.sender)
            self._history += sum(hash((payload, row.height, position)) for payload in touched)
            self._history_rows += len(touched)
            asset = asset_of(self._coin.chain_id, transaction) if isinstance(transaction, Envelope) else None
            if asset is not None:
                self._asset_history += hash((asset, row.height, position))
                self._asset_history_rows += 1

    def _compare(self, height: int) -> None:
        """The rows hold what the blocks make, and nothing else."""
        replayed = {payload: account for payload, account in self._ledger.accounts.items() if account != NO_ACCOUNT}
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
        self._compare_assets(height)

    def _compare_assets(self, height: int) -> None:
        replayed, conn = self._ledger, self._conn
        if replayed.assets != asset_pages.everything(conn):
            raise ChainBroken("the assets are not the ones that the blocks make", height=height)
        if replayed.holdings != asset_pages.all_holdings(conn):
            raise ChainBroken("the holdings of assets are not the ones that the blocks make", height=height)
        held = dict.fromkeys(replayed.assets, 0)
        for (_, asset), amount in replayed.holdings.items():
            held[asset] += amount
        for asset, state in replayed.assets.items():
            if held[asset] != state.minted - state.burned or state.minted > state.max_supply:
                raise ChainBroken(f"holdings of asset {asset.hex()} do not sum to what was minted", height=height)
        if (
            sum(map(hash, asset_pages.all_history(conn))) != self._asset_history
            or asset_pages.count_history(conn) != self._asset_history_rows
        ):
            raise ChainBroken("the assets' histories are not the ones that the blocks make", height=height)


def _noted(row: entries.StoredTransfer) -> tuple[object, ...]:
    """The columns of the mempool that follow from a spend alone."""
    paying = (row.cost, row.fee, row.fee_rate, row.size)
    claimed = (row.asset, row.asset_amount, row.mints, row.lock_height, row.lock_time)
    return (row.txid, row.sender, row.sequence, row.receiver, *paying, *claimed)


def _noted_of(spend: Spend, raw: bytes) -> tuple[object, ...]:
    """What a spend makes of those."""
    claim = claim_of(spend)
    paying = (spend.cost, spend.fee, fee_rate(spend), len(raw))
    claimed = (claim.asset, claim.amount, claim.mints, claim.locks.height, claim.locks.time)
    return (sha256d(raw), spend.sender, spend.sequence, spend.receiver, *paying, *claimed)


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
