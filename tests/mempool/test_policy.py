"""Which transfers the pool takes, and what each is told that it doesn't."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from moneyer.node.chain.mempool import Accepted
from moneyer.node.chain.pool_policy import MAX_GAP
from moneyer.node.core import codec
from moneyer.node.core.errors import (
    BadAmount,
    BadMemo,
    BadReceiver,
    BadSequence,
    BadSignature,
    FeeTooLow,
    InsufficientFunds,
    RuleError,
    SequenceGap,
)
from moneyer.node.core.types import MAX_MONEY, Transfer
from moneyer.node.store.tables import mempool
from moneyer.node.store.unconfirmed import entries as rows
from tests.kit.chains import ChainBuilder, easy_coin, key, sign, transfer
from tests.kit.nodes import Node, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")
COIN = easy_coin(premine=[(ALICE, 10_000), (BOB, 100)])


def sent(sequence: int = 0, amount: int = 10, fee: int = 10, memo: bytes = b"") -> Transfer:
    return transfer(COIN, ALICE, CAROL, amount, fee, sequence, memo)


@pytest.fixture
def node(open_node: OpenNode) -> Node:
    return open_node(COIN)


def statuses(node: Node, *transfers: Transfer) -> list[str]:
    return [node.mempool.accept_transfer(each).status for each in transfers]


def outgoing(node: Node) -> int:
    with node.store.read() as conn:
        return rows.view(conn, ALICE.payload, 0).pool_cost


def test_an_unbroken_run_is_ready_and_what_stands_behind_a_gap_waits_until_it_is_filled(node: Node) -> None:
    assert statuses(node, sent(0), sent(1), sent(3), sent(4), sent(6)) == ["ready", "ready", *["waiting"] * 3]
    assert node.mempool.next_sequence(ALICE.payload) == 2
    assert statuses(node, sent(2)) == ["ready"]
    assert node.pool() == {codec.txid(sent(n)): n != 6 for n in (0, 1, 2, 3, 4, 6)}
    assert node.mempool.next_sequence(ALICE.payload) == 5


def test_a_transfer_64_ahead_waits_and_one_further_is_refused(node: Node) -> None:
    assert statuses(node, sent(0), sent(1 + MAX_GAP)) == ["ready", "waiting"]
    with pytest.raises(SequenceGap) as refused:
        node.mempool.accept_transfer(sent(2 + MAX_GAP))
    assert refused.value.details["found"] == 2 + MAX_GAP


def test_a_used_sequence_is_refused_and_the_confirmed_transfer_itself_is_known(node: Node) -> None:
    chain = ChainBuilder(COIN)
    node.offer(chain.add([sent(0)]))
    with pytest.raises(BadSequence):
        node.mempool.accept_transfer(sent(0, amount=11))
    assert node.mempool.accept_transfer(sent(0)) == Accepted(codec.txid(sent(0)), "confirmed", known=True)
    assert node.pool() == {}


@pytest.mark.parametrize(("fee", "enough"), [(10, 11), (0, 1), (1, 2), (100, 110), (101, 112), (109, 120)])
def test_a_replacement_pays_ten_percent_and_a_unit_more_and_one_is_left(
    open_node: OpenNode, fee: int, enough: int
) -> None:
    node = open_node(COIN, min_fee=0)
    node.mempool.accept_transfer(sent(0, fee=fee))
    node.mempool.accept_transfer(sent(1, fee=fee))
    before = node.dump()
    with pytest.raises(FeeTooLow) as refused:
        node.mempool.accept_transfer(sent(0, amount=9, fee=enough - 1))
    assert refused.value.details["expected"] == enough
    assert node.dump() == before
    replacement = sent(0, amount=9, fee=enough)
    assert node.mempool.accept_transfer(replacement).status == "ready"
    assert node.pool() == {codec.txid(replacement): True, codec.txid(sent(1, fee=fee)): True}


def test_a_waiting_transfer_can_be_replaced_and_goes_on_waiting(node: Node) -> None:
    assert statuses(node, sent(5), sent(5, fee=11)) == ["waiting", "waiting"]
    assert node.pool() == {codec.txid(sent(5, fee=11)): False}


def test_the_pool_takes_no_more_than_the_confirmed_balance_covers_in_sum(node: Node) -> None:
    assert statuses(node, sent(0, 4000, 10), sent(1, 4000, 10), sent(7, 1000, 10)) == ["ready", "ready", "waiting"]
    before = node.dump()
    with pytest.raises(InsufficientFunds) as refused:
        node.mempool.accept_transfer(sent(2, 961, 10))
    assert refused.value.details["expected"] == "at most 970"
    assert node.dump() == before
    assert statuses(node, sent(2, 960, 10)) == ["ready"]
    assert outgoing(node) == 10_000


def test_money_that_is_only_in_the_pool_cannot_be_spent(node: Node) -> None:
    node.mempool.accept_transfer(transfer(COIN, ALICE, CAROL, 500, 1, 0))
    with pytest.raises(InsufficientFunds):
        node.mempool.accept_transfer(transfer(COIN, CAROL, BOB, 1, 1, 0))


def test_a_replacement_that_would_drain_the_sender_is_refused(node: Node) -> None:
    statuses(node, sent(0, 10, 10), sent(1, 5000, 10))
    before = node.dump()
    with pytest.raises(InsufficientFunds):
        node.mempool.accept_transfer(sent(0, 4990, 11))
    assert node.dump() == before
    assert statuses(node, sent(0, 4979, 11)) == ["ready"]
    assert outgoing(node) == 10_000


def test_a_fee_below_what_the_node_asks_is_refused(open_node: OpenNode) -> None:
    node = open_node(COIN, min_fee=5)
    with pytest.raises(FeeTooLow):
        node.mempool.accept_transfer(sent(fee=4))
    assert statuses(node, sent(fee=5)) == ["ready"]


def test_what_breaks_a_rule_by_itself_has_the_rules_code_and_changes_nothing(node: Node) -> None:
    good = sent()
    changed: list[tuple[Transfer, type[RuleError]]] = [
        (replace(good, signature=bytes(64)), BadSignature),
        (replace(good, signature=good.signature[:-1] + bytes([good.signature[-1] ^ 1])), BadSignature),
        (replace(good, amount=11), BadSignature),
        (sign(easy_coin(message="another chain"), good, ALICE), BadSignature),
        (sign(COIN, good, BOB), BadSignature),
        (replace(good, sender=bytes([0]) + b"\xff" * 32), InsufficientFunds),  # off the curve, where no money can be
        (sent(amount=0), BadAmount),
        (sent(amount=2**63), BadAmount),
        (sent(amount=MAX_MONEY, fee=1), BadAmount),
        (sent(amount=2**64 - 1, fee=2), BadAmount),  # wraps round to 1
        (sent(sequence=MAX_MONEY + 1), BadSequence),
        (sent(memo=b"\xff"), BadMemo),
        (sent(memo=b"m" * 141), BadMemo),
        (transfer(COIN, ALICE, bytes([1]) + bytes(32), 1, 1), BadReceiver),
    ]
    before = node.dump()
    ways: list[Callable[[Transfer], object]] = [node.mempool.accept_transfer, node.mempool.check_transfer]
    for bad, error in changed:
        for offer in ways:
            with pytest.raises(error):
                offer(bad)
        (answer,) = node.mempool.accept_transfers([bad])
        assert isinstance(answer, error)
    assert node.dump() == before


def test_a_check_answers_as_the_pool_would_and_changes_nothing(node: Node) -> None:
    statuses(node, sent(0))
    before = node.dump()
    assert node.mempool.check_transfer(sent(0)) == Accepted(codec.txid(sent(0)), "ready", known=True)
    assert node.mempool.check_transfer(sent(1)) == Accepted(codec.txid(sent(1)), "ready", known=False)
    assert node.mempool.check_transfer(sent(9)).status == "waiting"
    with pytest.raises(FeeTooLow):
        node.mempool.check_transfer(sent(0, amount=9))
    assert node.dump() == before


def test_several_are_taken_in_order_and_a_refused_one_leaves_nothing(node: Node) -> None:
    answers = node.mempool.accept_transfers(
        [sent(0), sent(2), replace(sent(1), signature=bytes(64)), sent(3, 10_000), sent(1), sent(0)]
    )
    assert [answer.code if isinstance(answer, RuleError) else answer.status for answer in answers] == [
        "ready",
        "waiting",
        "bad_signature",
        "insufficient_funds",
        "ready",
        "ready",
    ]
    assert isinstance(answers[-1], Accepted)
    assert answers[-1].known
    assert node.pool() == {codec.txid(sent(sequence)): True for sequence in range(3)}


def test_the_same_transfer_a_hundred_times_at_once_is_one_row(node: Node) -> None:
    same = sent(0)
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: node.mempool.accept_transfer(same), range(100)))
    assert {answer.txid for answer in answers} == {codec.txid(same)}
    assert sorted(answer.known for answer in answers) == [False] + [True] * 99
    with node.store.read() as conn:
        assert conn.execute(select(func.count()).select_from(mempool)).scalar() == 1
        assert rows.totals(conn) == (1, codec.transaction_size(same))


def test_a_hundred_rivals_for_one_sequence_at_once_leave_one(node: Node) -> None:
    def offer(amount: int) -> bool:
        try:
            return not node.mempool.accept_transfer(sent(0, amount=amount)).known
        except FeeTooLow:
            return False

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(offer, range(1, 101))) == 1
    assert len(node.pool()) == 1


def test_the_pool_survives_a_restart(node: Node, open_node: OpenNode) -> None:
    statuses(node, sent(0), sent(1), sent(5))
    before = node.dump()
    node.store.close()
    again = open_node(COIN)
    assert again.dump() == before
    assert again.mempool.accept_transfer(sent(5)) == Accepted(codec.txid(sent(5)), "waiting", known=True)


def test_a_block_takes_what_it_confirms_out_of_the_pool_and_what_it_made_impossible(node: Node) -> None:
    statuses(node, sent(0), sent(1), sent(2), sent(3, 5000))
    chain = ChainBuilder(COIN)
    # Another transfer has taken sequence 1, and with it most of the money.
    node.offer(chain.add([sent(0), sent(1, 9000)]))
    assert node.pool() == {codec.txid(sent(2)): True}
    with node.store.read() as conn:
        assert rows.totals(conn) == (1, codec.transaction_size(sent(2)))


def test_a_block_that_fills_a_gap_makes_what_waits_ready(node: Node) -> None:
    statuses(node, sent(1), sent(2), sent(4))
    chain = ChainBuilder(COIN)
    node.offer(chain.add([sent(0)]))
    assert node.pool() == {codec.txid(sent(1)): True, codec.txid(sent(2)): True, codec.txid(sent(4)): False}
