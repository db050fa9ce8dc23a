"""The first shape of a node: its parts in this process, without a server; and what both shapes have alike.

A test of the chain, the store, the mempool, sync or a worker wants this one; `running` has the other.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from sqlalchemy import Connection, select

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.mempool import Mempool
from moneyer.node.chain.outcomes import Outcome
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import Account, Block
from moneyer.node.p2p.sync.sync import Sync
from moneyer.node.p2p.table.peer_table import PeerTable
from moneyer.node.store import accounts, blocks
from moneyer.node.store.assets import asset_pages
from moneyer.node.store.blocks import BlockRow
from moneyer.node.store.engine import Store
from moneyer.node.store.peers import PeerRow
from moneyer.node.store.tables import account_history, transactions
from moneyer.node.store.tables import accounts as account_table
from moneyer.node.store.tables import mempool as mempool_table
from moneyer.node.store.unconfirmed import entries as mempool_rows
from moneyer.node.store.unconfirmed import order
from tests.kit.chains import GENESIS_TIME, ChainBuilder, Key, payload_of
from tests.kit.databases import node_config
from tests.kit.waiting import wait_until

DEADLINE = 20.0
"""Total seconds of a request to a peer; fewer where a test has one that is silent or drips."""
NOW = GENESIS_TIME + 10**8
"""Later than every block that a builder makes."""


def place_coin(data: Path, coin: Coin) -> None:
    """Make a data folder that a node of this coin can be started on."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "coin.toml").write_text(coin_to_toml(coin), "utf-8")


class AnyNode(ABC):
    """What a node is to a test, in whichever shape: a data folder with a Config and a coin, that takes blocks."""

    config: Config
    coin: Coin

    @property
    @abstractmethod
    def height(self) -> int:
        """Of its main chain's tip."""

    @property
    @abstractmethod
    def tip_hash(self) -> bytes:
        """32 bytes, in internal order."""

    @abstractmethod
    def take_block(self, raw: bytes) -> str:
        """Hand it one encoded block; what became of it, as `Outcome.status` or a rule's code."""

    def take(self, chain: ChainBuilder, start: int = 1) -> list[str]:
        """Hand it a builder's blocks from a height on; what became of each."""
        return [self.take_block(raw) for raw in chain.raw[start - 1 :]]

    def wait_for_height(self, height: int, timeout: float = 30) -> None:
        wait_until(lambda: self.height >= height, timeout, f"height {height} of {self.config.data}")

    def wait_for_tip(self, chain: ChainBuilder, timeout: float = 20) -> None:
        """Until its tip is the builder's."""
        wanted = chain.tip_hash
        wait_until(lambda: self.tip_hash == wanted, timeout, f"the tip of height {chain.height} of {self.config.data}")


class Node(AnyNode):
    """A node's store, chain and mempool in this process, open from the start; its table of peers when it is asked for.

    It serves nothing and keeps no links. A context manager, closed at its end.
    """

    def __init__(
        self, folder: Path, coin: Coin, *, busy_seconds: float = 10, deadline: float = DEADLINE, **config: Any
    ) -> None:
        """`deadline`: seconds that a peer has to answer; `config`: fields of Config."""
        self.config = node_config(folder, **config)
        self.coin = coin
        self.store = Store.open(self.config, coin, busy_seconds=busy_seconds)
        self.mempool = Mempool(self.store)
        self.chain = Chain(self.store)
        self._deadline = deadline

    @cached_property
    def peers(self) -> PeerTable:
        return PeerTable(self.store, self.config, deadline=self._deadline)

    @cached_property
    def sync(self) -> Sync:
        return Sync(self.chain, self.peers)

    def close(self) -> None:
        if "peers" in vars(self):
            self.peers.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def offer(self, block: Block | bytes, *, asked: bool = False) -> Outcome:
        """Raises RuleError. `asked`: the block was asked for, so that an orphan is no surprise."""
        raw = block if isinstance(block, bytes) else codec.encode_block(block)
        return self.chain.accept_block(raw, NOW, asked=asked)

    def offer_all(self, blocks: list[Block] | list[bytes], *, asked: bool = False) -> list[str]:
        """The status of each."""
        return [self.offer(block, asked=asked).status for block in blocks]

    def take_block(self, raw: bytes) -> str:
        try:
            return self.offer(raw).status
        except RuleError as error:
            return error.code

    @property
    def tip(self) -> BlockRow:
        with self.store.read() as conn:
            return blocks.tip(conn)

    @property
    def height(self) -> int:
        return self.tip.height

    @property
    def tip_hash(self) -> bytes:
        return self.tip.block_hash

    def block(self, height: int) -> BlockRow:
        """Of the main chain."""
        with self.store.read() as conn:
            row = blocks.by_height(conn, height)
        assert row is not None
        return row

    def row(self, block_hash: bytes) -> BlockRow | None:
        """Of any branch."""
        with self.store.read() as conn:
            return blocks.by_hash(conn, block_hash)

    def peer(self, url: str) -> PeerRow:
        return next(row for row in self.peers.listed() if row.url == url)

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
    """The chain, its accounts and assets and the mempool as values that can be compared."""
    history = select(account_table.c.payload, account_history.c.height, account_history.c.position).join_from(
        account_history, account_table, account_history.c.account_id == account_table.c.account_id
    )
    return {
        "tip": blocks.tip(conn),
        "main_chain": [(row.height, row.block_hash) for row in blocks.oldest_first(conn, 0, 10**6)],
        "accounts": accounts.everyone(conn),
        "transactions": sorted(map(tuple, conn.execute(select(transactions)))),
        "history": sorted(map(tuple, conn.execute(history))),
        "assets": asset_pages.everything(conn),
        "holdings": asset_pages.all_holdings(conn),
        "asset_history": sorted(asset_pages.all_history(conn)),
        "mempool": sorted(map(tuple, conn.execute(select(mempool_table)))),
        "mempool_totals": mempool_rows.totals(conn),
    }


OpenNode = Callable[..., Node]
"""`open_node(coin, folder=…, **options)`; without a folder always the test's one."""
MakeNode = Callable[..., Node]
"""`make_node(coin, **options)`: each on a folder of its own."""


@pytest.fixture
def open_node(tmp_path: Path) -> Iterator[OpenNode]:
    """Nodes that are closed when the test ends."""
    with ExitStack() as opened:

        def open_one(coin: Coin, folder: Path | None = None, **options: Any) -> Node:
            return opened.enter_context(Node(folder or tmp_path / "data", coin, **options))

        yield open_one


@pytest.fixture
def make_node(tmp_path: Path, open_node: OpenNode) -> MakeNode:
    numbers = count()
    return lambda coin, **options: open_node(coin, tmp_path / f"node{next(numbers)}", **options)


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder that no disk is waited for, where the system has one: for long runs that test no durability."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="moneyer-test-", dir=shared if shared.is_dir() else None))
    yield folder
    shutil.rmtree(folder)
