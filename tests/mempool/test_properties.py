"""Whatever happens to a pool: its totals are its sums, its flags say the truth, and its template connects."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy import func, select

from moneyer.node.chain.pool_policy import MAX_GAP
from moneyer.node.core import codec
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import Account
from moneyer.node.store import accounts
from moneyer.node.store.tables import mempool
from moneyer.node.store.unconfirmed import entries as rows
from tests.kit.chains import ChainBuilder, easy_coin, key, mine, transfer
from tests.kit.databases import examples
from tests.kit.nodes import Node

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {number}") for number in range(4)]
COIN = easy_coin(premine=[(person, 3000) for person in PEOPLE], reward=500)
MEMPOOL_BYTES = 2500

operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.integers(0, 3),  # sender
            st.integers(-1, 5),  # sequence, from the confirmed one
            st.integers(1, 1500),  # amount
            st.integers(0, 60),  # fee
            st.integers(0, 40),  # memo's length
        ),
        st.tuples(st.just("mine"), st.integers(0, 3)),
        st.tuples(st.just("foreign"), st.integers(0, 3), st.integers(1, 2500)),
        st.tuples(st.just("reorg"), st.integers(1, 3)),
    ),
    max_size=40,
)


def check(node: Node) -> None:
    """What must hold of every pool."""
    with node.store.read() as conn:
        count, size = conn.execute(select(func.count(), func.coalesce(func.sum(func.length(mempool.c.raw)), 0))).one()
        assert rows.totals(conn) == (count, size)
        assert size <= MEMPOOL_BYTES
        for person in PEOPLE:
            state = accounts.account(conn, person.payload)
            pooled = rows.of_sender(conn, person.payload)
            assert sum(row.transfer.cost for row in pooled) <= state.balance
            following = state.sequence
            for row in pooled:
                assert row.transfer.sequence >= following
                assert row.ready == (row.transfer.sequence == following)
                following += row.ready
            assert rows.view(conn, person.payload, 0).run_end == following


class Pool:
    """A node and the chain that it is on, so that other blocks can be made."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.chain = ChainBuilder(COIN)
        self.forks = 0

    def send(self, sender: int, ahead: int, amount: int, fee: int, memo: int) -> None:
        sequence = self.chain.account(PEOPLE[sender]).sequence + ahead
        if sequence >= 0:
            receiver = PEOPLE[(sender + 1) % 4]
            sent = transfer(COIN, PEOPLE[sender], receiver, amount, fee, sequence, b"m" * memo)
            before = self.node.pool()
            try:
                accepted = self.node.mempool.accept_transfer(sent)
            except RuleError:
                assert self.node.pool() == before
                return
            if accepted.status != "confirmed":
                assert self.node.pool()[codec.txid(sent)] == (accepted.status == "ready")

    def mine(self, miner: int) -> None:
        now = self.chain.tip.header.timestamp + 1
        block = self.node.chain.template(PEOPLE[miner].payload, now, b"").block
        ready = [txid for txid, is_ready in self.node.pool().items() if is_ready]
        assert len(block.transactions) - 1 == len(ready)
        assert self.node.offer(self.chain.append(mine(block))).status == "extended"

    def foreign(self, sender: int, amount: int) -> None:
        """Another miner's block, with a transfer that this pool hasn't seen."""
        if self.chain.account(PEOPLE[sender]).balance >= amount:
            sent = self.chain.transfer(PEOPLE[sender], PEOPLE[(sender + 2) % 4], amount)
            self.node.offer(self.chain.add([sent]))

    def reorg(self, depth: int) -> None:
        self.forks += 1
        depth = min(depth, self.chain.height)
        other = self.chain.branch(self.chain.height - depth, f"fork {self.forks}")
        self.node.offer_all(other.grow(depth + 1, receiver=PEOPLE[0]))
        assert self.node.tip_hash == other.tip_hash
        self.chain = other


@examples(40, 10, operations, st.randoms(use_true_random=False))
def test_totals_flags_and_templates_are_right_after_any_operations(
    tmp_path_factory: Any, plan: list[tuple[Any, ...]], random: Random
) -> None:
    node = Node(tmp_path_factory.mktemp("pool"), COIN, min_fee=random.choice((0, 1)), mempool_bytes=MEMPOOL_BYTES)
    try:
        pool = Pool(node)
        for name, *arguments in plan:
            getattr(pool, name)(*arguments)
            check(node)
        pool.mine(0)
        check(node)
        assert {who: state for who, state in pool.chain.accounts.items() if state != Account(0, 0)} == node.accounts()
    finally:
        node.store.close()


sends = st.lists(
    st.tuples(
        st.integers(0, 3),  # sender
        st.integers(-1, 5),  # sequence
        st.integers(1, 1500),  # amount
        st.integers(0, 60),  # fee
        st.integers(0, 40),  # memo's length
    ),
    min_size=1,
    max_size=25,
)


@examples(40, 10, sends, st.integers(1, 8))
def test_transfers_that_share_a_commit_fare_as_they_would_alone(
    tmp_path_factory: Any, plan: list[tuple[int, int, int, int, int]], at_once: int
) -> None:
    sent = [
        transfer(COIN, PEOPLE[sender], PEOPLE[(sender + 1) % 4], amount, fee, sequence, b"m" * memo)
        for sender, sequence, amount, fee, memo in plan
        if sequence >= 0
    ]
    alone, together = (
        Node(tmp_path_factory.mktemp("pool"), COIN, min_fee=1, mempool_bytes=MEMPOOL_BYTES) for _ in range(2)
    )
    try:
        one_by_one = [answer for each in sent for answer in alone.mempool.accept_transfers([each])]
        in_groups = [
            answer
            for start in range(0, len(sent), at_once)
            for answer in together.mempool.accept_transfers(sent[start : start + at_once])
        ]
        assert list(map(repr, in_groups)) == list(map(repr, one_by_one))
        assert in_order(together) == in_order(alone)
        check(together)
    finally:
        alone.store.close()
        together.store.close()


def in_order(node: Node) -> list[tuple[bytes, bool]]:
    """(txid, ready) as they came."""
    with node.store.read() as conn:
        return [(row.txid, row.ready) for row in rows.arrived_after(conn, 0, 1000)]


def test_the_gap_is_what_the_protocol_says() -> None:
    assert MAX_GAP == 64
