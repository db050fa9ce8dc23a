"""A full pool: who goes, and who is not let in."""

from __future__ import annotations

import pytest

from moneyer.node.core import codec
from moneyer.node.core.errors import MempoolFull
from moneyer.node.core.types import Transfer
from moneyer.node.store.unconfirmed import entries as rows
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import Node, OpenNode

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {number}") for number in range(8)]
COIN = easy_coin(premine=[(person, 1_000_000) for person in PEOPLE])
SIZE = codec.TRANSFER_BASE
ROOM = 5


def sent(person: int, sequence: int, fee: int, memo: bytes = b"") -> Transfer:
    return transfer(COIN, PEOPLE[person], PEOPLE[0], 1, fee, sequence, memo)


def full_node(open_node: OpenNode, *transfers: Transfer) -> Node:
    """A pool with room for five transfers, filled with these."""
    node = open_node(COIN, mempool_bytes=ROOM * SIZE)
    for each in transfers:
        node.mempool.accept_transfer(each)
    assert set(node.pool()) == {codec.txid(each) for each in transfers}
    return node


def left(node: Node, *transfers: Transfer) -> list[bool | None]:
    """For each: ready, waiting (False), or gone (None)."""
    pool = node.pool()
    return [pool.get(codec.txid(each)) for each in transfers]


def test_the_lowest_fee_goes_first_and_a_lower_newcomer_is_not_let_in(open_node: OpenNode) -> None:
    rich = [sent(number, 0, 100 + number) for number in range(5)]
    node = full_node(open_node, *rich)
    before = node.dump()
    with pytest.raises(MempoolFull):
        node.mempool.accept_transfer(sent(5, 0, 99))
    with pytest.raises(MempoolFull):  # as much as the least: the older stays
        node.mempool.accept_transfer(sent(5, 0, 100))
    assert node.dump() == before
    newcomer = sent(5, 0, 101)
    assert node.mempool.accept_transfer(newcomer).status == "ready"
    assert left(node, *rich, newcomer) == [None, True, True, True, True, True]


def test_waiting_goes_before_ready_whatever_it_pays(open_node: OpenNode) -> None:
    ready, waiting = [sent(number, 0, 10) for number in range(4)], sent(4, 3, 10_000)
    node = full_node(open_node, *ready, waiting)
    assert node.mempool.accept_transfer(sent(5, 0, 10)).status == "ready"
    assert left(node, *ready, waiting) == [True, True, True, True, None]


def test_transfers_that_pay_more_but_cannot_be_mined_yet_do_not_push_out_what_is_ready(open_node: OpenNode) -> None:
    ready = [sent(number, 0, 10) for number in range(5)]
    node = full_node(open_node, *ready)
    before = node.dump()
    for person in (5, 6, 0):
        with pytest.raises(MempoolFull):
            node.mempool.accept_transfer(sent(person, 7, 10_000))
    assert node.dump() == before


def test_a_transfer_does_not_push_out_the_one_that_it_stands_on(open_node: OpenNode) -> None:
    mine, others = sent(0, 0, 10), [sent(number, 0, 50) for number in range(1, 5)]
    node = full_node(open_node, mine, *others)
    before = node.dump()
    with pytest.raises(MempoolFull):
        node.mempool.accept_transfer(sent(0, 1, 10_000))
    assert node.dump() == before


def test_what_stood_behind_an_evicted_transfer_waits_and_goes_next(open_node: OpenNode) -> None:
    chain = [sent(0, 0, 10), sent(0, 1, 90), sent(0, 2, 80)]
    others = [sent(1, 0, 50), sent(2, 0, 50)]
    node = full_node(open_node, *chain, *others)
    assert node.mempool.accept_transfer(sent(3, 0, 60)).status == "ready"
    assert left(node, *chain, *others) == [None, False, False, True, True]
    assert node.mempool.accept_transfer(sent(4, 0, 20)).status == "ready"
    assert left(node, *chain, *others) == [None, False, None, True, True]
    assert node.mempool.next_sequence(PEOPLE[0].payload) == 0


def test_a_larger_replacement_that_does_not_fit_leaves_the_first_where_it_was(open_node: OpenNode) -> None:
    mine, others = sent(0, 0, 10), [sent(number, 0, 5000) for number in range(1, 5)]
    node = full_node(open_node, mine, *others)
    before = node.dump()
    with pytest.raises(MempoolFull):
        node.mempool.accept_transfer(sent(0, 0, 12, b"m" * 100))
    assert node.dump() == before


def test_fee_counts_by_byte(open_node: OpenNode) -> None:
    long = sent(0, 0, 150, b"m" * 140)
    node = open_node(COIN, mempool_bytes=296 + 2 * SIZE)
    short = [sent(1, 0, 100), sent(2, 0, 100)]
    for each in (long, *short):
        node.mempool.accept_transfer(each)
    assert node.mempool.accept_transfer(sent(3, 0, 90)).status == "ready"
    assert left(node, long, *short) == [None, True, True]


def test_a_reorg_leaves_no_more_in_the_pool_than_it_has_room_for(open_node: OpenNode) -> None:
    chain = ChainBuilder(COIN)
    winner = chain.branch(0, "winner")
    node = open_node(COIN, mempool_bytes=ROOM * SIZE)
    returned = [sent(number, 0, 10 + number) for number in range(4)]
    node.offer(chain.add(returned))
    pooled = [sent(number, 0, 100) for number in range(4, 7)]
    for each in (*pooled, sent(0, 1, 500)):
        node.mempool.accept_transfer(each)
    node.offer_all(winner.grow(2))
    assert left(node, *pooled) == [True, True, True]
    with node.store.read() as conn:
        assert rows.totals(conn) == (len(node.pool()), len(node.pool()) * SIZE)
    assert len(node.pool()) == ROOM
    assert left(node, *returned[2:]) == [True, True]


def model_eviction(pool: dict[int, int], newcomer_fee: int) -> None:
    """One sender's pool by sequence and fee, all of one size, makes room for somebody else's ready transfer."""
    run = next(sequence for sequence in range(len(pool) + 1) if sequence not in pool)
    waiting = [sequence for sequence in pool if sequence > run]
    victim = min(waiting or pool, key=lambda sequence: (pool[sequence], -sequence))
    if waiting or pool[victim] < newcomer_fee:
        del pool[victim]


def test_a_pool_of_one_senders_transfers_gives_way_one_by_one(open_node: OpenNode) -> None:
    fees = [30, 90, 20, 70, 20, 60, 10, 80, 50, 40, 20, 100]
    pool = dict(enumerate(fees))
    mine = [sent(0, sequence, fee) for sequence, fee in pool.items()]
    node = open_node(COIN, mempool_bytes=len(mine) * SIZE)
    node.mempool.accept_transfers(mine)
    for sequence, fee in [(0, 9), *((sequence, 200) for sequence in range(len(fees)))]:  # the first pays too little
        model_eviction(pool, fee)
        node.mempool.accept_transfers([sent(1, sequence, fee)])
        run = next(place for place in range(len(fees) + 1) if place not in pool)
        assert left(node, *mine) == [(place < run) if place in pool else None for place in range(len(fees))]


def test_a_filled_gap_readies_the_run_behind_it_and_no_more(open_node: OpenNode) -> None:
    node = open_node(COIN)
    waiting = [sent(0, sequence, 5) for sequence in (1, 2, 3, 5, 6)]
    node.mempool.accept_transfers([*waiting, sent(1, 1, 5), sent(0, 0, 5)])
    assert left(node, *waiting, sent(1, 1, 5)) == [True, True, True, False, False, False]


def test_money_that_a_replacement_takes_counts_within_one_batch(open_node: OpenNode) -> None:
    coin = easy_coin(premine=[(PEOPLE[0], 99)])
    plan = ((50, 0), (60, 0), (37, 1), (1, 2))  # fee, sequence; with amounts of 1 the third takes the last coin
    wanted = [transfer(coin, PEOPLE[0], PEOPLE[2], 1, fee, sequence) for fee, sequence in plan]
    node = open_node(coin)
    answers = node.mempool.accept_transfers(wanted)
    assert [isinstance(answer, Exception) for answer in answers] == [False, False, False, True]
