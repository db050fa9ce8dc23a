"""Which ready transfers a template gets to see when there are more than fit."""

from __future__ import annotations

from node.core.types import Transfer
from node.store import mempool as rows
from tests.nodes import NOW, Node, OpenNode
from tests.support import Key, easy_coin, key, mine, transfer

PEOPLE = [key(f"person {i}") for i in range(6)]
COIN = easy_coin(premine=[(who, 10**6) for who in PEOPLE])


def pay(node: Node, sender: Key, sequence: int, fee: int, memo: bytes = b"") -> Transfer:
    made = transfer(node.coin, sender, PEOPLE[0], 1, fee, sequence, memo)
    assert node.mempool.accept_transfer(made).status == "ready"
    return made


def chosen(node: Node, limit: int) -> list[tuple[Key, int]]:
    """(sender, sequence) of those that a template would look at."""
    by_payload = {who.payload: who for who in PEOPLE}
    with node.store.read() as conn:
        return [(by_payload[each.sender], each.sequence) for each in rows.ready(conn, limit)[0]]


def test_none_is_chosen_without_those_of_its_sender_before_it(open_node: OpenNode) -> None:
    node = open_node(COIN, min_fee=0)
    one, other = PEOPLE[1:3]
    pay(node, one, 0, fee=1)
    pay(node, one, 1, fee=1000)  # the best there is, behind the worst
    pay(node, other, 0, fee=50)
    pay(node, other, 1, fee=40)
    assert chosen(node, 2) == [(other, 0), (other, 1)]
    assert chosen(node, 3) == [(one, 0), (other, 0), (other, 1)]
    assert chosen(node, 4) == [(one, 0), (one, 1), (other, 0), (other, 1)]


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
