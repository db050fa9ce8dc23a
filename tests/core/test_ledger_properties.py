"""Undo is the inverse of apply; no money appears or vanishes; the way between two tips is the shortest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.core import codec, ledger
from moneyer.node.core.errors import (
    BadCoinbaseAmount,
    BadCoinbaseHeight,
    BadSequence,
    BadSignature,
    InsufficientFunds,
    RuleError,
)
from moneyer.node.core.rules import route
from moneyer.node.core.types import NO_ACCOUNT, Account, Block, Coinbase, Transfer
from tests.core.pure_node import Tip, wins
from tests.kit.chains import ChainBuilder, easy_coin, key, rebuild, transfer

PEOPLE = [key(name) for name in ("alice", "bob", "carol", "dave")]
ALICE, BOB, CAROL, DAVE = PEOPLE

person = st.integers(0, len(PEOPLE) - 1)
share = st.integers(0, 100)
"""Per cent of what is there: 100 empties an account."""
moves = st.lists(st.tuples(person, person, share, share), max_size=5)
plans = st.lists(st.tuples(person, moves), min_size=1, max_size=8)


def draw_transfers(chain: ChainBuilder, wanted: list[tuple[int, int, int, int]]) -> list[Transfer]:
    """Transfers that apply one after the other, each a share of what its sender then has."""
    state = chain.ledger.copy()
    made = []
    for sender, receiver, amount_share, fee_share in wanted:
        account = state.accounts.get(PEOPLE[sender].payload, NO_ACCOUNT)
        amount = max(1, account.balance * amount_share // 100)
        if amount > account.balance:
            continue
        fee = (account.balance - amount) * fee_share // 100
        each = transfer(chain.coin, PEOPLE[sender], PEOPLE[receiver], amount, fee, account.sequence)
        ledger.apply_spend(state, each, chain.next_context)
        made.append(each)
    return made


def without_none(accounts: Mapping[bytes, Account]) -> bool:
    return NO_ACCOUNT not in accounts.values()


@settings(max_examples=60)
@given(
    plans,
    st.builds(
        dict,
        reward=st.sampled_from([0, 1, 7, 10_000_000]),
        halving_interval=st.sampled_from([0, 1, 2, 5]),
        max_supply=st.sampled_from([1_000_000, 1_000_003, 10**12]),
    ),
)
def test_a_chain_keeps_all_its_money_and_can_be_taken_back_to_genesis(
    plan: list[tuple[int, list[tuple[int, int, int, int]]]], parameters: dict[str, int]
) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 600_000), (BOB, 400_000)], **parameters))
    history = [dict(chain.accounts)]
    for miner, wanted in plan:
        chain.add(draw_transfers(chain, wanted), receiver=PEOPLE[miner])
        assert sum(account.balance for account in chain.accounts.values()) == chain.coin.issued(chain.height)
        assert all(account.balance >= 0 for account in chain.accounts.values())
        assert without_none(chain.accounts)
        history.append(dict(chain.accounts))
    for height in range(chain.height, 0, -1):
        ledger.undo_block(chain.ledger, chain.blocks[height], chain.coin.chain_id)
        assert chain.accounts == history[height - 1]


def test_a_coinbase_of_nothing_makes_no_account() -> None:
    chain = ChainBuilder(easy_coin(reward=0))
    chain.add(receiver=DAVE)
    assert chain.accounts == {}
    ledger.undo_block(chain.ledger, chain.tip, chain.coin.chain_id)
    assert chain.accounts == {}


def test_an_emptied_account_keeps_its_sequence() -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 10)]))
    chain.add([chain.transfer(ALICE, BOB, 9, fee=1)], receiver=CAROL)
    assert chain.account(ALICE) == Account(0, 1)


def test_a_transfer_to_oneself_costs_only_its_fee() -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 10)]))
    before = dict(chain.accounts)
    chain.add([chain.transfer(ALICE, ALICE, 7, fee=3)])
    assert chain.account(ALICE) == Account(7, 1)
    ledger.undo_block(chain.ledger, chain.tip, chain.coin.chain_id)
    assert chain.accounts == before


def test_a_transfer_may_spend_what_an_earlier_one_paid_but_not_the_blocks_own_coinbase() -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 10)]))
    paid, spent = transfer(chain.coin, ALICE, BOB, 10), transfer(chain.coin, BOB, CAROL, 10)
    with pytest.raises(InsufficientFunds):
        chain.branch(0, "wrong order").add([spent, paid])
    with pytest.raises(InsufficientFunds):
        chain.branch(0, "own coinbase").add([transfer(chain.coin, DAVE, BOB, 1)], receiver=DAVE)
    chain.add([paid, spent])
    assert chain.account(CAROL) == Account(10, 0)
    ledger.undo_block(chain.ledger, chain.tip, chain.coin.chain_id)
    assert chain.accounts == {ALICE.payload: Account(10, 0)}


def test_the_code_is_that_of_the_first_transfer_that_fails() -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 100)]))
    good, gap, dear = (transfer(chain.coin, ALICE, BOB, amount, 0, n) for amount, n in ((1, 0), (1, 5), (1000, 1)))
    stranger = transfer(chain.coin, CAROL, BOB, 1)
    cases: list[tuple[list[Transfer], list[bool], type[RuleError]]] = [
        ([good, gap], [True, True], BadSequence),
        ([good, gap], [False, True], BadSignature),
        ([gap, good], [True, False], BadSequence),
        ([gap], [False], BadSignature),
        ([good, dear], [True, True], InsufficientFunds),
        ([stranger, good], [True, False], InsufficientFunds),
        ([replace(dear, sequence=9)], [True], BadSequence),
        ([good, good], [True, True], BadSequence),
    ]
    for transfers, signatures, error in cases:
        block = chain.next_block(transfers)
        with pytest.raises(error):
            ledger.apply_block(
                chain.ledger.copy(), block, chain.next_context, subsidy=chain.coin.subsidy(1), signatures=signatures
            )


def test_a_coinbase_names_its_height_and_mints_exactly_subsidy_and_fees() -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 100)]))
    block = chain.next_block([transfer(chain.coin, ALICE, BOB, 1, fee=5)])
    coinbase = ledger.coinbase_of(block)

    def apply(changed: Coinbase) -> None:
        other = rebuild(block, (changed, *block.transactions[1:]))
        ledger.apply_block(
            chain.ledger.copy(), other, chain.next_context, subsidy=chain.coin.subsidy(1), signatures=[True]
        )

    assert coinbase.amount == chain.coin.reward + 5
    apply(coinbase)
    for amount in (0, coinbase.amount - 1, coinbase.amount + 1):
        with pytest.raises(BadCoinbaseAmount):
            apply(replace(coinbase, amount=amount))
    with pytest.raises(BadCoinbaseHeight):
        apply(replace(coinbase, height=2, amount=0))


def grow_tree(parents: list[int]) -> list[tuple[bytes, int, int]]:
    """(block_hash, height, index of the parent) for each node; node 0 is the root, each other's parent is before it."""
    tree = [(b"\0" * 32, 0, 0)]
    for number, parent in enumerate(parents, start=1):
        parent %= number
        tree.append((number.to_bytes(32, "big"), tree[parent][1] + 1, parent))
    return tree


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(0, 1000), st.integers(0, 1000))
def test_a_route_goes_down_to_the_last_common_block_and_up_again(parents: list[int], start: int, end: int) -> None:
    tree = grow_tree(parents)
    parent_of = {block_hash: tree[parent][0] for block_hash, _, parent in tree}

    def down(index: int) -> list[bytes]:
        path = [tree[index][0]]
        while index:
            index = tree[index][2]
            path.append(tree[index][0])
        return path

    start, end = start % len(tree), end % len(tree)
    here, there = down(start), down(end)
    way = route(tree[start][:2], tree[end][:2], parent_of.__getitem__)
    common = next(block_hash for block_hash in here if block_hash in there)
    assert way.fork_point == common
    assert list(way.disconnect) == here[: here.index(common)]
    assert list(way.connect) == there[: there.index(common)][::-1]


tips = st.builds(
    Tip,
    block_hash=st.just(b""),
    height=st.integers(0, 3),
    work=st.integers(0, 3),
    joined=st.integers(0, 5),
)


@given(tips, tips, tips)
def test_which_tip_wins_is_an_order_of_work_and_then_of_arrival(a: Tip, b: Tip, c: Tip) -> None:
    assert not wins(a, a)
    assert not (wins(a, b) and wins(b, a))
    if (a.work, a.joined) != (b.work, b.joined):
        assert wins(a, b) or wins(b, a)
    if wins(a, b) and wins(b, c):
        assert wins(a, c)
    if a.work > b.work:
        assert wins(a, b)


@settings(max_examples=30)
@given(plans, plans, st.integers(0, 8))
def test_a_reorg_leaves_what_a_replay_of_the_winner_gives(
    first: list[tuple[int, list[tuple[int, int, int, int]]]],
    second: list[tuple[int, list[tuple[int, int, int, int]]]],
    height: int,
) -> None:
    loser = ChainBuilder(easy_coin(premine=[(ALICE, 600_000), (BOB, 400_000)], reward=13))
    for miner, wanted in first:
        loser.add(draw_transfers(loser, wanted), receiver=PEOPLE[miner])
    winner = loser.branch(min(height, loser.height), "winner")
    for miner, wanted in second:
        winner.add(draw_transfers(winner, wanted), receiver=PEOPLE[miner])
    blocks: dict[bytes, Block] = {
        codec.block_hash(block.header): block for chain in (loser, winner) for block in chain.blocks
    }
    heights = {codec.block_hash(block.header): h for chain in (loser, winner) for h, block in enumerate(chain.blocks)}
    way = route((loser.tip_hash, loser.height), (winner.tip_hash, winner.height), lambda h: blocks[h].header.prev_hash)
    state = loser.ledger.copy()
    for block_hash in way.disconnect:
        ledger.undo_block(state, blocks[block_hash], loser.coin.chain_id)
    for block_hash in way.connect:
        block, at = blocks[block_hash], heights[block_hash]
        signatures = [True] * (len(block.transactions) - 1)
        context = ledger.BlockContext(winner.coin.chain_id, at, lambda: 0)
        ledger.apply_block(state, block, context, subsidy=winner.coin.subsidy(at), signatures=signatures)
    assert state == winner.ledger
