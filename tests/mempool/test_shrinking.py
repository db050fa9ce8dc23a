"""Making room in a full pool: together what waits, and the same ones that would go one after the other."""

from __future__ import annotations

from random import Random

import pytest

from moneyer.node.core import codec
from moneyer.node.core.types import Transfer
from moneyer.node.store.unconfirmed import entries as rows
from moneyer.node.store.unconfirmed import eviction
from tests.kit.chains import easy_coin, key, transfer
from tests.kit.nodes import Node, OpenNode
from tests.kit.statements import plan, statements

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {number}") for number in range(5)]
COIN = easy_coin(premine=[(person, 1_000_000) for person in PEOPLE])


def some(random: Random) -> list[Transfer]:
    """Transfers of five people with a gap here and there, of few different rates and sizes."""
    return [
        transfer(COIN, person, PEOPLE[0], 1, random.randint(1, 4), sequence, b"m" * random.choice((0, 0, 40)))
        for person in PEOPLE
        for sequence in range(12)
        if random.random() > 0.15
    ]


def filled(open_node: OpenNode, name: str, waiting: list[Transfer]) -> Node:
    node = open_node(COIN, open_node(COIN).store.config.data / name)
    node.mempool.accept_transfers(waiting)
    return node


def shrink_one_by_one(node: Node, most: int) -> None:
    while node.store.write(lambda conn: rows.totals(conn)[1] > most):

        def evict_worst(conn: object) -> None:
            victim = eviction.worst(conn)  # type: ignore[arg-type]
            assert victim is not None
            eviction.evict(conn, victim)  # type: ignore[arg-type]

        node.store.write(evict_worst)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_transfers_go_as_one_after_the_other(open_node: OpenNode, seed: int) -> None:
    random = Random(seed)
    waiting = some(random)
    most = random.randint(0, 40 * codec.TRANSFER_BASE)
    together, singly = (filled(open_node, name, waiting) for name in ("together", "singly"))
    together.store.write(lambda conn: eviction.shrink(conn, most))
    shrink_one_by_one(singly, most)
    assert together.pool() == singly.pool()
    assert together.dump()["mempool"] == singly.dump()["mempool"]
    with together.store.read() as conn:
        count, size = rows.totals(conn)
    assert count == len(together.pool())
    assert size <= most


def test_what_waits_goes_in_as_many_statements_however_much_it_is(open_node: OpenNode) -> None:
    counts = []
    for name, many in (("few", 5), ("many", 60)):
        node = filled(
            open_node, name, [transfer(COIN, PEOPLE[1], PEOPLE[0], 1, 1, 1 + number) for number in range(many)]
        )
        with statements(node.store) as seen:
            node.store.write(lambda conn: eviction.shrink(conn, 0))
        assert node.pool() == {}
        counts.append(len(seen))
    assert counts[0] == counts[1]


@pytest.mark.sqlite_only("it reads SQLite's plans")
def test_settling_reads_what_waits_from_one_index_alone(open_node: OpenNode) -> None:
    node = filled(open_node, "any", some(Random(0)))
    with statements(node.store) as seen, node.store.read() as conn:
        assert list(rows.waiting_of(conn, [person.payload for person in PEOPLE]))
    (statement,) = [each for each in seen if "mempool.cost" in each]
    assert plan(node.store, statement) == [
        "SEARCH mempool USING COVERING INDEX ix_mempool_sender_cost (sender=?)",
    ]
