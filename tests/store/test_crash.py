"""SIGKILL at any instant: what was acknowledged is there, and the chain is whole."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core.address import encode_address
from moneyer.node.core.coin import Coin
from moneyer.node.store import blocks, transactions
from moneyer.node.store.backends.sqlite.driver import driver
from moneyer.node.store.unconfirmed import entries as mempool_rows
from tests.kit.chains import easy_coin
from tests.kit.damage import CHAIN, made
from tests.kit.databases import current
from tests.kit.nodes import Node
from tests.kit.system.processes import Child, children
from tests.store.children import SENDERS, SHARED, leave_a_journal, work_until_killed

pytestmark = pytest.mark.both_databases

COINS = {
    1: easy_coin(premine=[(sender, 10**9) for sender in SENDERS]),
    2: easy_coin(premine=[*((sender, 10**9) for sender in SENDERS), (encode_address("easy", SHARED), 10**9)], rules=2),
}
"""By rules."""


def integrity(folder: Path) -> str:
    """Of the file as the killed processes left it, log and all."""
    connection = driver.connect(str(folder / "chain.db"))
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def check(folder: Path, coin: Coin, acknowledged: list[tuple[str, bytes]], least_work: int) -> int:
    """Everything that was acknowledged is there; gives the work of the tip."""
    assert current() is not None or integrity(folder) == "ok"
    node = Node(folder, coin)
    try:
        verify_chain(node.store)
        with node.store.read() as conn:
            for kind, name in acknowledged:
                if kind == "block":
                    assert blocks.raw(conn, name) is not None
                elif kind == "transfer":
                    assert mempool_rows.get(conn, name) or transactions.find(conn, name)
            tip = blocks.tip(conn)
        assert tip.work >= least_work
        return tip.work
    finally:
        node.store.close()


def told(acknowledged: list[tuple[str, bytes]]) -> dict[str, int]:
    """How many of each kind."""
    return {wanted: sum(kind == wanted for kind, _ in acknowledged) for wanted in ("block", "transfer")}


def kill_again_and_again(folder: Path, coin: Coin, rounds: int, seed: int) -> None:
    random = Random(seed)
    acknowledged: list[tuple[str, bytes]] = []
    work = 0
    for number in range(rounds):
        # Two processes, as a node's API and its worker are; a kill may come while they still recover or open.
        both = [Child(work_until_killed, folder, coin, random.random()) for _ in range(2)]
        with children(*both):
            if random.random() < 0.75:
                for child in both:
                    acknowledged.append(child.hear())
                    for _ in range(random.randint(0, 12)):
                        acknowledged.append(child.hear())
            while number == rounds - 1 and min(told(acknowledged).values()) <= rounds:  # how much it was, is chance
                acknowledged.append(both[0].hear())
            time.sleep(random.uniform(0, 0.03))  # the instant is to be any
            for child in random.sample(both, 2):
                child.kill()
                time.sleep(random.uniform(0, 0.005))
            for child in both:
                acknowledged += child.heard_before_its_end()
        work = check(folder, coin, acknowledged[-400:] if number < rounds - 1 else acknowledged, work)
    assert min(told(acknowledged).values()) > rounds


@pytest.mark.parametrize("rules", COINS)
def test_nothing_acknowledged_is_lost_when_processes_are_killed(tmp_path: Path, rules: int) -> None:
    kill_again_and_again(tmp_path, COINS[rules], rounds=6, seed=rules)


@pytest.mark.sqlite_only("its journal")
def test_a_rollback_journal_that_a_killed_process_left_is_played_back(tmp_path: Path) -> None:
    folder = made(tmp_path)
    database = folder / "chain.db"
    sound = database.read_bytes()
    with children(Child(leave_a_journal, database)) as (child,):
        assert child.hear() == "inside"
        child.kill()
    assert (folder / "chain.db-journal").stat().st_size
    assert database.read_bytes() != sound
    node = Node(folder, CHAIN.coin)
    verify_chain(node.store)
    assert node.accounts() == CHAIN.accounts
    node.store.close()


CRASH_ROUNDS = 15 if os.environ.get("MONEYER_CRASH") == "short" else 100


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_acknowledged_is_lost_when_processes_are_killed_hundreds_of_times(tmp_path: Path, seed: int) -> None:
    rounds = CRASH_ROUNDS if current() is None else CRASH_ROUNDS // 3  # to a server it is a client that has gone
    kill_again_and_again(tmp_path, COINS[1 + seed % 2], rounds=rounds, seed=seed)
