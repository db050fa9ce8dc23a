"""What the database says of a transfer is asked before its signature, and a signature is checked once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from moneyer.node.chain import signatures
from moneyer.node.core import codec
from moneyer.node.core.errors import BadSignature, InsufficientFunds, MempoolFull, RuleError
from moneyer.node.core.types import Transfer
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import Node, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")
COIN = easy_coin(premine=[(ALICE, 10_000), (BOB, 1_000)])


def sent(sequence: int, amount: int = 1, fee: int = 5) -> Transfer:
    return transfer(COIN, ALICE, CAROL, amount, fee, sequence)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The txid of every transfer whose signature the pool has had checked, in order."""
    seen: list[bytes] = []
    check = signatures.verify_signatures

    def counting(chain_id: bytes, transfers: Sequence[Transfer]) -> list[bool]:
        seen.extend(map(codec.txid, transfers))
        return check(chain_id, transfers)

    monkeypatch.setattr("moneyer.node.chain.mempool.verify_signatures", counting)
    return seen


@pytest.fixture
def node(open_node: OpenNode) -> Node:
    return open_node(COIN)


def codes(answers: Sequence[object]) -> list[str]:
    return [answer.code if isinstance(answer, RuleError) else "taken" for answer in answers]


def test_a_refusal_that_is_kept_holds_none_of_the_frames_that_it_came_through(node: Node) -> None:
    poor = [transfer(COIN, key(f"nobody {number}"), ALICE, 1, 1) for number in range(3)]
    worse = [replace(sent(0), amount=0), replace(sent(0), signature=bytes(64))]
    late = [sent(0, amount=10), sent(0, amount=11)]
    refused = [each for each in node.mempool.accept_transfers([*poor, *worse, *late]) if isinstance(each, RuleError)]
    assert len(refused) == 6
    assert all(each.__traceback__ is None for each in refused)


def test_one_thread_at_a_time_works_through_many_transfers_and_no_single_one_waits_for_it(node: Node) -> None:
    with ThreadPoolExecutor(1) as pool:
        with node.mempool.computing:
            waits = pool.submit(node.mempool.accept_transfers, [sent(0), sent(1)])
            node.mempool.accept_transfer(sent(2))
            assert not waits.done()
        assert codes(waits.result(60)) == ["taken", "taken"]


def test_transfers_of_senders_without_funds_cost_no_signature_check_however_often_they_come(
    node: Node, checked: list[bytes]
) -> None:
    poor = [transfer(COIN, key(f"nobody {number}"), ALICE, 1, 1) for number in range(100)]
    commits = node.store.commits
    for _ in range(3):
        assert codes(node.mempool.accept_transfers(poor)) == ["insufficient_funds"] * 100
        for each in poor[:5]:
            with pytest.raises(InsufficientFunds):
                node.mempool.accept_transfer(each)
            with pytest.raises(InsufficientFunds):
                node.mempool.check_transfer(each)
    assert checked == []
    assert node.store.commits == commits, "nor do they wait for the writer"


def test_a_known_transfer_is_checked_once_and_a_confirmed_one_no_more(node: Node, checked: list[bytes]) -> None:
    for _ in range(3):
        assert node.mempool.accept_transfer(sent(0)).txid == codec.txid(sent(0))
        assert codes(node.mempool.accept_transfers([sent(0)])) == ["taken"]
    assert checked == [codec.txid(sent(0))]
    node.offer(ChainBuilder(COIN).add([sent(0)]))
    for _ in range(3):
        assert node.mempool.accept_transfer(sent(0)).status == "confirmed"
    assert checked == [codec.txid(sent(0))]


def test_a_transfer_with_a_bad_signature_is_checked_once(node: Node, checked: list[bytes]) -> None:
    forged = replace(sent(0), signature=bytes(64))
    for _ in range(3):
        with pytest.raises(BadSignature):
            node.mempool.accept_transfer(forged)
        assert codes(node.mempool.accept_transfers([forged])) == ["bad_signature"]
    assert checked == [codec.txid(forged)]
    assert node.mempool.accept_transfer(sent(0)).status == "ready"


def test_what_the_pool_says_of_a_sender_is_asked_before_the_signature_too(node: Node, checked: list[bytes]) -> None:
    node.mempool.accept_transfer(sent(0, 9_000))
    node.offer(ChainBuilder(COIN).add([transfer(COIN, BOB, CAROL, 1, 1, 0)]))
    checked.clear()
    refused = {
        sent(1, 996): "insufficient_funds",
        sent(66): "sequence_gap",
        sent(0, 8_000): "fee_too_low",
        transfer(COIN, BOB, ALICE, 2, 1, 0): "bad_sequence",
    }
    for each, code in refused.items():
        for _ in range(2):
            assert codes(node.mempool.accept_transfers([each])) == [code]
    assert checked == []


def test_of_single_transfers_that_cannot_be_taken_only_the_first_costs_a_signature_check(
    node: Node, checked: list[bytes]
) -> None:
    """What comes by itself goes straight to the writer for as long as all can be taken: a read costs more."""
    poor = [transfer(COIN, key(f"nobody {number}"), ALICE, 1, 1) for number in range(20)]
    for _ in range(3):
        for each in poor:
            with pytest.raises(InsufficientFunds):
                node.mempool.accept_transfer(each)
    assert checked == [codec.txid(poor[0])]
    assert node.mempool.accept_transfer(sent(0)).status == "ready"
    assert checked == [codec.txid(poor[0]), codec.txid(sent(0))]


def test_a_run_of_one_senders_transfers_is_judged_as_it_comes_whole(node: Node, checked: list[bytes]) -> None:
    run = [sent(sequence) for sequence in range(200)]
    assert codes(node.mempool.accept_transfers(run)) == ["taken"] * 200
    assert codes(node.mempool.accept_transfers([*run, sent(200)])) == ["taken"] * 201
    assert len(checked) == 201


def test_what_would_go_first_from_a_full_pool_costs_no_signature_check(
    open_node: OpenNode, checked: list[bytes]
) -> None:
    node = open_node(COIN, mempool_bytes=3 * codec.TRANSFER_BASE)
    node.mempool.accept_transfers([sent(sequence) for sequence in range(3)])
    checked.clear()
    for cheap in (transfer(COIN, BOB, CAROL, 1, 5, 0), transfer(COIN, BOB, CAROL, 1, 500, 1)):  # one ready, one waiting
        assert codes(node.mempool.accept_transfers([cheap] * 3)) == ["mempool_full"] * 3
        with pytest.raises(MempoolFull):
            node.mempool.accept_transfer(cheap)
    assert checked == []
    assert node.mempool.accept_transfer(transfer(COIN, BOB, CAROL, 1, 6, 0)).status == "ready"


def test_a_full_pool_refuses_the_next_of_a_sender_that_is_known_without_a_signature_check(
    open_node: OpenNode, checked: list[bytes]
) -> None:
    node = open_node(COIN, mempool_bytes=3 * codec.TRANSFER_BASE)
    node.mempool.accept_transfers([sent(sequence) for sequence in range(3)])
    checked.clear()
    assert codes(node.mempool.accept_transfers([sent(3)])) == ["mempool_full"]
    with pytest.raises(MempoolFull):
        node.mempool.accept_transfer(sent(3))
    with pytest.raises(MempoolFull):
        node.mempool.check_transfer(sent(3))
    assert checked == []
