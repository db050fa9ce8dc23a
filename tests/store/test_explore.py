"""What pages read of the chain: right, and bounded however long it is."""

from __future__ import annotations

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.store import accounts, blocks
from moneyer.node.store.errors import StoreDamaged
from moneyer.node.store.explore import digits, series, tree
from tests.kit.chains import ChainBuilder, block_on, easy_coin, key, transfer
from tests.kit.nodes import OpenNode
from tests.kit.statements import plan, statements

pytestmark = pytest.mark.both_databases

ALICE, BOB = key("alice"), key("bob")


def test_a_flood_of_branches_is_cut_and_the_main_chain_is_whole(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_BLOCKS", 20)
    coin = easy_coin()
    node = open_node(coin)
    chain = ChainBuilder(coin)
    chain.grow(10)
    node.take(chain)
    for number in range(15):
        node.offer(block_on(coin, chain.blocks[8].header, 9, extra=number.to_bytes(2, "big")))
    with node.store.read() as conn:
        rows, is_cut = tree.newest(conn, 10)
        assert is_cut
        assert [row.height for row in rows if row.main_chain] == list(range(10, 0, -1))
        assert len(rows) == 20
        rows, is_cut = tree.newest(conn, 5)
        assert not is_cut
        assert len(rows) == 20


@pytest.mark.sqlite_only("it reads SQLite's plans")
def test_each_read_goes_by_an_index_and_sorts_nothing(open_node: OpenNode) -> None:
    """But for the mempool, of which a number of rows is read in the order of its own key."""
    coin = easy_coin(premine=[(ALICE, 10**6)])
    node = open_node(coin)
    chain = ChainBuilder(coin)
    chain.grow(6)
    node.take(chain)
    with statements(node.store) as seen, node.store.read() as conn:
        tree.newest(conn, 3)
        series.samples(conn, range(0, 7, 2))
        for text in ("abcd", "0" * 13):
            digits.blocks_beginning(conn, text, 3)
            digits.transactions_beginning(conn, text, 3)
            digits.waiting_beginning(conn, text, 3)
        digits.accounts_between(conn, bytes(33), b"\xff" * 33, 3)
        accounts.richest(conn, 5)
        accounts.count_known(conn)
    steps = {statement: plan(node.store, statement) for statement in set(seen)}
    assert len(steps) >= 8
    made = ("SEARCH", "CO-ROUTINE", "SCAN anon_")  # what a statement made itself
    scans = [step for each in steps.values() for step in each if not step.startswith(made)]
    # In the order of a key, and each with a limit.
    assert set(scans) == {"SCAN mempool", "SCAN blocks USING INDEX ix_blocks_main_chain"}
    assert all("LIMIT" in statement for statement in steps if any("SCAN" in step for step in steps[statement]))


def test_of_a_full_pool_the_newest_are_looked_through(open_node: OpenNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "WAITING", 2)
    coin = easy_coin(premine=[(ALICE, 10**6)])
    node = open_node(coin)
    waiting = [transfer(coin, ALICE, BOB, 1, 1, sequence) for sequence in range(3)]
    for each in waiting:
        node.mempool.accept_transfer(each)
    txids = [codec.txid(each) for each in waiting]
    with node.store.read() as conn:
        assert [digits.waiting_beginning(conn, show(txid)[:9], 5) for txid in txids] == [[], [txids[1]], [txids[2]]]


@pytest.mark.parametrize(("count", "size"), [(500, 2_000_000), (3, 2_000_000), (500, 700), (4, 1)])
def test_whole_blocks_are_read_a_few_at_a_time_and_are_the_same(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    """A server sends all that a statement asks for: of the whole chain that would be more than there is memory."""
    monkeypatch.setattr(blocks, "_PORTION", count)
    monkeypatch.setattr(blocks, "_PORTION_BYTES", size)
    coin = easy_coin(premine=[(ALICE, 10_000)])
    node = open_node(coin)
    chain = ChainBuilder(coin)
    for height in range(1, 10):
        sequence = chain.account(ALICE).sequence
        chain.add([transfer(coin, ALICE, BOB, 1, 1, sequence + i, bytes(50)) for i in range(height % 4)])
    node.take(chain)
    whole = [codec.encode_block(block) for block in chain.blocks]
    with node.store.read() as conn:
        for first, limit in ((0, 100), (0, 10), (2, 5), (9, 1), (10, 5), (3, 0)):
            found = list(blocks.oldest_whole(conn, first, limit))
            assert [raw for _, raw in found] == whole[first : first + limit]
            assert [row.height for row, _ in found] == list(range(10))[first : first + limit]
        for portion in blocks._portions(blocks.oldest_first(conn, 0, 100)):
            assert len(portion) == 1 or sum(row.size for row in portion) <= size


@pytest.mark.parametrize("height", [0, 4, 9])
def test_a_block_without_its_body_is_met_wherever_it_stands(open_node: OpenNode, height: int) -> None:
    coin = easy_coin()
    node = open_node(coin)
    chain = ChainBuilder(coin)
    chain.grow(9)
    node.take(chain)
    joined = node.block(height).joined
    node.store.write(lambda conn: conn.exec_driver_sql(f"DELETE FROM bodies WHERE joined = {joined}").close())
    with (
        node.store.read() as conn,
        pytest.raises(StoreDamaged, match=f"no body for the block at height {height}"),
    ):
        list(blocks.oldest_whole(conn, 0, 10))
