"""Reads cost what they answer with, and not what there is: counted in SQLite's own steps, on 500,000 transfers,
60,000 blocks, 190,000 waiting transfers that all pay the same, 100,000 assets and as many holders of one of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from moneyer.node.config import Config
from moneyer.node.core.codec import sha256d
from moneyer.node.store import accounts, blocks, transactions
from moneyer.node.store.assets import asset_pages
from moneyer.node.store.assets.asset_pages import Holder
from moneyer.node.store.engine import Store
from moneyer.node.store.explore import digits, series, tree
from moneyer.node.store.explore.tree import Leaves
from moneyer.node.store.transactions import Place
from moneyer.node.store.unconfirmed import order
from tests.kit.chains import easy_coin

T = TypeVar("T")

BLOCKS, FULL, PER_BLOCK, WAITING, ASSETS = 60_000, 100, 5_000, 190_000, 100_000
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {} - 1) "
HASH = "CAST(printf('%032d', {}) AS BLOB)"

FILL = (
    "DELETE FROM bodies",
    "DELETE FROM blocks",
    NUMBERS.format(BLOCKS)
    + f"INSERT INTO blocks SELECT i + 1, {HASH.format('i')}, {HASH.format('i - 1')}, i, {HASH.format('i')},"
    " 'connected', 1, NULL, zeroblob(80), 80, 1, zeroblob(33), 0, 0, i, 0, i * 80, i FROM n",
    NUMBERS.format(FULL * PER_BLOCK // 50)
    + f"INSERT INTO bodies SELECT {BLOCKS - FULL + 1} + i * 50 / {PER_BLOCK}, i * 50 % {PER_BLOCK}, zeroblob(16000),"
    " zeroblob(200) FROM n",
    NUMBERS.format(FULL * PER_BLOCK)
    + f"INSERT INTO transactions SELECT {HASH.format('i + 1000000')}, {BLOCKS - FULL} + i / {PER_BLOCK},"
    f" i % {PER_BLOCK} FROM n",
    "INSERT INTO accounts SELECT 900, CAST(printf('%033d', 7) AS BLOB), 1, 0",
    NUMBERS.format(FULL * PER_BLOCK)
    + f"INSERT INTO account_history SELECT 900, {BLOCKS - FULL} + i / {PER_BLOCK}, i % {PER_BLOCK} FROM n",
    "INSERT INTO asset_history SELECT 7, height, position FROM account_history WHERE account_id = 900",
    # Two issuers and three symbols in turn. One account holds all of them, and everyone one of them.
    NUMBERS.format(ASSETS)
    + f"INSERT INTO assets SELECT i + 1, {HASH.format('i + 1')}, CAST(printf('%033d', i % 2) AS BLOB), 'S' || (i % 3),"
    f" 'Asset', 0, zeroblob(32), {10**9}, {10**9}, 0, i / 2 FROM n",
    NUMBERS.format(ASSETS)
    + "INSERT INTO accounts SELECT i + 1000, CAST(printf('%033d', i + 1000) AS BLOB), 0, 0 FROM n",
    NUMBERS.format(ASSETS) + "INSERT INTO holdings SELECT i + 1000, 7, i % 500 + 1 FROM n",
    NUMBERS.format(ASSETS) + "INSERT INTO holdings SELECT 900, i + 1, 3 FROM n",
)
INSERT_WAITING = (
    "INSERT INTO mempool (arrived, txid, sender, sequence, receiver, cost, fee, fee_rate, size, ready, raw)"
    " VALUES (?, ?, ?, ?, zeroblob(33), 2, 1, 5, 155, ?, ?)"
)


def waiting() -> Iterator[tuple[int, bytes, bytes, int, int, bytes]]:
    """Rows of the mempool: arrived, txid, sender, sequence, ready, raw. No transfers, but each of its own txid."""
    for number in range(WAITING):
        raw = b"%0155d" % number
        yield number + 1, sha256d(raw), b"%033d" % (number // 1000), number % 1000, number % 2, raw


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="moneyer-test-", dir=shared if shared.is_dir() else None))
    opened = Store.open(Config(folder), easy_coin())

    def fill(conn: Connection) -> None:
        for statement in FILL:
            conn.exec_driver_sql(statement)
        conn.exec_driver_sql(INSERT_WAITING, list(waiting()))

    opened.write(fill)
    yield opened
    opened.close()
    shutil.rmtree(folder)


def steps(store: Store, read: Callable[[Connection], T]) -> tuple[T, int]:
    """What was read, and how many instructions of SQLite's virtual machine that took, to the nearest hundred below."""
    hundreds = 0

    def tick() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    with store.read() as conn:
        raw = conn.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(tick, 100)
        try:
            found = read(conn)
        finally:
            raw.set_progress_handler(None, 0)
    return found, 100 * hundreds


PAGE = 1000
BUSY = b"%033d" % 7
"""The account that all transfers touch."""
MIDDLE = Place(BLOCKS - FULL // 2, PER_BLOCK // 2)
HELD = b"%032d" % 7
"""The asset that all transfers touch, and that all accounts hold."""
MIDDLE_HOLDER = Holder(ASSETS // 2, b"", 250)

READS: dict[str, Callable[[Connection], Any]] = {
    "a history": lambda conn: accounts.history(conn, BUSY, None, PAGE),
    "a history from its middle": lambda conn: accounts.history(conn, BUSY, MIDDLE, PAGE),
    "a page of blocks": lambda conn: blocks.newest_first(conn, None, PAGE),
    "a page of blocks from the middle": lambda conn: blocks.newest_first(conn, BLOCKS // 2, PAGE),
    "all assets": lambda conn: asset_pages.newest(conn, PAGE),
    "assets of an issuer, from the middle": lambda conn: asset_pages.newest(
        conn, PAGE, before=ASSETS // 2, issuer=b"%033d" % 1
    ),
    "assets of a symbol, from the middle": lambda conn: asset_pages.newest(conn, PAGE, before=ASSETS // 2, symbol="S1"),
    "assets of an issuer and a symbol": lambda conn: asset_pages.newest(
        conn, PAGE, before=ASSETS // 2, issuer=b"%033d" % 1, symbol="S1"
    ),
    "holders": lambda conn: asset_pages.holders(conn, HELD, PAGE),
    "holders from the middle": lambda conn: asset_pages.holders(conn, HELD, PAGE, MIDDLE_HOLDER),
    "what an account holds": lambda conn: asset_pages.held(conn, BUSY, PAGE),
    "what an account holds, from the middle": lambda conn: asset_pages.held(conn, BUSY, PAGE, ASSETS // 2),
    "an asset's history": lambda conn: asset_pages.history(conn, HELD, None, PAGE),
    "an asset's history from its middle": lambda conn: asset_pages.history(conn, HELD, MIDDLE, PAGE),
    "the mempool by fee rate": lambda conn: list(order.raws_by_fee_rate(conn, PAGE)),
}


@pytest.mark.parametrize("what", READS)
def test_a_page_of_a_thousand_costs_a_thousand_rows(store: Store, what: str) -> None:
    found, taken = steps(store, READS[what])
    assert len(found) == PAGE
    assert taken <= 250 * PAGE


BOUNDED: dict[str, tuple[Callable[[Connection], Any], int]] = {
    "the tree": (lambda conn: tree.newest(conn, 200)[0], 200),
    "500 points along the chain": (lambda conn: series.samples(conn, range(0, 501 * 119, 119)), 501),
    "blocks by their first digits": (lambda conn: digits.blocks_beginning(conn, "0" * 9, 11), 0),
    "transactions by their first digits": (lambda conn: digits.transactions_beginning(conn, "3030", 11), 0),
    "waiting transfers by their first digits": (lambda conn: digits.waiting_beginning(conn, "ab", 11), 11),
    "the largest accounts": (lambda conn: accounts.richest(conn, 100), 1),
    "how many accounts there are": (lambda conn: [accounts.count_known(conn)], 1),
}


@pytest.mark.parametrize("what", BOUNDED)
def test_what_pages_draw_from_costs_as_many_rows_as_it_shows(store: Store, what: str) -> None:
    read, rows = BOUNDED[what]
    found, taken = steps(store, read)
    assert len(found) >= rows
    assert taken <= 1_000 + 60 * max(rows, len(found)) + (6 * digits.WAITING if "waiting" in what else 0)


def test_one_transaction_costs_one(store: Store) -> None:
    txid = (b"%032d" % (1_000_000 + 250_077))[::-1]
    found, taken = steps(store, lambda conn: transactions.get(conn, txid))
    assert found is not None
    assert found.place == Place(BLOCKS - FULL + 50, 77)
    assert taken <= 300


def test_one_asset_and_one_holding_cost_one(store: Store) -> None:
    found, taken = steps(store, lambda conn: asset_pages.get(conn, HELD))
    assert found is not None
    assert (found.number, found.issuer, found.symbol) == (7, b"%033d" % 0, "S0")
    held, more = steps(store, lambda conn: asset_pages.holding(conn, b"%033d" % (1_000 + 77), HELD))
    assert held == 78
    assert taken <= 300
    assert more <= 300


def test_the_tips_of_a_tree_that_was_seen_cost_what_joined_since(store: Store) -> None:
    leaves = Leaves()
    first, _ = steps(store, leaves.look)
    again, taken = steps(store, leaves.look)
    assert [row.height for row in first] == [row.height for row in again] == [BLOCKS - 1]
    assert taken <= 500


def test_the_whole_pool_can_be_asked_for(store: Store) -> None:
    found, _ = steps(store, lambda conn: list(order.raws_by_fee_rate(conn, WAITING + 5)))
    assert len(found) == WAITING
