"""Which chain stands: the one with the most work, and of equals the first."""

from __future__ import annotations

import pytest

from moneyer.node.chain.accept import MAX_UNASKED_DEPTH
from moneyer.node.chain.advance import Prepared
from moneyer.node.chain.outcomes import Reorganized
from moneyer.node.chain.side_branches import ROW_BYTES
from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec, ledger
from moneyer.node.core.errors import BadCoinbaseAmount, InsufficientFunds, InvalidParent, TooDeep
from moneyer.node.core.types import Transfer
from moneyer.node.store import blocks, chainstate
from moneyer.node.store.errors import StoreBusy
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import NOW, Node, OpenNode

pytestmark = pytest.mark.both_databases

ALICE, BOB = key("alice"), key("bob")


def slow_and_fast() -> tuple[ChainBuilder, ChainBuilder]:
    """Many easy blocks, and fewer that are harder: their timestamps are close, so the retarget asks for more."""
    coin = easy_coin(retarget=True, difficulty_window=3, clock_tolerance=60)
    slow, fast = ChainBuilder(coin, "slow"), ChainBuilder(coin, "fast")
    slow.grow(12)
    while fast.work <= slow.work:
        fast.add(timestamp=fast.tip.header.timestamp + 1)
    assert fast.height < slow.height
    return slow, fast


def test_fewer_blocks_with_more_work_win(open_node: OpenNode) -> None:
    slow, fast = slow_and_fast()
    node = open_node(slow.coin)
    assert set(node.offer_all(slow.blocks[1:])) == {"extended"}
    statuses = [node.offer(block) for block in fast.blocks[1:]]
    assert [outcome.status for outcome in statuses] == ["side_branch"] * (fast.height - 1) + ["reorganized"]
    assert statuses[-1] == Reorganized(fast.tip_hash, fast.height, fork_height=0, disconnected=slow.height)
    assert (node.tip_hash, node.tip.work) == (fast.tip_hash, fast.work)
    assert node.accounts() == fast.accounts
    verify_chain(node.store)


def test_more_blocks_with_less_work_lose(open_node: OpenNode) -> None:
    slow, fast = slow_and_fast()
    node = open_node(slow.coin)
    assert set(node.offer_all(fast.blocks[1:])) == {"extended"}
    assert set(node.offer_all(slow.blocks[1:])) == {"side_branch"}
    assert node.tip_hash == fast.tip_hash
    assert node.accounts() == fast.accounts


def test_equal_work_leaves_the_first_also_after_a_restart(open_node: OpenNode) -> None:
    first = ChainBuilder(easy_coin())
    second = first.branch(0, "second")
    first.grow(3)
    second.grow(3)
    node = open_node(first.coin)
    # The second branch's blocks come between: what counts is which tip joined first, not which block.
    assert node.offer_all([second.blocks[1], second.blocks[2], *first.blocks[1:]])[-1] == "reorganized"
    assert node.offer(second.blocks[3]).status == "side_branch"
    node.store.close()
    node = open_node(first.coin)
    assert node.tip_hash == first.tip_hash
    assert node.offer(second.add()).status == "reorganized"
    assert node.accounts() == second.accounts


def test_a_heavier_branch_with_a_bad_last_block_changes_nothing(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 100)]))
    node = open_node(chain.coin)
    branch = chain.branch(0, "branch")
    node.offer_all([chain.add([chain.transfer(ALICE, BOB, 60)]), *chain.grow(2)])
    node.mempool.accept_transfer(transfer(chain.coin, ALICE, BOB, 5, 1, 1))
    node.offer_all(branch.grow(3))
    bad = branch.next_block([branch.transfer(ALICE, BOB, 101)])
    before = node.dump()
    for _ in range(2):
        with pytest.raises(InsufficientFunds):
            node.offer(bad)
    assert node.dump() == before
    assert node.offer(branch.add([branch.transfer(ALICE, BOB, 100)])).status == "reorganized"
    assert node.accounts() == branch.accounts


def test_the_valid_part_of_a_bad_branch_wins_by_its_own_work(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    branch = chain.branch(0, "branch")
    node.offer_all(chain.grow(2))
    good = branch.grow(3)
    bad = branch.next_block(amount=branch.coin.reward + 1)
    branch.blocks.append(bad)  # past the builder's own check
    after_bad = branch.next_block()
    # As orphans, so that all of it is there at once when the parent of all comes.
    assert node.offer_all([after_bad, bad, good[2], good[1]]) == ["orphan"] * 4
    assert node.offer(good[0]).status == "side_branch"
    assert node.tip_hash == codec.block_hash(good[2].header)
    with pytest.raises(BadCoinbaseAmount):
        node.offer(bad)
    with pytest.raises(InvalidParent):
        node.offer(after_bad)
    verify_chain(node.store)


def test_many_blocks_at_once_with_a_bad_one_keep_those_before_it(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    branch = chain.branch(0, "branch")
    node.offer_all(chain.grow(2))
    good = branch.grow(5)
    bad = branch.next_block(amount=branch.coin.reward + 1)
    branch.blocks.append(bad)
    raws = [codec.encode_block(block) for block in (*good, bad, branch.next_block())]
    with pytest.raises(BadCoinbaseAmount):
        node.chain.accept_blocks(raws, now=good[-1].header.timestamp)
    assert node.tip_hash == codec.block_hash(good[-1].header)
    with node.store.read() as conn:
        row = blocks.by_hash(conn, codec.block_hash(bad.header))
        assert row is not None
        assert row.invalid_code == "bad_coinbase_amount"
    verify_chain(node.store)


def test_an_unasked_branch_from_deep_below_is_not_stored_and_an_asked_one_is(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    node.chain.accept_blocks([codec.encode_block(block) for block in chain.grow(MAX_UNASKED_DEPTH + 2)], now=2**32)
    deep, deepest_allowed = chain.branch(1, "deep"), chain.branch(2, "allowed")
    deep.grow(2)
    before = node.dump()
    for _ in range(2):
        with pytest.raises(TooDeep):
            node.offer(deep.blocks[2])
    assert node.chain.missing([codec.block_hash(deep.blocks[2].header)])
    assert node.offer(deepest_allowed.add()).status == "side_branch"
    assert node.offer(deep.blocks[2], asked=True).status == "side_branch"
    with pytest.raises(TooDeep):
        node.offer(deep.blocks[3])
    assert node.offer(deep.blocks[3], asked=True).status == "side_branch"
    assert node.dump() == before


def test_an_ancestor_condemned_between_the_look_ahead_and_the_write_is_a_verdict(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = ChainBuilder(easy_coin())
    node, other = open_node(chain.coin), open_node(chain.coin)
    branch = chain.branch(0, "branch")
    node.offer_all(chain.grow(2))
    bad = branch.next_block(amount=branch.coin.reward + 1)
    branch.blocks.append(bad)  # past the builder's own check
    branch.blocks.append(branch.next_block())
    assert node.offer_all(branch.blocks[1:]) == ["side_branch"] * 2
    one, two = branch.next_block(extra=b"one"), branch.next_block(extra=b"two")
    check = Prepared.verify

    def condemned_meanwhile(prepared: Prepared, block_hashes: list[bytes]) -> None:
        monkeypatch.setattr(Prepared, "verify", check)
        with pytest.raises(BadCoinbaseAmount):
            other.offer(two)
        check(prepared, block_hashes)

    monkeypatch.setattr(Prepared, "verify", condemned_meanwhile)
    for block in (one, one, branch.blocks[2], two):
        with pytest.raises(InvalidParent):
            node.offer(block)
    assert node.tip_hash == chain.tip_hash
    verify_chain(node.store)


def test_the_bookkeeping_of_signatures_is_linear_in_a_branchs_length(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    chain.grow(2)
    blocks_of_it = enumerate(chain.blocks * 300)
    new = [
        chainstate.NewBlock(block, number.to_bytes(32, "big"), b"", number, number, ())
        for number, block in blocks_of_it
    ]
    looks = 0

    class Counted(list[Transfer]):
        def __len__(self) -> int:
            nonlocal looks
            looks += 1
            return super().__len__()

    monkeypatch.setattr(ledger, "spends_of", lambda block: Counted())
    Prepared(node.store, {each.block_hash: each for each in new}).verify([each.block_hash for each in new])
    assert len(new) <= looks <= 3 * len(new)


def side_bytes(node: Node) -> int:
    """What the blocks that were never connected take, as they are counted."""
    with node.store.read() as conn:
        return sum(size + ROW_BYTES for *_, size in blocks.never_connected(conn))


def test_unasked_side_branches_are_bounded_and_the_oldest_with_the_least_work_go_first(open_node: OpenNode) -> None:
    main = ChainBuilder(easy_coin())
    node = open_node(main.coin)
    node.offer_all(main.grow(4))
    node.chain.side_branches.most = 8_000
    strong = main.branch(0, "strong")
    assert node.offer_all(strong.grow(3)) == ["side_branch"] * 3
    weak = [main.branch(0, f"weak {number}").add() for number in range(20)]
    assert node.offer_all(weak) == ["side_branch"] * 20
    assert 0 < side_bytes(node) <= node.chain.side_branches.most
    hashes = [codec.block_hash(block.header) for block in weak]
    gone = node.chain.missing(hashes)
    assert gone == hashes[: len(gone)]
    assert 0 < len(gone) < len(hashes)
    assert node.tip_hash == main.tip_hash
    assert node.offer_all(strong.grow(2)) == ["side_branch", "reorganized"]
    assert node.accounts() == strong.accounts
    assert verify_chain(node.store).height == 5


def test_the_ends_of_a_branch_are_let_go_before_what_they_stand_on(open_node: OpenNode) -> None:
    main = ChainBuilder(easy_coin())
    node = open_node(main.coin)
    node.offer_all(main.grow(6))
    aside = main.branch(0, "aside")
    node.offer_all(aside.grow(5))
    node.chain.side_branches.most = 4_000
    assert node.offer(main.branch(5, "other").add()).status == "side_branch"
    kept = [height for height in range(1, 6) if not node.chain.missing([codec.block_hash(aside.blocks[height].header)])]
    assert kept == [1, 2]
    assert node.offer(aside.blocks[4]).status == "orphan"
    node.chain.side_branches.most = 10_000
    assert node.offer_all(aside.blocks[3:6]) == ["side_branch", "already_known", "side_branch"]


def test_a_branch_with_more_work_than_the_tip_is_taken_though_there_is_no_room_for_side_branches(
    open_node: OpenNode,
) -> None:
    main = ChainBuilder(easy_coin())
    node = open_node(main.coin)
    node.chain.side_branches.most = 0
    other, third = main.branch(0, "other"), main.branch(0, "third")
    node.offer_all(main.grow(2))
    assert node.offer(other.add()).status == "side_branch"
    assert node.chain.missing([other.tip_hash]) == [other.tip_hash]
    other.grow(2)
    assert node.offer_all(other.blocks[1:], asked=True)[-1] == "reorganized"
    third.grow(4)
    node.chain.accept_blocks(third.raw, NOW)
    assert node.tip_hash == third.tip_hash
    # What was on the main chain once is no side branch of a stranger's.
    node.offer(main.branch(1, "again").add())
    assert not node.chain.missing([codec.block_hash(block.header) for block in (*main.blocks, *other.blocks)])
    assert verify_chain(node.store).height == 4


def test_side_branches_of_an_earlier_run_are_counted_too(open_node: OpenNode) -> None:
    main = ChainBuilder(easy_coin())
    node = open_node(main.coin)
    node.offer_all(main.grow(2))
    early = [main.branch(0, f"early {number}").add() for number in range(5)]
    node.offer_all(early)
    node.store.close()
    node = open_node(main.coin)
    node.chain.side_branches.most = 3_000
    late = main.branch(0, "late").add()
    assert node.offer(late).status == "side_branch"
    assert node.chain.missing([codec.block_hash(block.header) for block in (*early, late)]) == [
        codec.block_hash(block.header) for block in early[:4]
    ]


def test_a_block_whose_side_branch_is_let_go_while_it_is_checked_may_come_again(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ChainBuilder(easy_coin())
    node = open_node(main.coin)
    node.offer_all(main.grow(2))
    aside = main.branch(0, "aside")
    node.offer_all(aside.grow(2))
    block, check = aside.add(), Prepared.verify

    def let_go(prepared: Prepared, block_hashes: list[bytes]) -> None:
        monkeypatch.setattr(Prepared, "verify", check)
        node.store.write(lambda conn: chainstate.forget(conn, [codec.block_hash(aside.blocks[2].header)]))
        check(prepared, block_hashes)

    monkeypatch.setattr(Prepared, "verify", let_go)
    with pytest.raises(StoreBusy):
        node.offer(block)
    assert node.offer(block).status == "orphan"
    assert node.offer(aside.blocks[2]).status == "side_branch"
    assert node.tip_hash == aside.tip_hash
