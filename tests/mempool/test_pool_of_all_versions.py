"""What waits under rules 2: assets and mints covered in sum, what is locked, and what comes back after a reorg."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.chain import settle
from moneyer.node.core import codec
from moneyer.node.core.address import encode_address
from moneyer.node.core.errors import FeeTooLow, Locked, RuleError
from moneyer.node.core.policy import AfterHeight, AfterTime, Policy, Threshold
from moneyer.node.core.policy import Key as KeyLeaf
from moneyer.node.core.types import COIN_ASSET, Payment, Spend
from moneyer.node.store.unconfirmed import entries as rows
from tests.kit.chains import (
    GENESIS_TIME,
    ChainBuilder,
    Key,
    burn,
    contract,
    easy_coin,
    issue,
    key,
    meet,
    mint,
    pay,
    transfer,
)
from tests.kit.nodes import Node, OpenNode
from tests.kit.system.processes import Child, children

pytestmark = pytest.mark.both_databases

ALICE, BOB, CAROL = PEOPLE = [key(name) for name in ("alice", "bob", "carol")]
BY_HEIGHT = Threshold(1, (KeyLeaf(ALICE.payload[1:]), Threshold(2, (KeyLeaf(BOB.payload[1:]), AfterHeight(6)))))
BY_TIME = Threshold(2, (KeyLeaf(BOB.payload[1:]), AfterTime(GENESIS_TIME + 40)))
CONTRACTS = [encode_address("easy", contract(policy)) for policy in (BY_HEIGHT, BY_TIME)]
PREMINE: list[tuple[Key | str, int]] = [*((each, 10_000) for each in PEOPLE), *((each, 1_000) for each in CONTRACTS)]
COIN = easy_coin(premine=PREMINE, rules=2)
MADE = {each: issue(COIN, each, 100, 200) for each in PEOPLE}
ASSET = {each: codec.asset_id(COIN.chain_id, made) for each, made in MADE.items()}


def issued() -> ChainBuilder:
    """A block in which everyone issues an asset: 100 units, and 100 that may be minted."""
    chain = ChainBuilder(COIN)
    chain.add(list(MADE.values()))
    return chain


@pytest.fixture
def node(open_node: OpenNode) -> Node:
    each = open_node(COIN, min_fee=1)
    each.offer_all(issued().blocks[1:])
    return each


def said(node: Node, *spends: Spend) -> list[str]:
    """Of each its status in the pool, or the code of the refusal."""
    found = []
    for each in spends:
        before = node.dump()
        try:
            found.append(node.mempool.accept_transfer(each).status)
        except RuleError as error:
            found.append(error.code)
            assert node.dump() == before
    return found


def of_contract(policy: Policy, named: Sequence[int], sequence: int = 0, fee: int = 5) -> Spend:
    unsigned = Payment(contract(policy), fee, sequence, b"", b"", CAROL.payload, COIN_ASSET, 10)
    return meet(COIN, unsigned, policy, named, PEOPLE)


def asset_of(amount: int, sequence: int, fee: int = 5) -> Payment:
    return pay(COIN, ALICE, BOB, amount, ASSET[ALICE], fee, sequence)


def test_units_and_mints_are_covered_in_sum_by_what_is_confirmed(node: Node) -> None:
    mine = ASSET[ALICE]
    assert said(
        node,
        asset_of(60, 1),
        burn(COIN, ALICE, mine, 30, fee=5, sequence=2),
        asset_of(11, 3),
        asset_of(10, 9),  # behind a gap it claims as much
        asset_of(1, 3),
        mint(COIN, ALICE, mine, 70, fee=5, sequence=3),
        mint(COIN, ALICE, mine, 31, fee=5, sequence=4),
        mint(COIN, ALICE, mine, 30, fee=5, sequence=4),
        pay(COIN, BOB, CAROL, 1, mine, 5, 1),  # only in the pool are they BOB's
        mint(COIN, BOB, mine, 1, fee=5, sequence=1),
        pay(COIN, BOB, CAROL, 1, codec.asset_id(COIN.chain_id, issue(COIN, ALICE)), 5, 1),
    ) == [
        *("ready", "ready", "insufficient_asset", "waiting", "insufficient_asset", "ready", "over_max_supply"),
        *("ready", "insufficient_asset", "not_issuer", "unknown_asset"),
    ]


def test_an_asset_is_moved_only_once_its_issue_is_confirmed(node: Node) -> None:
    more = issue(COIN, ALICE, 5, 5, fee=5, sequence=1)
    asset = codec.asset_id(COIN.chain_id, more)
    paid = pay(COIN, ALICE, BOB, 5, asset, 5, 2)
    assert said(node, more, paid) == ["ready", "unknown_asset"]
    chain = issued()
    node.offer(chain.add([more]))
    assert said(node, paid) == ["ready"]


def test_one_version_takes_the_place_of_another_and_its_claim_is_free_again(node: Node) -> None:
    """The least that it pays more is a base unit for each 512 bytes that it began, and a tenth."""
    long = issue(COIN, ALICE, 1, 1, fee=1, sequence=1, name=b"n" * 64, memo=b"m" * 140)
    wide = Threshold(2, tuple(KeyLeaf(key(f"signer {number}").payload[1:]) for number in range(16)))
    assert codec.transaction_size(long) < 512
    assert said(node, asset_of(100, 1, fee=5), asset_of(1, 2)) == ["ready", "insufficient_asset"]
    assert said(node, burn(COIN, ALICE, ASSET[ALICE], 1, fee=5, sequence=1)) == ["fee_too_low"]
    assert said(node, transfer(COIN, ALICE, BOB, 1, 6, 1), asset_of(100, 2)) == ["ready", "ready"]
    assert said(node, asset_of(1, 1, fee=7), issue(COIN, ALICE, fee=7, sequence=1)) == ["insufficient_asset", "ready"]
    assert said(node, mint(COIN, ALICE, ASSET[ALICE], 100, fee=8, sequence=1), asset_of(1, 3)) == [
        "ready",
        "insufficient_asset",
    ]
    chain = issued()
    node.offer(chain.add([transfer(COIN, BOB, contract(wide), 500, 1, 1)]))
    unsigned = Payment(contract(wide), 1, 0, b"", b"", BOB.payload, COIN_ASSET, 1)
    with pytest.raises(FeeTooLow) as refused:
        node.mempool.accept_transfer(meet(COIN, unsigned, wide, (0, 1), [key("signer 0"), key("signer 1")]))
    assert refused.value.details["expected"] == 2


def test_what_is_locked_is_refused_with_when_it_opens_also_behind_a_gap(node: Node) -> None:
    for sequence in (0, 3):
        with pytest.raises(Locked) as refused:
            node.mempool.accept_transfer(of_contract(BY_HEIGHT, (1, 2), sequence))
        assert {"height": 6, "time": 0}.items() <= refused.value.details.items()
        with pytest.raises(Locked) as refused:
            node.mempool.accept_transfer(of_contract(BY_TIME, (0, 1), sequence))
        assert {"height": 0, "time": GENESIS_TIME + 40}.items() <= refused.value.details.items()
    chain = issued()
    node.offer_all(chain.grow(3))
    assert said(node, of_contract(BY_HEIGHT, (0,)), of_contract(BY_HEIGHT, (1, 2), 1)) == ["ready", "locked"]
    node.offer_all(chain.grow(1))
    assert said(node, of_contract(BY_HEIGHT, (1, 2), 1), of_contract(BY_HEIGHT, (1, 2), 3)) == ["ready", "waiting"]


def test_a_pool_of_assets_survives_a_restart_with_its_claims(node: Node, open_node: OpenNode) -> None:
    held: list[Spend] = [asset_of(100, 1), mint(COIN, ALICE, ASSET[ALICE], 99, fee=5, sequence=2), asset_of(1, 4)]
    assert said(node, *held) == ["ready", "ready", "insufficient_asset"]
    before = node.dump()
    node.store.close()
    again = open_node(COIN, min_fee=1)
    assert again.dump() == before
    assert said(again, held[2], mint(COIN, ALICE, ASSET[ALICE], 2, fee=5, sequence=3)) == [
        "insufficient_asset",
        "over_max_supply",
    ]


def test_who_is_evicted_gives_back_the_units_that_it_claimed(open_node: OpenNode) -> None:
    size = codec.transaction_size(asset_of(1, 1))
    node = open_node(COIN, min_fee=1, mempool_bytes=2 * size)
    node.offer_all(issued().blocks[1:])
    rich = pay(COIN, CAROL, BOB, 1, ASSET[CAROL], 50, 1)
    assert said(node, asset_of(90, 1, fee=2), asset_of(11, 2), rich) == ["ready", "insufficient_asset", "ready"]
    assert said(node, pay(COIN, BOB, CAROL, 1, ASSET[BOB], 40, 1)) == ["ready"]
    assert said(node, asset_of(100, 1, fee=41)) == ["ready"]
    assert node.pool() == {codec.txid(rich): True, codec.txid(asset_of(100, 1, fee=41)): True}


# a reorg


def losing() -> tuple[ChainBuilder, dict[bytes, bool]]:
    """Blocks with every version, and what the pool has after five empty ones won over those behind the first."""
    chain = issued()
    made = issue(COIN, ALICE, 50, 60, fee=1, sequence=1)
    new = codec.asset_id(COIN.chain_id, made)
    dropped: list[Spend] = [pay(COIN, ALICE, BOB, 9, new, 1, 2), pay(COIN, BOB, CAROL, 4, new, 1, 1)]
    behind: list[Spend] = [asset_of(10, 3), burn(COIN, BOB, ASSET[BOB], 3, fee=1, sequence=2)]
    back: list[Spend] = [made, mint(COIN, CAROL, ASSET[CAROL], 100, receiver=BOB, fee=1, sequence=1)]
    taken = pay(COIN, BOB, CAROL, 30, ASSET[CAROL], 1, 3)  # of what is minted only there
    locked = [of_contract(BY_TIME, (0, 1)), of_contract(BY_HEIGHT, (1, 2), 1)]
    back.append(of_contract(BY_HEIGHT, (0,)))
    late = GENESIS_TIME + 1_000
    chain.add([made, dropped[0], back[1], back[2]], timestamp=late)
    chain.add([*dropped[1:], *behind], timestamp=late + 1)
    chain.add([taken], timestamp=late + 2)
    for number in range(3):
        chain.add([locked[0]] if number == 2 else [], timestamp=late + 3 + number)
    chain.add([locked[1]], timestamp=late + 9)
    kept = {**{codec.txid(each): True for each in back}, **{codec.txid(each): False for each in behind}}
    return chain, kept


LOSER, KEPT = losing()


def winning() -> ChainBuilder:
    """More blocks on the first one, whose clock has not come as far."""
    chain = LOSER.branch(1, "winner")
    for number in range(LOSER.height):
        chain.add(timestamp=chain.tip.header.timestamp + (1 if number else 2))
    return chain


WINNER = winning()
OPENS_AGAIN = of_contract(BY_HEIGHT, (1, 2), 1)
"""Its height has come on the winner too; it waited in a block of the loser."""


def reorganize(node: Node) -> None:
    node.offer_all(LOSER.blocks[1:])
    waits = pay(COIN, CAROL, BOB, 3, codec.asset_id(COIN.chain_id, issue(COIN, ALICE, 50, 60, fee=1, sequence=1)), 1, 2)
    assert said(node, waits) == ["ready"]
    assert node.offer_all(WINNER.blocks[2:])[-1] == "reorganized"


def check_what_came_back(node: Node) -> None:
    assert node.tip_hash == WINNER.tip_hash
    assert node.pool() == {**KEPT, codec.txid(OPENS_AGAIN): True}
    with node.store.read() as conn:
        assert rows.returning(conn) == []


def reorganize_and_die(pipe: Pipe, folder: Path) -> None:
    """Kill this process when the second portion is to come back."""
    parts = []
    give_back = settle.put_back

    def deadly(conn: Any, part: dict[bytes, Any], mempool_bytes: int) -> None:
        parts.append(part)
        if len(parts) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        give_back(conn, part, mempool_bytes)

    settle.BACK_AT_ONCE = settle.PORTION = 2
    settle.put_back = deadly
    node = Node(folder, COIN)
    pipe.send("ready")
    reorganize(node)


@pytest.mark.parametrize("portion", [2, 10_000])
def test_after_a_reorg_there_is_in_the_pool_what_still_applies(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    """An undone issue returns, and payments of its asset go, those that waited too; so does what is locked again."""
    monkeypatch.setattr(settle, "BACK_AT_ONCE", portion)
    monkeypatch.setattr(settle, "PORTION", portion)
    node = open_node(COIN)
    reorganize(node)
    check_what_came_back(node)


def test_a_process_killed_while_assets_come_back_loses_nothing(tmp_path: Path, open_node: OpenNode) -> None:
    with children(Child(reorganize_and_die, tmp_path)) as (child,):
        assert child.hear() == "ready"
        child.process.join(60)
        assert child.process.exitcode == -signal.SIGKILL
    check_what_came_back(open_node(COIN, tmp_path))


def test_on_a_heavier_chain_that_is_lower_nothing_in_the_pool_is_locked(open_node: OpenNode) -> None:
    """Neither what was in a block nor what waited, and what stands behind it waits."""
    coin = easy_coin(retarget=True, difficulty_window=3, clock_tolerance=60, premine=PREMINE, rules=2)
    policy = Threshold(2, (KeyLeaf(BOB.payload[1:]), AfterHeight(12)))
    shared = contract(policy)

    def spent(sequence: int) -> Payment:
        return meet(coin, Payment(shared, 1, sequence, b"", b"", BOB.payload, COIN_ASSET, 1), policy, (0, 1), PEOPLE)

    slow, fast = ChainBuilder(coin, "slow"), ChainBuilder(coin, "fast")
    funded = transfer(coin, BOB, shared, 100, 1)
    slow.add([funded])
    fast.add([funded])
    slow.grow(10)
    slow.add([spent(0)])
    while fast.work <= slow.work:
        fast.add(timestamp=fast.tip.header.timestamp + 1)
    assert fast.height < 11
    node = open_node(coin)
    node.offer_all(slow.blocks[1:])
    assert said(node, spent(1), spent(3), transfer(coin, BOB, ALICE, 1, 1, 1)) == ["ready", "waiting", "ready"]
    assert node.offer_all(fast.blocks[1:])[-1] == "reorganized"
    assert list(node.pool().values()) == [True]
