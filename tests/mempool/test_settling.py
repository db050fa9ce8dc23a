"""The pool follows the tip in few statements, without decoding what waits; a large reorg gives back in portions."""

from __future__ import annotations

import logging
import os
import signal
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from moneyer.node.chain import advance, pool_policy, settle
from moneyer.node.core import codec
from moneyer.node.core.errors import MempoolFull
from moneyer.node.core.types import Transfer
from moneyer.node.store.engine import Store
from moneyer.node.store.tables import mempool as table
from moneyer.node.store.unconfirmed import entries as rows
from tests.kit.chains import ChainBuilder, easy_coin, key, mine, transfer
from tests.kit.nodes import NOW, Node, OpenNode
from tests.kit.statements import statements
from tests.kit.system.processes import Child, children

pytestmark = pytest.mark.both_databases

PEOPLE = [key(f"person {number}") for number in range(6)]
ALICE, _, CAROL = PEOPLE[:3]
COIN = easy_coin(premine=[(person, 10_000) for person in PEOPLE])


def sent(person: int, sequence: int, fee: int = 5, amount: int = 1) -> Transfer:
    return transfer(COIN, PEOPLE[person], PEOPLE[0], amount, fee, sequence)


def branches() -> tuple[ChainBuilder, ChainBuilder]:
    """Four blocks of six transfers, one of each person; and five empty ones that win."""
    loser, winner = ChainBuilder(COIN, "loser"), ChainBuilder(COIN, "winner")
    for sequence in range(4):
        loser.add([sent(person, sequence) for person in range(6)])
    winner.grow(5)
    return loser, winner


LOSER, WINNER = branches()
WAITING = [sent(person, sequence) for sequence in (4, 5) for person in range(6)]


def reorganize(node: Node) -> None:
    node.offer_all(LOSER.blocks[1:])
    node.mempool.accept_transfers(WAITING)
    assert node.offer_all(WINNER.blocks[1:])[-1] == "reorganized"


def ready_pool() -> dict[bytes, bool]:
    return {codec.txid(sent(person, sequence)): True for person in range(6) for sequence in range(6)}


def marked(node: Node) -> list[bytes]:
    with node.store.read() as conn:
        return rows.returning(conn)


@pytest.fixture
def portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little comes back at once: here 2 senders' four transfers each."""
    monkeypatch.setattr(settle, "BACK_AT_ONCE", 6)
    monkeypatch.setattr(settle, "PORTION", 6)
    monkeypatch.setattr(settle, "_LOOKS", 1_000)


@pytest.mark.usefixtures("portions")
def test_a_reorg_moves_the_tip_first_and_gives_back_in_further_transactions(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = open_node(COIN)
    seen: list[tuple[int, bytes]] = []
    give_back = settle.put_back

    def watched(conn: Any, part: dict[bytes, Any], mempool_bytes: int) -> None:
        seen.append((len(part), node.tip_hash))
        give_back(conn, part, mempool_bytes)

    monkeypatch.setattr(settle, "put_back", watched)
    reorganize(node)
    assert seen == [(2, WINNER.tip_hash)] * 3
    assert node.pool() == ready_pool()
    assert marked(node) == []


@pytest.mark.usefixtures("portions")
def test_between_two_turns_of_portions_the_lock_is_free_for_who_looks_now_and_then(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = open_node(COIN)
    other = Store.open(node.store.config, COIN, busy_seconds=0)
    served = []

    def write(seconds: float) -> None:
        assert not other.write(lambda conn: rows.totals(conn)[0] == 0)
        served.append(seconds)

    monkeypatch.setattr(settle, "_TURN_SECONDS", 0)
    monkeypatch.setattr(time, "sleep", write)
    reorganize(node)
    other.close()
    assert len(served) >= 2
    assert node.pool() == ready_pool()


def test_what_waits_counts_for_a_portion_too(open_node: OpenNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "PORTION", 30)
    monkeypatch.setattr(settle, "_LOOKS", 1)
    node = open_node(COIN)
    node.offer_all(LOSER.blocks[1:])
    many = [sent(1, sequence) for sequence in range(4, 34)]
    node.mempool.accept_transfers(many)
    node.offer_all(WINNER.blocks[1:-1])
    before = node.store.commits
    node.offer(WINNER.blocks[-1])
    assert node.store.commits == before + 4  # the tip; the sender with many and whoever came before; the rest; the end
    everyone = [sent(person, sequence) for sequence in range(4) for person in range(6)]
    assert node.pool() == {codec.txid(each): True for each in (*everyone, *many)}
    assert marked(node) == []


def test_a_small_reorg_is_one_transaction(open_node: OpenNode) -> None:
    node = open_node(COIN)
    node.offer_all(LOSER.blocks[1:])
    node.mempool.accept_transfers(WAITING)
    node.offer_all(WINNER.blocks[1:-1])
    before = node.store.commits
    node.offer(WINNER.blocks[-1])
    assert node.store.commits == before + 1
    assert node.pool() == ready_pool()
    assert marked(node) == []


@pytest.mark.usefixtures("portions")
def test_until_all_is_back_templates_connect_and_transfers_are_taken(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advance, "resume", lambda _store: None)
    node = open_node(COIN)
    reorganize(node)
    assert marked(node) == [codec.block_hash(block.header) for block in LOSER.blocks[1:]]
    assert node.mempool.accept_transfer(sent(1, 6)).status == "ready"
    block = mine(node.chain.template(CAROL.payload, NOW, b"").block)
    assert node.offer(block).status == "extended"
    settle.bring_back(node.store)
    assert node.pool() == {**ready_pool(), codec.txid(sent(1, 6)): True}
    assert len(node.chain.template(CAROL.payload, NOW, b"").block.transactions) == 1 + 37


@pytest.mark.usefixtures("portions")
def test_what_is_back_on_the_chain_before_it_could_return_does_not(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advance, "resume", lambda _store: None)
    node = open_node(COIN)
    reorganize(node)
    again = LOSER.branch(4, "loser")
    node.offer_all(again.grow(2))
    assert node.tip_hash == again.tip_hash
    settle.bring_back(node.store)
    assert node.pool() == {codec.txid(each): True for each in WAITING}
    assert marked(node) == []


def reorganize_and_die(pipe: Pipe, folder: Path) -> None:
    """Kill this process when the second portion is to come back."""
    parts = []
    give_back = settle.put_back

    def deadly(conn: Any, part: dict[bytes, Any], mempool_bytes: int) -> None:
        parts.append(part)
        if len(parts) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        give_back(conn, part, mempool_bytes)

    settle.BACK_AT_ONCE = settle.PORTION = 6
    settle.put_back = deadly
    node = Node(folder, COIN)
    pipe.send("ready")
    reorganize(node)


def test_a_process_killed_between_two_portions_loses_nothing(tmp_path: Path, open_node: OpenNode) -> None:
    with children(Child(reorganize_and_die, tmp_path)) as (child,):
        assert child.hear() == "ready"
        child.process.join(60)
        assert child.process.exitcode == -signal.SIGKILL
    node = open_node(COIN, tmp_path)
    assert node.tip_hash == WINNER.tip_hash
    assert node.pool() == ready_pool()
    assert marked(node) == []


@pytest.mark.usefixtures("portions")
def test_no_savepoint_stands_round_a_block_and_no_statement_grows_with_the_pool(open_node: OpenNode) -> None:
    counts = []
    for folder, extra in (("few", 0), ("many", 40)):
        node = open_node(COIN, open_node(COIN).store.config.data / folder)
        node.offer_all(LOSER.blocks[1:])
        node.mempool.accept_transfers([*WAITING, *(sent(0, 6 + number) for number in range(extra))])
        node.offer_all(WINNER.blocks[1:-1])
        with statements(node.store, every=True) as seen:
            node.offer(WINNER.blocks[-1])
        assert not [statement for statement in seen if "SAVEPOINT" in statement]
        counts.append(len(seen))
    assert counts[0] == counts[1]


def damage(node: Node, which: Transfer) -> None:
    raw = bytearray(codec.encode_transaction(which))
    raw[-1] ^= 1
    change = update(table).where(table.c.txid == codec.txid(which)).values(raw=bytes(raw))
    node.store.write(lambda conn: conn.execute(change))


def test_a_damaged_waiting_transfer_stops_no_block_and_is_dropped_with_a_log_line(
    open_node: OpenNode, caplog: pytest.LogCaptureFixture
) -> None:
    node = open_node(COIN)
    run = [sent(1, sequence) for sequence in range(4)]
    node.mempool.accept_transfers([*run, sent(2, 0)])
    damage(node, run[2])
    assert node.offer(ChainBuilder(COIN).add([run[0]])).status == "extended"
    assert codec.txid(run[2]) not in node.pool()
    with caplog.at_level(logging.WARNING, "moneyer.mempool"):
        block = node.chain.template(ALICE.payload, NOW, b"").block
    assert [codec.txid(each) for each in block.transactions[1:]] == [codec.txid(run[1]), codec.txid(sent(2, 0))]
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "1 damaged transfers were dropped from the mempool"
    ]
    assert node.pool() == {codec.txid(run[1]): True, codec.txid(sent(2, 0)): True, codec.txid(run[3]): False}
    assert node.mempool.accept_transfer(run[2]).status == "ready"
    with node.store.read() as conn:
        assert rows.totals(conn)[0] == 4


def test_the_pool_keeps_so_many_of_a_sender_and_others_find_their_place(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_policy, "MAX_OF_SENDER", 4)
    node = open_node(COIN)
    answers = node.mempool.accept_transfers([*(sent(1, sequence) for sequence in range(6)), sent(2, 0)])
    assert [isinstance(answer, MempoolFull) for answer in answers] == [False] * 4 + [True] * 2 + [False]
    with pytest.raises(MempoolFull):
        node.mempool.accept_transfer(sent(1, 4))
    node.offer(ChainBuilder(COIN).add([sent(1, 0)]))
    assert node.mempool.accept_transfer(sent(1, 4)).status == "ready"
