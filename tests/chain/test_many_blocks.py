"""`Chain.accept_blocks`: several blocks to a transaction, and otherwise the same as one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from moneyer.node.chain.accept import Chain
from moneyer.node.chain.advance import PendingBlocks
from moneyer.node.chain.outcomes import AlreadyKnown, Extended, Orphan, Reorganized, SideBranch
from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.core.errors import BadCoinbaseAmount, InvalidParent, TimeTooOld
from moneyer.node.core.types import Block
from tests.kit.chains import ChainBuilder, easy_coin, key
from tests.kit.nodes import NOW, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB, CAROL = (key(name) for name in ("alice", "bob", "carol"))
COIN = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])


def grown(count: int, name: str = "main") -> ChainBuilder:
    """A chain on which Alice and Bob pay Carol now and then, and Carol pays back."""
    chain = ChainBuilder(COIN, name)
    for height in range(count):
        transfers = [chain.transfer(ALICE, CAROL, 5, 1)] if height % 3 == 0 else []
        transfers += [chain.transfer(BOB, CAROL, 1, 0)] if height % 4 == 0 else []
        transfers += [chain.transfer(CAROL, BOB, 2, 1)] if height % 7 == 6 else []
        chain.add(transfers)
    return chain


def encoded(blocks: Sequence[Block]) -> list[bytes]:
    return [codec.encode_block(block) for block in blocks]


@pytest.mark.parametrize("run", [1, 7, 200])
def test_many_at_once_make_the_same_rows_as_one_by_one(
    open_node: OpenNode, tmp_path_factory: pytest.TempPathFactory, run: int
) -> None:
    chain = grown(30)
    one, many = open_node(COIN), open_node(COIN, tmp_path_factory.mktemp("many"))
    one.offer_all(chain.raw)
    outcomes = Chain(many.store, run_blocks=run).accept_blocks(chain.raw, NOW)
    assert all(isinstance(outcome, Extended) for outcome in outcomes)
    assert len(outcomes) == -(-30 // run)
    assert many.dump() == one.dump()
    assert verify_chain(many.store).height == 30


def test_a_transaction_ends_where_its_bytes_are_enough(open_node: OpenNode) -> None:
    chain = grown(10)
    assert len(Chain(open_node(COIN).store, run_bytes=1).accept_blocks(chain.raw, NOW)) == 10


def test_known_blocks_in_front_are_passed_over(open_node: OpenNode) -> None:
    chain, node = grown(20), open_node(COIN)
    node.offer_all(chain.raw[:12])
    outcomes = node.chain.accept_blocks(chain.raw[9:], NOW)
    assert [type(outcome) for outcome in outcomes] == [AlreadyKnown] * 3 + [Extended]
    assert node.tip_hash == chain.tip_hash


def test_a_block_that_fails_in_context_ends_the_run_and_those_before_it_stay(open_node: OpenNode) -> None:
    chain, node = grown(5), open_node(COIN)
    good = len(chain.raw)
    greedy = chain.next_block(amount=COIN.reward + 1)
    liar = ChainBuilder(COIN, "liar")
    liar.blocks = [*chain.blocks, greedy]
    child = liar.next_block()
    with pytest.raises(BadCoinbaseAmount):
        node.chain.accept_blocks([*chain.raw, *encoded([greedy, child])], NOW)
    assert node.tip.height == good
    with pytest.raises(BadCoinbaseAmount):
        node.offer(greedy)
    with pytest.raises(InvalidParent):
        node.offer(child)
    assert node.chain.accept_blocks(encoded([chain.add()]), NOW) == [Extended(chain.tip_hash, good + 1)]
    verify_chain(node.store)


def test_a_header_that_breaks_a_rule_ends_the_run_and_those_before_it_stay(open_node: OpenNode) -> None:
    chain, node = grown(15), open_node(COIN)
    early = chain.next_block(timestamp=COIN.timestamp)
    with pytest.raises(TimeTooOld):
        node.chain.accept_blocks([*chain.raw, *encoded([early])], NOW)
    assert node.tip_hash == chain.tip_hash


def test_a_run_that_overtakes_the_main_chain_is_a_reorg(open_node: OpenNode) -> None:
    ours, node = grown(12, "ours"), open_node(COIN)
    theirs = ours.branch(4, "theirs")
    for _ in range(10):
        theirs.add([theirs.transfer(ALICE, BOB, 9, 3)])
    node.offer_all(ours.raw)
    assert node.chain.accept_blocks(theirs.raw[4:8], NOW) == [SideBranch(codec.block_hash(theirs.blocks[8].header), 8)]
    [outcome] = node.chain.accept_blocks(theirs.raw[8:], NOW)
    assert outcome == Reorganized(theirs.tip_hash, 14, fork_height=4, disconnected=8)
    assert node.accounts() == {payload: account for payload, account in theirs.accounts.items() if any(account)}
    verify_chain(node.store)


def test_blocks_out_of_order_are_held_and_connected_when_their_parents_come(open_node: OpenNode) -> None:
    chain, node = grown(12), open_node(COIN)
    outcomes = node.chain.accept_blocks([*chain.raw[6:], *chain.raw[:6]], NOW)
    assert [type(outcome) for outcome in outcomes] == [Orphan] * 6 + [Extended]
    assert node.tip_hash == chain.tip_hash
    assert not len(node.chain.orphans)


@pytest.mark.parametrize("step", [1, 4, 11])
def test_blocks_that_come_bit_by_bit_make_the_same_rows(
    open_node: OpenNode, tmp_path_factory: pytest.TempPathFactory, step: int
) -> None:
    chain = grown(30)
    one, bits = open_node(COIN), open_node(COIN, tmp_path_factory.mktemp("bits"))
    one.offer_all(chain.raw)
    intake = bits.chain.intake()
    for start in range(0, 30, step):
        outcomes = intake.take(chain.raw[start : start + step], NOW)
        assert bits.tip.height >= start, "all blocks of the take before are durable"
        assert all(isinstance(outcome, Extended) for outcome in outcomes)
    assert [outcome.height for outcome in intake.finish(NOW)] == [30]
    assert intake.finish(NOW) == []
    assert bits.dump() == one.dump()


def test_a_false_block_of_an_earlier_bit_is_found_at_the_next_or_at_the_end(open_node: OpenNode) -> None:
    chain, node = grown(5), open_node(COIN)
    greedy = chain.next_block(amount=COIN.reward + 1)
    liar = ChainBuilder(COIN, "liar")
    liar.blocks = [*chain.blocks, greedy]
    child = encoded([liar.next_block()])
    intake = node.chain.intake()
    assert intake.take([*chain.raw, *encoded([greedy])], NOW) == []
    with pytest.raises(BadCoinbaseAmount):
        intake.take(child, NOW)
    assert node.tip.height == 5
    assert intake.finish(NOW) == []
    another = chain.next_block(amount=COIN.reward + 2)
    assert intake.take(encoded([another]), NOW) == []
    with pytest.raises(BadCoinbaseAmount):
        intake.finish(NOW)
    assert intake.take(encoded([chain.add()]), NOW) == []
    assert intake.finish(NOW) == [Extended(chain.tip_hash, 6)]
    verify_chain(node.store)


def test_a_header_that_breaks_a_rule_waits_for_the_blocks_that_are_under_way(open_node: OpenNode) -> None:
    chain, node = grown(9), open_node(COIN)
    early = chain.next_block(timestamp=COIN.timestamp)
    intake = node.chain.intake()
    assert intake.take(chain.raw, NOW) == []
    with pytest.raises(TimeTooOld):
        intake.take(encoded([early]), NOW)
    assert node.tip_hash == chain.tip_hash


def test_bugs_met_by_two_bits_at_once_lose_neither(open_node: OpenNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """One while a bit is written, and one meanwhile in the next."""
    chain, node = grown(6), open_node(COIN)
    intake = node.chain.intake()
    assert intake.take(chain.raw[:3], NOW) == []
    left = [1, 1]

    def once(function: Callable[..., Any], number: int) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            if left[number]:
                left[number] -= 1
                raise RuntimeError("a bug")
            return function(*arguments, **named)

        return called

    monkeypatch.setattr(PendingBlocks, "outcome", once(PendingBlocks.outcome, 0))
    monkeypatch.setattr(node.chain, "examine_run", once(node.chain.examine_run, 1))
    intake.take(chain.raw[3:], NOW)
    intake.finish(NOW)
    assert left == [0, 0]
    assert node.tip_hash == chain.tip_hash
