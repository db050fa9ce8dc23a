"""Which transfers a template takes when there are more than fit, and how little of the pool it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from moneyer.node.core import codec
from moneyer.node.core.template import select_spends
from moneyer.node.core.types import Spend
from moneyer.node.store.unconfirmed import entries as rows
from moneyer.node.store.unconfirmed import order as selection
from tests.chain.model_of_all_versions import ModelOfAllVersions
from tests.kit.chains import ChainBuilder, Key, easy_coin, key, mine, transfer
from tests.kit.nodes import NOW, Node, OpenNode
from tests.kit.statements import statements

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {i}") for i in range(6)]
COINS = {rules: easy_coin(premine=[(who, 10**6) for who in PEOPLE], rules=rules) for rules in (1, 2)}
"""By rules."""
COIN = COINS[1]


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


def by_memory(node: Node, chain: ChainBuilder, room: int) -> list[bytes]:
    """What `core.template` chooses from the whole pool in memory. `chain`: the node's."""
    with node.store.read() as conn:
        ready = [row.transfer for row in rows.arrived_after(conn, 0, 10**6) if row.ready]
    order = {codec.txid(each): number for number, each in enumerate(ready)}
    ready.sort(key=lambda each: each.sequence)
    queues: dict[bytes, list[Spend]] = {}
    for each in ready:
        queues.setdefault(each.sender, []).append(each)
    # In order of arrival, but each sender's in sequence: a replaced one takes the place of those behind it.
    places = sorted((order[codec.txid(each)], each.sender) for each in ready)
    in_order = [queues[who].pop(0) for _, who in places]
    return [codec.txid(each) for each in select_spends(in_order, chain.ledger, room, chain.next_context)]


def some(chain: ChainBuilder, random: Random, model: ModelOfAllVersions) -> Sequence[Spend]:
    """What 25 people wish, partly behind gaps; under rules 2 of all versions."""
    if chain.coin.rules == 2:
        spends = list(model.spends(chain.ledger.copy(), chain.next_context, 25))
        return random.sample(spends, len(spends))
    found = []
    for _ in range(25):
        who = random.choice(PEOPLE)
        sequence = chain.account(who).sequence + random.randint(0, 8)
        fee, memo = random.randint(0, 20_000), b"m" * random.choice((0, 60))
        found.append(transfer(COIN, who, PEOPLE[0], 1, fee, sequence, memo))
    return found


@pytest.mark.parametrize(("ahead", "rules"), [((32, 4, 1), 1), ((2, 1), 2)])
def test_the_choice_by_indexes_is_the_one_in_memory(
    open_node: OpenNode, ahead: tuple[int, ...], rules: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through blocks, foreign ones too, and reorgs: the heads are always right."""
    monkeypatch.setattr(selection, "_AHEAD", {count: selection._ahead(count) for count in ahead})
    random = Random(5)
    coin = COINS[rules]
    node = open_node(coin, min_fee=0)
    chain = ChainBuilder(coin)
    model = ModelOfAllVersions(coin, PEOPLE, random)
    model.most_fee = 5_000  # few pay the same
    versions = set()
    for turn in range(12):
        for sent in some(chain, random, model):
            node.mempool.accept_transfers([sent])
        for room in (300, 1_000, 3_000, 50_000):
            with node.store.read() as conn:
                best = [each.txid for each in selection.best(conn, room, codec.least_spend(rules))]
            assert best == by_memory(node, chain, room), (turn, room)
        with node.store.read() as conn:
            versions |= {type(row.transfer).__name__ for row in rows.arrived_after(conn, 0, 10**6) if row.ready}
        if turn % 4 == 3:
            chain = chain.branch(chain.height - 2, f"fork {turn}")
            node.offer_all(chain.grow(3))
        elif turn % 2:
            node.offer(chain.add([chain.transfer(random.choice(PEOPLE), PEOPLE[1], 5, 1)]))
        else:
            node.offer(chain.append(mine(node.chain.template(PEOPLE[0].payload, NOW, b"").block)))
    assert versions == ({"Transfer"} if rules == 1 else {"Transfer", "Payment", "Issue", "Mint", "Burn"})


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
