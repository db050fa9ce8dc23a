"""One block from many peers at the same moment: worked on once, and nobody is held up by a false one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from moneyer.node.chain.accept import KeyedLock
from moneyer.node.chain.outcomes import Outcome
from moneyer.node.core import codec
from moneyer.node.core.errors import RuleError
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import Node, OpenNode
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 1_000)])
PEERS = 6


@contextmanager
def busy_writer(node: Node) -> Iterator[None]:
    """No block can be written in here: whoever works on one is at it until the end."""
    begun, over = threading.Event(), threading.Event()

    def job(_: object) -> None:
        begun.set()
        over.wait(60)

    written = node.store.submit(job)
    assert begun.wait(60)
    try:
        yield
    finally:
        over.set()
        written.result(60)


def code_of(offered: Future[Outcome]) -> str:
    """The block's outcome, or the rule that it breaks."""
    try:
        return offered.result(60).status
    except RuleError as error:
        return error.code


def test_a_block_that_many_offer_at_once_is_worked_on_by_one(open_node: OpenNode) -> None:
    node, chain = open_node(COIN), ChainBuilder(COIN)
    raw = codec.encode_block(chain.add([chain.transfer(ALICE, BOB, 5)]))
    with ThreadPoolExecutor(PEERS) as peers:
        with busy_writer(node):
            # Bytes of its own for each, as from sockets.
            offered = [peers.submit(node.offer, bytes(bytearray(raw))) for _ in range(PEERS)]
            wait_until(lambda: node.chain.accepting.snapshot() == (1, PEERS - 1), 30, "all but one to wait")
        assert sorted(map(code_of, offered)) == ["already_known"] * (PEERS - 1) + ["extended"]
    assert node.tip_hash == chain.tip_hash


def test_a_bad_block_that_many_offer_at_once_is_refused_to_each(open_node: OpenNode) -> None:
    node, chain = open_node(COIN), ChainBuilder(COIN)
    raw = codec.encode_block(chain.next_block([transfer(COIN, BOB, ALICE, 5)]))
    with ThreadPoolExecutor(PEERS) as peers:
        with busy_writer(node):
            offered = [peers.submit(node.offer, raw) for _ in range(PEERS)]
            wait_until(lambda: node.chain.accepting.snapshot() == (1, PEERS - 1), 30, "all but one to wait")
        assert set(map(code_of, offered)) == {"insufficient_funds"}
    assert node.tip.height == 0


def test_a_false_body_for_a_header_neither_waits_for_the_true_one_nor_speaks_for_it(open_node: OpenNode) -> None:
    node, chain = open_node(COIN), ChainBuilder(COIN)
    block = chain.add()
    coinbase = block.transactions[0]
    false = replace(block, transactions=(replace(coinbase, amount=coinbase.amount + 1),))
    with ThreadPoolExecutor(1) as peer:
        with busy_writer(node):
            offered = peer.submit(node.offer, block)
            wait_until(lambda: node.chain.accepting.snapshot() == (1, 0), 30, "the true one to be worked on")
            with pytest.raises(RuleError) as refused:
                node.offer(false)
            assert refused.value.code == "bad_merkle_root"
        assert code_of(offered) == "extended"


def test_a_caller_that_waits_too_long_goes_ahead() -> None:
    lock = KeyedLock(0.05)
    with lock.of(b"block"), lock.of(b"another"), lock.of(b"block"):
        pass
    with pytest.raises(ZeroDivisionError), lock.of(b"block"):
        raise ZeroDivisionError
    assert lock.snapshot() == (0, 0)
