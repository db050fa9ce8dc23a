"""Reorgs: any depth, one transaction, and what becomes of the transfers of the losing side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from moneyer.node.chain import advance, settle
from moneyer.node.chain.outcomes import Reorganized
from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.core.types import Account, Transfer
from moneyer.node.store import accounts, blocks, chainstate, transactions
from moneyer.node.store.unconfirmed import entries as mempool_rows
from tests.chain.children import read_until_told
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.nodes import NOW, Node, OpenNode
from tests.kit.statements import statements
from tests.kit.system.processes import Child, children

pytestmark = pytest.mark.both_databases

ALICE, BOB, CAROL, DAVE = (key(name) for name in ("alice", "bob", "carol", "dave"))
DEEP = 1000


def deep_branches() -> tuple[ChainBuilder, ChainBuilder]:
    """Two chains of 1,000 blocks and more from genesis on, each with transfers of its own."""
    coin = easy_coin(premine=[(ALICE, 10**6), (BOB, 10**6)])
    one, other = ChainBuilder(coin, "one"), ChainBuilder(coin, "other")
    for height in range(DEEP):
        one.add([one.transfer(ALICE, CAROL, 3, 1)] if height % 10 == 0 else ())
        other.add([other.transfer(BOB, DAVE, 5, 2), other.transfer(ALICE, DAVE, 1)] if height % 10 == 5 else ())
    return one, other


def send(node: Node, blocks: list[bytes]) -> None:
    """As a peer's blocks come, whose headers were looked at first."""
    for start in range(0, len(blocks), 128):
        node.chain.accept_blocks(blocks[start : start + 128], now=2**32)


def test_a_reorg_of_a_thousand_blocks_and_back_while_another_process_reads(
    memory_folder: Path, open_node: OpenNode
) -> None:
    one, other = deep_branches()
    node = open_node(one.coin, memory_folder)
    send(node, one.raw)
    with children(Child(read_until_told, memory_folder, one.coin)) as (reader,):
        assert reader.hear() == "ready"
        reader.ask("go on")
        other.add()
        send(node, other.raw)
        assert (node.tip_hash, node.accounts()) == (other.tip_hash, other.accounts)
        assert verify_chain(node.store).height == DEEP + 1
        there = node.dump()
        reader.ask("go on")
        one.add()
        one.add()
        send(node, one.raw[-2:])
        assert (node.tip_hash, node.accounts()) == (one.tip_hash, one.accounts)
        verify_chain(node.store)
        tips, wrong = reader.ask("stop")
    assert not wrong
    # In one transaction: nobody saw a chain on the way between two tips.
    assert tips == {
        (chain.height - back, codec.block_hash(chain.blocks[-1 - back].header))
        for chain, backs in ((one, (0, 2)), (other, (0,)))
        for back in backs
    }
    assert there["accounts"] == other.accounts
    node.store.close()
    again = open_node(one.coin, memory_folder)
    assert again.accounts() == one.accounts


@pytest.mark.parametrize(("most", "ahead_of_it", "kept"), [(100_000, 300_000, 50_000), (1, 3, 2), (1, 0, 0)])
def test_there_and_back_leaves_every_row_as_it_was(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch, most: int, ahead_of_it: int, kept: int
) -> None:
    monkeypatch.setattr(chainstate, "MOST_TRANSACTIONS", most)
    monkeypatch.setattr(chainstate, "_BLOCKS_AT_ONCE", 1)
    monkeypatch.setattr(advance, "_MOST_LEAVING", ahead_of_it)
    monkeypatch.setattr(advance, "_MOST_KEPT", kept)
    coin = easy_coin(premine=[(ALICE, 1000)])
    one = ChainBuilder(coin)
    other = one.branch(0, "other")
    node = open_node(coin)
    for chain, receiver in ((one, CAROL), (other, DAVE)):
        chain.add([chain.transfer(ALICE, receiver, 10, 1)])
        chain.add([chain.transfer(receiver, ALICE, 4), chain.transfer(ALICE, ALICE, 1)])
    node.offer_all(one.blocks[1:])
    node.offer_all([*other.blocks[1:], other.add()])
    assert node.tip_hash == other.tip_hash
    node.offer_all(one.grow(2))
    node.offer_all(one.blocks[3:])
    fresh = open_node(coin, node.store.config.data.parent / "fresh")
    fresh.offer_all(one.blocks[1:])
    after, replayed = node.dump(), fresh.dump()
    for table in ("main_chain", "accounts", "transactions", "history"):
        assert after[table] == replayed[table]


def test_an_account_costs_a_deep_reorg_one_delete_of_history_however_many_blocks_touch_it(open_node: OpenNode) -> None:
    coin = easy_coin(premine=[(ALICE, 1000)])
    one = ChainBuilder(coin)
    other = one.branch(0, "other")
    for _ in range(6):
        one.add([one.transfer(ALICE, CAROL, 1, 1)])
    node = open_node(coin)
    node.offer_all(one.blocks[1:])
    node.offer_all(other.grow(6))
    with statements(node.store) as seen:
        assert node.offer(other.add()).status == "reorganized"
    deletes = [statement for statement in seen if statement.startswith("DELETE FROM account_history")]
    # The sender's, the receiver's and the miner's; to a server all of them are one message.
    assert len(deletes) == (3 if node.config.database_url is None else 1)


@pytest.mark.sqlite_only("it looks for SQLite's BEGIN among the statements")
def test_what_leaves_the_main_chain_and_what_comes_is_read_before_the_write_transaction(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "BACK_AT_ONCE", 0)
    monkeypatch.setattr(advance, "resume", lambda _store: None)
    one = many_blocks(*(transfer(COIN, ALICE, CAROL, 1, 1, sequence) for sequence in range(4)), name="one")
    other = one.branch(0, "other")
    node = open_node(COIN)
    node.offer_all(one.blocks[1:])
    node.offer_all(other.grow(one.height))
    with statements(node.store, every=True) as seen:
        assert node.offer(other.add()).status == "reorganized"
    begin = seen.index("BEGIN IMMEDIATE")
    before, within = ([each.lower() for each in part if "JOIN bodies" in each] for part in (seen[:begin], seen[begin:]))
    for block in (*one.blocks[1:], *other.blocks[1:-1]):
        block_hash = codec.block_hash(block.header).hex()
        assert any(block_hash in each for each in before)
    assert not within


def test_a_reorg_is_right_though_the_tip_moves_after_the_look_ahead(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = many_blocks(*(transfer(COIN, ALICE, CAROL, 1, 1, sequence) for sequence in range(3)), name="one")
    branch = one.branch(1, "branch")
    node, other = open_node(COIN), open_node(COIN)
    node.offer_all(one.blocks[1:])
    node.offer_all(branch.grow(3))
    work = advance.Prepared.work

    def moved_meanwhile(prepared: advance.Prepared, connect: list[bytes], disconnect: Sequence[bytes]) -> None:
        monkeypatch.setattr(advance.Prepared, "work", work)
        work(prepared, connect, disconnect)
        assert len(disconnect) == 3
        assert other.offer(one.add([transfer(COIN, BOB, CAROL, 1, 1, 0)])).status == "extended"

    monkeypatch.setattr(advance.Prepared, "work", moved_meanwhile)
    raws = [codec.encode_block(block) for block in branch.grow(2)]
    assert node.chain.accept_blocks(raws, NOW) == [Reorganized(branch.tip_hash, 6, fork_height=1, disconnected=4)]
    assert node.accounts() == branch.accounts
    verify_chain(node.store)


def losing_and_winning(*losers: Transfer, winners: tuple[Transfer, ...] = ()) -> tuple[ChainBuilder, ChainBuilder]:
    chain = ChainBuilder(easy_coin(premine=[(ALICE, 100), (BOB, 100)]))
    winner = chain.branch(0, "winner")
    chain.add(losers)
    winner.add(winners)
    winner.add()
    return chain, winner


COIN = easy_coin(premine=[(ALICE, 100), (BOB, 100)])


def test_transfers_of_the_losing_side_return_to_the_pool_and_can_be_mined_again(open_node: OpenNode) -> None:
    sent = [transfer(COIN, ALICE, CAROL, 10, 1, 0), transfer(COIN, ALICE, CAROL, 10, 1, 1)]
    later = transfer(COIN, ALICE, CAROL, 10, 1, 2)
    chain, winner = losing_and_winning(*sent)
    node = open_node(COIN)
    node.offer_all(chain.blocks[1:])
    assert node.mempool.accept_transfer(later).status == "ready"
    assert node.offer_all(winner.blocks[1:]) == ["side_branch", "reorganized"]
    assert node.pool() == {codec.txid(each): True for each in (*sent, later)}
    assert node.mempool.next_sequence(ALICE.payload) == 3
    template = node.chain.template(DAVE.payload, 0, b"").block
    assert template.transactions[1:] == (*sent, later)


def test_a_returned_transfer_goes_before_what_its_sender_sent_later(open_node: OpenNode) -> None:
    # Bob's money and Alice's came only on the losing side: there isn't enough for both of Alice's any more.
    first, gift = transfer(COIN, ALICE, CAROL, 60, 0, 0), transfer(COIN, BOB, ALICE, 90, 0, 0)
    later = transfer(COIN, ALICE, DAVE, 100, 1, 1)
    chain, winner = losing_and_winning(gift, first)
    node = open_node(COIN)
    node.offer_all(chain.blocks[1:])
    assert node.mempool.accept_transfer(later).status == "ready"
    node.offer_all(winner.blocks[1:])
    assert node.pool() == {codec.txid(first): True, codec.txid(gift): True}


def test_transfers_that_conflict_with_the_winner_go(open_node: OpenNode) -> None:
    mine, theirs = transfer(COIN, ALICE, CAROL, 10, 1, 0), transfer(COIN, ALICE, DAVE, 20, 1, 0)
    behind = transfer(COIN, ALICE, CAROL, 5, 1, 1)
    chain, winner = losing_and_winning(mine, winners=(theirs,))
    node = open_node(COIN)
    node.offer_all(chain.blocks[1:])
    node.mempool.accept_transfer(behind)
    node.offer_all(winner.blocks[1:])
    assert node.pool() == {codec.txid(behind): True}
    assert node.account(ALICE) == Account(79, 1)


def test_a_transfer_that_both_sides_confirmed_does_not_return(open_node: OpenNode) -> None:
    both, only_here = transfer(COIN, ALICE, CAROL, 10, 1, 0), transfer(COIN, BOB, CAROL, 10, 1, 0)
    chain, winner = losing_and_winning(both, only_here, winners=(both,))
    node = open_node(COIN)
    node.offer_all(chain.blocks[1:])
    node.offer_all(winner.blocks[1:])
    assert node.pool() == {codec.txid(only_here): True}
    with node.store.read() as conn:
        assert transactions.find(conn, codec.txid(both)) == (1, 1)
        assert transactions.find(conn, codec.txid(only_here)) is None


def test_transfers_funded_only_on_the_losing_side_go(open_node: OpenNode) -> None:
    gift = transfer(COIN, ALICE, CAROL, 50, 0, 0)
    spent, waiting = transfer(COIN, CAROL, DAVE, 20, 1, 0), transfer(COIN, CAROL, DAVE, 20, 1, 1)
    chain, winner = losing_and_winning(gift, spent)
    node = open_node(COIN)
    node.offer_all(chain.blocks[1:])
    assert node.mempool.accept_transfer(waiting).status == "ready"
    node.offer_all(winner.blocks[1:])
    assert node.pool() == {codec.txid(gift): True}
    with node.store.read() as conn:
        assert accounts.account(conn, CAROL.payload) == Account(0, 0)
        assert accounts.history(conn, CAROL.payload, None, 10) == []
        assert blocks.tip(conn).height == 2


def many_blocks(*transfers: Transfer, name: str) -> ChainBuilder:
    """One transfer a block, and an empty block at the end."""
    chain = ChainBuilder(COIN, name)
    for each in transfers:
        chain.add([each])
    chain.add()
    return chain


def test_of_a_long_reorg_the_oldest_that_fit_the_pool_come_back(open_node: OpenNode) -> None:
    alices = [transfer(COIN, ALICE, CAROL, 1, 1, sequence) for sequence in range(13)]
    bobs = [transfer(COIN, BOB, CAROL, 1, 2, sequence) for sequence in range(12)]
    sent = [each for pair in zip(alices, bobs, strict=False) for each in pair]
    conflict = transfer(COIN, BOB, DAVE, 2, 0, 0)
    loser = many_blocks(*sent, name="loser")
    winner = many_blocks(*alices[:3], conflict, name="winner")
    winner.grow(loser.height - winner.height + 1)
    room = 7 * codec.transaction_size(alices[0])
    node = open_node(COIN, mempool_bytes=room)
    node.offer_all(loser.blocks[1:])
    assert node.mempool.accept_transfer(alices[12]).status == "ready"
    assert node.offer_all(winner.blocks[1:])[-1] == "reorganized"
    # What the winner has, or has another one for, takes no room; alices[12] would wait for those that found none.
    expected = [codec.txid(each) for each in sent if each not in alices[:3] and each is not bobs[0]][:7]
    assert node.pool() == dict.fromkeys(expected, True)
    with node.store.read() as conn:
        assert [row.txid for row in mempool_rows.arrived_after(conn, 0, 100)] == expected
        assert mempool_rows.totals(conn) == (7, room)
    verify_chain(node.store)


def test_senders_paid_in_blocks_of_which_nothing_fits_the_pool_are_settled_too(open_node: OpenNode) -> None:
    sent = [transfer(COIN, ALICE, DAVE, 1, 0, sequence) for sequence in range(6)]
    gift = transfer(COIN, ALICE, CAROL, 50, 0, 6)
    unfunded = transfer(COIN, CAROL, DAVE, 10, 30, 0)
    loser = many_blocks(*sent, gift, name="loser")
    winner = many_blocks(name="winner")
    winner.grow(loser.height)
    node = open_node(COIN, mempool_bytes=3 * codec.transaction_size(gift))
    node.offer_all(loser.blocks[1:])
    assert node.mempool.accept_transfer(unfunded).status == "ready"
    assert node.offer_all(winner.blocks[1:])[-1] == "reorganized"
    assert node.pool() == {codec.txid(each): True for each in sent[:3]}
