"""Which transfers a template takes when there are more than fit, and how little of the pool it looks at."""

from __future__ import annotations

from random import Random

import pytest

from moneyer.node.core import codec
from moneyer.node.core.ledger import BlockContext, Ledger
from moneyer.node.core.template import select_spends
from moneyer.node.core.types import Spend
from moneyer.node.store import accounts
from moneyer.node.store.unconfirmed import entries as rows
from moneyer.node.store.unconfirmed import order as selection
from tests.kit.chains import ChainBuilder, Key, easy_coin, key, mine, transfer
from tests.kit.nodes import NOW, Node, OpenNode
from tests.kit.statements import statements

PEOPLE = [key(f"person {i}") for i in range(6)]
COIN = easy_coin(premine=[(who, 10**6) for who in PEOPLE])


def pay(node: Node, sender: Key, sequence: int, fee: int, memo: bytes = b"") -> Spend:
    made = transfer(node.coin, sender, PEOPLE[0], 1, fee, sequence, memo)
    assert node.mempool.accept_transfer(made).status == "ready"
    return made


def chosen(node: Node, count: int) -> list[tuple[Key, int]]:
    """(sender, sequence) of what a template with room for so many would take, in the order of its block."""
    by_payload = {who.payload: who for who in PEOPLE}
    with node.store.read() as conn:
        best = selection.best(conn, count * codec.TRANSFER_BASE, codec.TRANSFER_BASE)
    return [(by_payload[each.sender], each.sequence) for each in best]


def test_none_is_chosen_without_those_of_its_sender_before_it(open_node: OpenNode) -> None:
    node = open_node(COIN, min_fee=0)
    one, other = PEOPLE[1:3]
    pay(node, one, 0, fee=1)
    pay(node, one, 1, fee=1000)  # the best there is, behind the worst
    pay(node, other, 0, fee=50)
    pay(node, other, 1, fee=40)
    assert chosen(node, 2) == [(other, 0), (other, 1)]
    assert chosen(node, 3) == [(other, 0), (other, 1), (one, 0)]
    assert chosen(node, 4) == [(other, 0), (other, 1), (one, 0), (one, 1)]


def test_of_those_that_pay_the_same_the_first_to_arrive_are_chosen(open_node: OpenNode) -> None:
    node = open_node(COIN, min_fee=0)
    for sequence in range(2):
        for who in PEOPLE:
            pay(node, who, sequence, fee=7)
    assert chosen(node, 8) == [*((who, 0) for who in PEOPLE), (PEOPLE[0], 1), (PEOPLE[1], 1)]


def test_a_replaced_transfer_keeps_its_place_before_those_behind_it(open_node: OpenNode) -> None:
    node = open_node(COIN, min_fee=0)
    for sequence in range(3):
        pay(node, PEOPLE[1], sequence, fee=10)
    pay(node, PEOPLE[1], 1, fee=20)
    assert chosen(node, 9) == [(PEOPLE[1], 0), (PEOPLE[1], 1), (PEOPLE[1], 2)]
    assert [sequence for _, sequence in chosen(node, 2)] == [0, 1]


def by_memory(node: Node, room: int) -> list[bytes]:
    """What `core.template` chooses from the whole pool in memory."""
    with node.store.read() as conn:
        ready = [row.transfer for row in rows.arrived_after(conn, 0, 10**6) if row.ready]
        state = accounts.everyone(conn)
    order = {codec.txid(each): number for number, each in enumerate(ready)}
    ready.sort(key=lambda each: each.sequence)
    queues: dict[bytes, list[Spend]] = {}
    for each in ready:
        queues.setdefault(each.sender, []).append(each)
    # In order of arrival, but each sender's in sequence: a replaced one takes the place of those behind it.
    places = sorted((order[codec.txid(each)], each.sender) for each in ready)
    in_order = [queues[who].pop(0) for _, who in places]
    context = BlockContext(COIN.chain_id, 1, lambda: 0)
    return [codec.txid(each) for each in select_spends(in_order, Ledger(state), room, context)]


@pytest.mark.parametrize("ahead", [(32, 4, 1), (2, 1)])
def test_the_choice_by_indexes_is_the_one_in_memory(
    open_node: OpenNode, ahead: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through blocks, foreign ones too, and reorgs: the heads are always right."""
    monkeypatch.setattr(selection, "_AHEAD", {count: selection._ahead(count) for count in ahead})
    random = Random(5)
    node = open_node(COIN, min_fee=0)
    chain = ChainBuilder(COIN)
    for turn in range(12):
        for _ in range(25):
            who = random.choice(PEOPLE)
            sequence = chain.account(who).sequence + random.randint(0, 8)
            sent = transfer(COIN, who, PEOPLE[0], 1, random.randint(0, 20_000), sequence, b"m" * random.choice((0, 60)))
            node.mempool.accept_transfers([sent])
        for room in (300, 1_000, 3_000, 50_000):
            with node.store.read() as conn:
                best = [each.txid for each in selection.best(conn, room, codec.TRANSFER_BASE)]
            assert best == by_memory(node, room), (turn, room)
        if turn % 4 == 3:
            chain = chain.branch(chain.height - 2, f"fork {turn}")
            node.offer_all(chain.grow(3))
        elif turn % 2:
            node.offer(chain.add([chain.transfer(random.choice(PEOPLE), PEOPLE[1], 5, 1)]))
        else:
            node.offer(chain.append(mine(node.chain.template(PEOPLE[0].payload, NOW, b"").block)))


def test_a_template_reads_a_block_of_the_pool_however_many_wait(open_node: OpenNode) -> None:
    coin = easy_coin(premine=[(who, 10**6) for who in PEOPLE], max_block_bytes=4096)
    read = []
    for folder, run in (("few", 30), ("many", 120)):
        node = open_node(coin, open_node(coin).store.config.data / folder, min_fee=0)
        for who in PEOPLE:
            made = [transfer(coin, who, PEOPLE[0], 1, 5, sequence) for sequence in range(run)]
            node.mempool.accept_transfers(made)
        with statements(node.store) as seen:
            template = node.chain.template(PEOPLE[0].payload, NOW, b"")
        read.append(len(seen))
        assert len(template.txids) == 24
        with statements(node.store) as seen:
            assert node.chain.template(PEOPLE[0].payload, NOW, b"") == template
        assert not [statement for statement in seen if "mempool.raw" in statement], "nothing is decoded twice"
    assert read[0] == read[1]


def test_blocks_are_full_while_more_waits_than_fits(open_node: OpenNode) -> None:
    coin = easy_coin(premine=[(who, 10**6) for who in PEOPLE], max_block_bytes=4096)
    node = open_node(coin, min_fee=0)
    for sequence in range(20):
        for number, who in enumerate(PEOPLE):
            pay(node, who, sequence, fee=(sequence * 37 + number * 11) % 100)
    counts = []
    while node.pool():
        block = mine(node.chain.template(PEOPLE[0].payload, NOW, b"").block)
        assert node.offer(block).status == "extended"
        counts.append(len(block.transactions) - 1)
    assert sum(counts) == 120
    assert set(counts[:-1]) == {max(counts)}
