"""No query that every block or transfer makes reads a whole table: a node must not slow down as its chain grows."""

from __future__ import annotations

import pytest

from moneyer.node.core import codec
from moneyer.node.store import accounts, blocks, mining, transactions
from moneyer.node.store.assets import asset_pages
from moneyer.node.store.explore import digits, series, tree
from moneyer.node.store.explore.tree import Leaves
from moneyer.node.store.unconfirmed import claims, entries, eviction, order
from tests.kit.chains import ChainBuilder, burn, easy_coin, issue, key, mint, pay, transfer
from tests.kit.nodes import NOW, Node, OpenNode
from tests.kit.statements import plan, statements

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**6)], rules=2)
SMALL = ("mempool_totals",)
"""Tables of one row."""


def use(node: Node) -> None:
    """What nodes do all day."""
    chain = ChainBuilder(COIN, "one")
    side = chain.branch(0, "other")
    for builder, count in ((chain, 4), (side, 6)):
        for _ in range(count):
            builder.add([builder.transfer(ALICE, BOB, 1, 1)])
    node.offer_all(chain.raw[:2])
    node.chain.accept_blocks(chain.raw[2:], NOW)
    node.chain.accept_blocks(side.raw, NOW)
    use_assets(node, side)
    waiting = side.transfer(ALICE, BOB, 5, 2)
    node.mempool.accept_transfer(waiting)
    node.chain.template(BOB.payload, NOW, b"")
    node.offer(side.add([waiting]))
    with node.store.read() as conn:
        tip = blocks.tip(conn)
        blocks.locator(conn)
        blocks.headers_after(conn, [tip.block_hash], 10)
        blocks.newest_first(conn, 3, 2)
        blocks.oldest_first(conn, 3, 2)
        blocks.by_height(conn, 3)
        found = transactions.get(conn, codec.txid(waiting))
        assert found is not None
        assert transactions.find(conn, codec.txid(waiting)) == found.place
        transactions.of_block(conn, tip.joined)
        accounts.history(conn, BOB.payload, found.place, 5)
        accounts.history(conn, BOB.payload, None, 5)
        accounts.richest(conn, 3)
        accounts.count_known(conn)
        list(blocks.oldest_whole(conn, 3, 2))
        assert blocks.raw(conn, tip.block_hash)
        blocks.fork_heights(conn, Leaves().look(conn))
        tree.newest(conn, 3)
        series.samples(conn, range(0, 5, 2))
        for text in ("abcd", "0" * 13):
            digits.blocks_beginning(conn, text, 3)
            digits.transactions_beginning(conn, text, 3)
        digits.accounts_between(conn, bytes(33), b"\xff" * 33, 3)
        order.by_fee_rate(conn, 3)
        order.raws_by_fee_rate(conn, 3)
        eviction.worst(conn)
        entries.of_sender(conn, ALICE.payload)
        entries.incoming(conn, ALICE.payload)
        mining.next_open(conn)


def use_assets(node: Node, chain: ChainBuilder) -> None:
    """An issue, a payment, a mint and a burn, two of them by way of the pool; a reorg of all; and what pages ask."""
    start = chain.account(ALICE).sequence
    made = issue(COIN, ALICE, 100, sequence=start)
    asset = codec.asset_id(COIN.chain_id, made)
    rival = chain.branch(chain.height, "rival")
    for spend in (
        made,
        pay(COIN, ALICE, BOB, 10, asset, 1, start + 1),
        mint(COIN, ALICE, asset, 5, fee=1, sequence=start + 2),
        burn(COIN, ALICE, asset, 5, fee=1, sequence=start + 3),
    ):
        if spend is not made:
            node.mempool.accept_transfer(spend)
        node.chain.template(BOB.payload, NOW, b"")
        node.offer(chain.add([spend]))
    with node.store.read() as conn:
        assert asset_pages.get(conn, asset)
        assert asset_pages.newest(conn, 3)
        assert asset_pages.newest(conn, 3, issuer=ALICE.payload)
        assert asset_pages.newest(conn, 3, symbol="TICKET")
        assert asset_pages.newest(conn, 3, issuer=ALICE.payload, symbol="TICKET")
        first, *_ = asset_pages.holders(conn, asset, 3)
        assert len(asset_pages.holders(conn, asset, 3, first)) == 1
        assert len(asset_pages.history(conn, asset, None, 5)) == 4
        assert asset_pages.held(conn, BOB.payload, 3)
        assert asset_pages.holding(conn, BOB.payload, asset) == 10
    rival.add([made])
    rival.grow(4)
    node.chain.accept_blocks(rival.raw, NOW)
    chain.blocks, chain.ledger = rival.blocks, rival.ledger
    assert node.tip_hash == chain.tip_hash


@pytest.fixture
def node(open_node: OpenNode) -> Node:
    return open_node(COIN)


def test_no_everyday_query_reads_a_whole_table(node: Node) -> None:
    with statements(node.store) as seen:
        use(node)
    assert len(set(seen)) > 30
    scans = {}
    for statement in set(seen):
        steps = [step for step in plan(node.store, statement) if step.startswith("SCAN") and not is_cheap(step)]
        if steps:
            scans[statement] = steps
    assert not scans


def test_a_full_pool_is_read_by_indexes_that_hold_all_that_is_asked(open_node: OpenNode) -> None:
    coin = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])
    node = open_node(coin, mempool_bytes=2 * codec.TRANSFER_BASE)
    with statements(node.store) as seen:
        for sequence, fee in ((0, 1), (2, 5), (1, 5)):  # the waiting one goes for the last
            node.mempool.accept_transfers([transfer(coin, ALICE, BOB, 1, fee, sequence)])
        node.mempool.accept_transfers([transfer(coin, BOB, ALICE, 1, 90, 0)])
        node.store.write(lambda conn: eviction.fill_gap(conn, ALICE.payload, 0))
    sums = [statement for statement in seen if "sum(mempool.cost)" in statement]
    updates = [statement for statement in seen if statement.startswith("UPDATE mempool SET")]
    assert sums
    assert len(updates) >= 2
    for statement in sums:
        assert "SEARCH mempool USING COVERING INDEX ix_mempool_sender_cost (sender=?)" in plan(node.store, statement)
    for statement in updates:
        assert any(
            "ix_mempool_sender_cost (sender=? AND ready=? AND sequence>?" in step
            for step in plan(node.store, statement)
        )


def test_what_waits_for_an_account_is_summed_from_an_index_alone(node: Node) -> None:
    """However many wait: a row of the pool is some 300 bytes, and one of an index 50."""
    with statements(node.store) as seen, node.store.read() as conn:
        entries.incoming(conn, ALICE.payload)
    (statement,) = [each for each in seen if "mempool" in each]
    assert plan(node.store, statement) == ["SEARCH mempool USING COVERING INDEX ix_mempool_receiver_cost (receiver=?)"]


def test_what_a_sender_has_in_the_pool_of_an_asset_is_summed_once_and_from_an_index_alone(node: Node) -> None:
    """It is asked for each spend of an asset that comes, and the sender may have thousands."""
    with statements(node.store) as seen, node.store.read() as conn:
        claims.view(conn, ALICE.payload, bytes(32), 5)
    (statement,) = seen
    assert [step for step in plan(node.store, statement) if "mempool" in step] == [
        "SEARCH mempool USING COVERING INDEX ix_mempool_asset (sender=? AND asset=?)",
        "SEARCH mempool USING INDEX sqlite_autoindex_mempool_2 (sender=? AND sequence=?)",
    ]


def is_cheap(step: str) -> bool:
    """One row, or in the order of an index (and then the statement has a limit), or what the statement made itself."""
    words = step.split()
    return words[1] in SMALL or "USING" in words or words[1] == "CONSTANT" or words[1].startswith("anon_")
