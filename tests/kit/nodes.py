"""Real nodes without a server: a data folder, its store, its chain and its mempool; and what their rows say."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.mempool import Mempool
from moneyer.node.chain.outcomes import Outcome
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Account, Block
from moneyer.node.store import accounts, blocks
from moneyer.node.store.engine import Store
from moneyer.node.store.tables import account_history, transactions
from moneyer.node.store.tables import accounts as account_table
from moneyer.node.store.tables import mempool as mempool_table
from moneyer.node.store.unconfirmed import entries as mempool_rows
from moneyer.node.store.unconfirmed import order
from tests.kit.chains import GENESIS_TIME, Key, payload_of

NOW = GENESIS_TIME + 10**8
"""Later than every block that a builder makes."""


@dataclass
class Node:
    store: Store
    mempool: Mempool
    chain: Chain

    @classmethod
    def open(cls, folder: Path, coin: Coin, *, busy_seconds: float = 10, **config: Any) -> Node:
        store = Store.open(Config(folder, **config), coin, busy_seconds=busy_seconds)
        mempool = Mempool(store)
        return cls(store, mempool, Chain(store))

    @property
    def coin(self) -> Coin:
        return self.store.coin

    def offer(self, block: Block | bytes, *, asked: bool = False) -> Outcome:
        raw = block if isinstance(block, bytes) else codec.encode_block(block)
        return self.chain.accept_block(raw, NOW, asked=asked)

    def offer_all(self, blocks: list[Block] | list[bytes], *, asked: bool = False) -> list[str]:
        """The status of each."""
        return [self.offer(block, asked=asked).status for block in blocks]

    def tip(self) -> blocks.BlockRow:
        with self.store.read() as conn:
            return blocks.tip(conn)

    def account(self, who: Key | bytes) -> Account:
        with self.store.read() as conn:
            return accounts.account(conn, payload_of(who))

    def accounts(self) -> dict[bytes, Account]:
        with self.store.read() as conn:
            return accounts.everyone(conn)

    def pool(self) -> dict[bytes, bool]:
        """txid -> ready."""
        with self.store.read() as conn:
            return {row.txid: row.ready for row in order.by_fee_rate(conn, 10**6)}

    def dump(self) -> dict[str, Any]:
        """Everything that a refused block or transfer must leave as it was, as values."""
        with self.store.read() as conn:
            return dump(conn)


def dump(conn: Connection) -> dict[str, Any]:
    history = select(account_table.c.payload, account_history.c.height, account_history.c.position).join_from(
        account_history, account_table, account_history.c.account_id == account_table.c.account_id
    )
    return {
        "tip": blocks.tip(conn),
        "main_chain": [(row.height, row.block_hash) for row in blocks.oldest_first(conn, 0, 10**6)],
        "accounts": accounts.everyone(conn),
        "transactions": sorted(map(tuple, conn.execute(select(transactions)))),
        "history": sorted(map(tuple, conn.execute(history))),
        "mempool": sorted(map(tuple, conn.execute(select(mempool_table)))),
        "mempool_totals": mempool_rows.totals(conn),
    }


OpenNode = Callable[..., Node]


@pytest.fixture
def open_node(tmp_path: Path) -> Iterator[OpenNode]:
    """`open_node(coin, folder=…, **config)`: nodes that are closed when the test ends. Default folder: one a test."""
    opened: list[Node] = []

    def open_one(coin: Coin, folder: Path | None = None, **config: Any) -> Node:
        opened.append(Node.open(folder or tmp_path / "data", coin, **config))
        return opened[-1]

    yield open_one
    for node in opened:
        node.store.close()


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder that no disk is waited for, where the system has one: for long runs that test no durability."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="moneyer-test-", dir=shared if shared.is_dir() else None))
    yield folder
    shutil.rmtree(folder)
