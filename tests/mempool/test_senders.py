"""What a process remembers of senders never disagrees with the rows, whoever changes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from moneyer.node.core import codec
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import Transfer
from moneyer.node.store.errors import StoreUnavailable
from moneyer.node.store.unconfirmed import entries as rows
from moneyer.node.store.unconfirmed import senders
from moneyer.node.store.unconfirmed.intake import Intake
from tests.kit.chains import ChainBuilder, easy_coin, key, mine, transfer
from tests.kit.databases import examples
from tests.kit.nodes import Node, OpenNode
from tests.kit.statements import statements

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {number}") for number in range(3)]
COIN = easy_coin(premine=[(person, 3_000) for person in PEOPLE], reward=500)
ALICE, BOB = PEOPLE[:2]
MEMPOOL_BYTES = 2_000


def known_after_checking(node: Node) -> int:
    """How many senders the node knows; each is what the rows say."""

    def look(conn: Connection) -> int:
        index = node.mempool.senders
        index.open(conn)
        found = 0
        for person in PEOPLE:
            known = index.get(person.payload)
            if known is None:
                continue
            found += 1
            view = rows.view(conn, person.payload, 0 if known.run_end is None else known.run_end)
            assert (known.account, known.pool_cost) == (view.account, view.pool_cost)
            if known.run_end is not None:
                assert (known.run_end, view.has_waiting, view.slot_txid) == (view.run_end, False, None)
            assert index.pool_bytes == view.pool_bytes
        return found

    return node.store.write(look, clean=True)


def break_at_commit(conn: Connection) -> None:
    """A change that SQLite refuses only when the whole transaction is committed."""
    conn.execute(text("PRAGMA defer_foreign_keys=ON"))
    conn.execute(text("INSERT INTO bodies VALUES (99, 0, x'00', x'00')"))


class TwoProcesses:
    """Two nodes' parts on one folder, as a node and its worker are: each with a writer and an index of its own."""

    def __init__(self, folder: Any) -> None:
        self.nodes = [Node(folder, COIN, min_fee=0, mempool_bytes=MEMPOOL_BYTES) for _ in range(2)]
        self.chain = ChainBuilder(COIN)
        self.forks = 0

    def sent(self, sender: int, ahead: int, amount: int, fee: int, memo: int) -> list[Transfer]:
        sequence = self.chain.account(PEOPLE[sender]).sequence + ahead
        receiver = PEOPLE[(sender + 1) % len(PEOPLE)]
        return [transfer(COIN, PEOPLE[sender], receiver, amount, fee, max(sequence, 0), b"m" * memo)]

    def send(self, node: int, sends: Sequence[tuple[int, int, int, int, int]]) -> None:
        self.nodes[node].mempool.accept_transfers([each for arguments in sends for each in self.sent(*arguments)])

    def try_out(self, node: int, sender: int, ahead: int) -> None:
        with suppress(RuleError):
            self.nodes[node].mempool.check_transfer(self.sent(sender, ahead, 1, 1, 0)[0])

    def lose(self, node: int, sender: int) -> None:
        """A transfer is taken, and the commit fails."""
        (sent,) = self.sent(sender, 0, 1, 1, 0)
        mempool = self.nodes[node].mempool

        def job(conn: Connection) -> None:
            with Intake(conn, mempool.senders) as intake, suppress(RuleError):
                mempool.take(intake, codec.txid(sent), sent)
            break_at_commit(conn)

        with suppress(StoreUnavailable):
            self.nodes[node].store.write(job, clean=True)

    def drop(self, node: int) -> None:
        """The oldest row goes, by a statement of its own."""

        def job(conn: Connection) -> None:
            rows.remove(conn, [row.txid for row in rows.arrived_after(conn, 0, 1)])

        self.nodes[node].store.write(job)

    def mine(self, node: int) -> None:
        now = self.chain.tip.header.timestamp + 1
        block = self.nodes[node].chain.template(PEOPLE[0].payload, now, b"").block
        self.nodes[node].offer(self.chain.append(mine(block)))

    def reorg(self, node: int) -> None:
        self.forks += 1
        depth = min(2, self.chain.height)
        other = self.chain.branch(self.chain.height - depth, f"fork {self.forks}")
        self.nodes[node].offer_all(other.grow(depth + 1, receiver=PEOPLE[0]))
        self.chain = other


which = st.integers(0, 1)
person = st.integers(0, len(PEOPLE) - 1)
send = st.tuples(person, st.integers(0, 5), st.integers(1, 1_000), st.integers(0, 60), st.integers(0, 40))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("send"), which, st.lists(send, min_size=1, max_size=6)),
        st.tuples(st.just("try_out"), which, person, st.integers(0, 3)),
        st.tuples(st.just("lose"), which, person),
        st.tuples(st.sampled_from(["mine", "reorg", "drop"]), which),
    ),
    max_size=25,
)


@pytest.mark.slow
@examples(60, 15, operations)
def test_after_any_operations_of_two_processes_what_each_knows_is_what_the_rows_say(
    tmp_path_factory: Any, plan: list[tuple[Any, ...]]
) -> None:
    both = TwoProcesses(tmp_path_factory.mktemp("pool"))
    try:
        for name, *arguments in plan:
            getattr(both, name)(*arguments)
            for node in both.nodes:
                known_after_checking(node)
    finally:
        for node in both.nodes:
            node.close()


def sent(sequence: int, amount: int = 1) -> Transfer:
    return transfer(COIN, ALICE, BOB, amount, 1, sequence)


def test_the_next_transfer_of_a_sender_is_taken_without_a_query(open_node: OpenNode) -> None:
    node = open_node(COIN)
    node.mempool.accept_transfer(sent(0))
    with statements(node.store) as seen:
        for sequence in range(1, 4):
            node.mempool.accept_transfer(sent(sequence))
    assert known_after_checking(node) == 1
    assert {statement.split()[0] for statement in seen} == {"INSERT", "UPDATE"}


@pytest.mark.parametrize("changes", ["mine", "reorg", "drop"])
def test_another_processs_change_makes_a_node_forget(tmp_path_factory: Any, changes: str) -> None:
    both = TwoProcesses(tmp_path_factory.mktemp("pool"))
    both.mine(0)
    both.send(0, [(0, 0, 1, 1, 0)])
    assert known_after_checking(both.nodes[0]) == 1
    getattr(both, changes)(1)
    assert known_after_checking(both.nodes[0]) == 0
    for node in both.nodes:
        node.close()


def test_a_trial_leaves_nothing_behind_in_what_is_known(open_node: OpenNode) -> None:
    node = open_node(COIN)
    node.mempool.accept_transfer(sent(0))
    node.mempool.check_transfer(sent(1))
    node.mempool.check_transfer(sent(1, 2))
    assert node.mempool.accept_transfer(sent(1)).status == "ready"
    known_after_checking(node)


def test_no_more_senders_are_known_than_fit(open_node: OpenNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "_MOST", 2)
    node = open_node(COIN)
    node.mempool.accept_transfers([transfer(COIN, who, BOB, 1, 1) for who in PEOPLE])
    assert known_after_checking(node) == 1
    assert len(node.pool()) == 3
