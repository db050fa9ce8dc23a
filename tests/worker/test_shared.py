"""One process that mines for many nodes: its hash rates, and nodes that come and go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.store import mining as stored
from moneyer.node.store.mining import parse_mode
from moneyer.node.system.locks import hold, is_held
from moneyer.worker.engines.proof import solves
from moneyer.worker.hasher import Report, Unit
from moneyer.worker.shared.paced_pool import AHEAD, PacedPool, first_solution, nonce_of
from tests.conftest import REPOSITORY
from tests.kit.chains import easy_coin
from tests.kit.mining.workers import HOPELESS, MILD, NodeFolder
from tests.kit.waiting import END_SECONDS, Clock, wait_until

EASY = (1 << 250) - 1
"""A target that one nonce of 64 meets."""
NEVER = 1


def unit(number: int, target: int = EASY) -> Unit:
    return Unit(number, number.to_bytes(4, "little") * 20, target, 0, 1 << 28)


def finds_of(pool: PacedPool, clock: Clock, seconds: float) -> list[Report]:
    """What a pool reports while the clock goes on; it is fed anew after each find."""
    end, found = clock.now + seconds, list[Report]()
    while clock.now < end:
        if pool.idle(len(found)):
            pool.feed([unit(len(found))])
        found += pool.collect()[0]
        if not pool.idle(len(found)):
            clock.now = min(end, clock.now + pool.rest)
    return found


def test_nodes_find_blocks_in_proportion_to_their_rates() -> None:
    """One nonce of 64 solves: of 100 s at a rate of r, r / 0.64 finds are expected, within six of their deviations.

    The nonces are the same in every run, so that this finds what it finds: no chance is involved.
    """
    counts = {}
    for rate in (20, 40, 140):
        clock = Clock()
        pool = PacedPool(rate, clock)
        counts[rate] = len(finds_of(pool, clock, 100))
        assert abs(pool.hashed - rate * 100) <= 0.02 * rate * 100
    for rate, count in counts.items():
        assert abs(count - rate / 0.64) < 6 * (rate / 0.64) ** 0.5, counts


def test_a_find_is_reported_when_its_moment_has_come_and_is_the_first_of_its_stretch() -> None:
    pool = PacedPool(64.0, clock := Clock())
    pool.feed([unit(1)])
    assert pool.collect() == ([], [])
    wait = pool.rest
    assert 0 < wait <= AHEAD
    clock.now += wait * 0.99
    assert pool.collect() == ([], [])
    for _ in range(1000):
        clock.now += pool.rest
        finds, lost = pool.collect()
        assert lost == []
        if finds:
            break
    (found,) = finds
    assert found.nonce is not None
    tried = [nonce_of(number) for number in range(found.position)]
    assert [nonce for nonce in tried if solves(found.unit.header, EASY, nonce)] == [found.nonce]
    assert pool.idle(1) == 1


def test_the_order_of_the_nonces_leaves_none_out_and_goes_over_its_seams() -> None:
    assert len({nonce_of(number) for number in (*range(2000), *range(2**24 - 1000, 2**24 + 1000))}) == 4000
    assert max(map(nonce_of, (2**24 - 1, 2**32 - 1))) == 2**32 - 1
    header, seam = bytes(range(80)), 2**24
    for start in range(seam - 300, seam + 300, 100):
        right = [number for number in range(start, start + 300) if solves(header, EASY, nonce_of(number))]
        assert first_solution(header, EASY, start, 300) == (right[0] if right else None)


def test_a_new_rate_holds_from_now_on_and_none_is_tried_twice() -> None:
    pool = PacedPool(1000.0, clock := Clock())
    pool.feed([unit(1, NEVER)])
    pool.collect()
    clock.now += 0.25
    assert 249 <= pool.hashed <= 250
    pool.set_hashes(0.0)
    clock.now += 100
    assert pool.collect() == ([], [])
    assert 249 <= pool.hashed <= 250
    pool.set_hashes(10.0)
    for _ in range(100):
        pool.collect()
        clock.now += 0.1
    assert 345 <= pool.hashed <= 351


def test_a_machine_that_was_asleep_makes_up_for_a_second_at_most() -> None:
    pool = PacedPool(1000.0, clock := Clock())
    pool.feed([unit(1, NEVER)])
    pool.collect()
    clock.now += 3600
    for _ in range(20):
        pool.collect()
    assert pool.hashed <= 1000 * (AHEAD + 1 + AHEAD)


PROGRAM = """
import json, sys
from pathlib import Path
from moneyer.worker.shared.node_place import SharedNode
from moneyer.worker.shared.shared_worker import run_shared

rates_file = Path(sys.argv[1])
nodes = [SharedNode(Path(folder), hashes, mode) for folder, hashes, mode in json.loads(sys.argv[2])]
rates = lambda: {Path(folder): rate for folder, rate in json.loads(rates_file.read_bytes()).items()}
sys.exit(run_shared(nodes, rates=rates if rates_file.exists() else None))
"""


@contextmanager
def shared_worker(folder: Path, nodes: list[tuple[str, float, str | None]]) -> Iterator[subprocess.Popen[str]]:
    """One process that mines for these folders in `folder`; `rates.json` there, by folder, says the rates anew."""
    given = json.dumps([(str(folder / name), hashes, mode) for name, hashes, mode in nodes])
    (folder / "rates.json").write_text(json.dumps({str(folder / name): hashes for name, hashes, _ in nodes}))
    with (folder / "shared.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder / "rates.json"), given], cwd=REPOSITORY, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(END_SECONDS)


def status(node: NodeFolder) -> dict[str, Any]:
    text = node.config.worker_lock.read_bytes() if is_held(node.config.worker_lock) else b""
    return dict(json.loads(text)) if text.strip() else {}


@pytest.fixture
def folders() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_one_process_mines_for_many_nodes_that_come_and_go(tmp_path: Path, folders: ExitStack) -> None:
    coin = easy_coin(pow_limit=0x2003FFFF)  # 64 hashes
    first, second, resting = (
        folders.enter_context(NodeFolder(tmp_path / name, coin)) for name in ("first", "second", "resting")
    )
    (tmp_path / "broken").mkdir()
    locks = [hold(tmp_path / "broken" / name) for name in ("node.lock", "checked.lock")]
    nodes: list[tuple[str, float, str | None]] = [
        ("first", 300.0, "continuous"),
        ("broken", 300.0, "continuous"),
        ("away", 300.0, "continuous"),
        ("second", 100.0, "continuous"),
        ("resting", 0.0, "continuous"),
    ]
    with shared_worker(tmp_path, nodes) as process:
        wait_until(lambda: first.height >= 5 and second.height >= 2, 30, "blocks of both")
        mines = {"pid": process.pid, "mode": "continuous", "searching": True}
        wait_until(lambda: mines.items() <= status(first).items(), 10, "its status")
        # A job is mined at once, at full speed, also where the mode mines nothing.
        job = resting.ask(2)
        assert resting.wait_done(job).mined == 2
        assert resting.height == 2
        # A mode that is set at the node holds; the other node goes on.
        first.store.write(lambda conn: stored.set_mode(conn, parse_mode("demand")))
        rests = {"mode": "demand", "searching": False}
        wait_until(lambda: rests.items() <= status(first).items(), 10, "the mode")
        height, other = first.height, second.height
        wait_until(lambda: second.height >= other + 2, 30, "the other's blocks")
        assert first.height == height
        # A node that ends takes its lock back, and is mined for again when it is back.
        first.store.write(lambda conn: stored.set_mode(conn, parse_mode("continuous")))
        assert second.lock is not None
        second.lock.release()
        wait_until(lambda: not is_held(second.config.worker_lock), 10, "the worker to let go")
        other = second.height
        second.lock = hold(second.config.node_lock)
        wait_until(lambda: second.height >= other + 2, 30, "blocks after its return")
        wait_until(lambda: first.height > height, 30, "blocks of the first")
        log = (tmp_path / "shared.log").read_text()
        assert "broken: cannot mine: " in log
        assert "away" not in log
        assert "second: the node has ended: waiting for it to come back" in log
        process.terminate()
        assert process.wait(END_SECONDS) == 0
    assert not is_held(first.config.worker_lock)
    for lock in locks:
        lock.release()


def test_the_rates_are_read_anew_while_it_runs(tmp_path: Path, folders: ExitStack) -> None:
    node = folders.enter_context(NodeFolder(tmp_path / "node", easy_coin(pow_limit=HOPELESS)))
    with shared_worker(tmp_path, [("node", 0.0, "continuous")]):
        wait_until(lambda: status(node), 20, "its status")
        assert not status(node)["searching"]
        (tmp_path / "new.json").write_text(json.dumps({str(tmp_path / "node"): 5000.0}))
        (tmp_path / "new.json").replace(tmp_path / "rates.json")
        wait_until(lambda: 4000 < status(node)["hashrate"] < 6000, 20, "the rate")


def test_a_timer_says_when_and_the_search_takes_no_longer_than_it_must(tmp_path: Path, folders: ExitStack) -> None:
    """At its rate of one hash a second a block would take most of a day."""
    node = folders.enter_context(NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)))
    with shared_worker(tmp_path, [("node", 1.0, "interval:0.5")]):
        wait_until(lambda: node.height >= 2, 40, "two blocks")
        assert status(node)["mode"] == "interval 0.5"
