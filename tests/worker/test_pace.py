"""A worker that leaves something of the machine to others, and is told while it runs when to mine."""

from __future__ import annotations

import time
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path

import psutil
import pytest

from moneyer.node.cli.exits import USAGE
from moneyer.node.store import mining
from moneyer.node.store.mining import parse_mode
from moneyer.worker.config import BadWorkerOption, parse_limit
from moneyer.worker.hasher import Unit
from moneyer.worker.pace import Pacer, runs_on_battery
from moneyer.worker.pool import HasherPool
from tests.kit.chains import easy_coin
from tests.kit.mining.workers import HOPELESS, MILD, NodeFolder
from tests.kit.waiting import END_SECONDS, wait_until


@pytest.mark.parametrize(
    ("text", "share"), [("50%", 0.5), ("50", 0.5), ("0.5", 0.5), ("100%", 1), ("1", 1), ("1%", 0.01)]
)
def test_a_limit_is_a_share_of_the_time(text: str, share: float) -> None:
    assert parse_limit(text) == share


@pytest.mark.parametrize("text", ["0", "0%", "-5%", "101%", "nan", "", "half", "1e9"])
def test_a_limit_that_is_none_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadWorkerOption, match="1% to 100%"):
        parse_limit(text)


def supply(folder: Path, name: str, **says: str) -> None:
    (folder / name).mkdir(parents=True)
    for key, value in says.items():
        (folder / name / key).write_text(f"{value}\n")


def test_a_machine_on_battery_is_known_by_its_power_supplies(tmp_path: Path) -> None:
    assert runs_on_battery(tmp_path) is False
    supply(tmp_path, "hidpp_battery_0", type="Battery", scope="Device", status="Discharging")
    assert runs_on_battery(tmp_path) is False
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    assert runs_on_battery(tmp_path) is True
    supply(tmp_path, "AC", type="Mains", online="0")
    assert runs_on_battery(tmp_path) is True
    (tmp_path / "AC" / "online").write_text("1\n")
    assert runs_on_battery(tmp_path) is False


@pytest.mark.parametrize(("choice", "left"), [("full", 0.8), ("half", 0.4), ("stop", 0.0)])
def test_on_battery_the_limit_is_lowered_as_it_was_chosen(choice: str, left: float) -> None:
    assert Pacer(0.8, choice, lambda: True).share() == left
    assert Pacer(0.8, choice, lambda: False).share() == 0.8


def test_a_limited_process_hashes_for_its_share_of_the_time_and_at_its_niceness(tmp_path: Path) -> None:
    pool = HasherPool("hashlib", 1, nice=7)
    try:
        pool.set_share(0.2)
        pool.feed([Unit(1, bytes(80), 0, 0, 2**32)])
        wait_until(lambda: (pool.collect(), pool.hashed)[1] > 0, 20, "the search")
        (slot,) = pool.slots
        assert slot.process is not None
        process = psutil.Process(slot.process.pid)
        assert process.nice() == min(19, psutil.Process().nice() + 7)
        began, used = time.monotonic(), process.cpu_times().user
        wait_until(lambda: time.monotonic() - began > 2, 10)
        share = (process.cpu_times().user - used) / (time.monotonic() - began)
        assert share < 0.5
        while wait_for_any(pool.waitables(), 0):
            pool.collect()
        pool.set_share(1)  # and it goes on with its unit: past what it was at, and what it was just telling
        positions = {slot.position}

        def goes_on() -> bool:
            wait_for_any(pool.waitables(), 0.1)
            pool.collect()
            positions.add(slot.position)
            return len(positions) > 3

        wait_until(goes_on, 20, "the search to go on")
        assert slot.unit is not None
    finally:
        pool.stop()


def test_a_mode_that_is_set_counts_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:

        def switch(text: str) -> None:
            node.store.write(lambda conn: mining.set_mode(conn, parse_mode(text)))

        worker = node.ready_worker()
        assert worker.alive_status()["mode"] == "demand"
        switch("continuous")
        wait_until(lambda: node.height >= 2, 30, "blocks")
        switch("demand")
        wait_until(lambda: "from now on: mode demand" in worker.errors(), 10, "the switch")
        node.wait_done(node.ask(1))  # behind whatever was found at the very moment
        height = node.height
        node.wait_done(node.ask(1))
        assert node.height == height + 1
        switch("interval:0.2")
        worker.terminate()
        again = node.ready_worker()
        wait_until(lambda: node.height >= height + 4, 30, "blocks at the interval")
        assert again.alive_status()["mode"] == "interval 0.2"


def test_a_workers_own_mode_counts_for_whoever_asks(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=MILD)) as node:
        node.store.write(lambda conn: mining.set_mode(conn, parse_mode("continuous")))
        node.ready_worker("--mode", "interval:60")
        with node.store.read() as conn:
            assert mining.mode(conn) == parse_mode("interval:60")
        assert node.height == 0


def test_the_status_tells_how_the_worker_is_limited(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as node:
        worker = node.ready_worker("--mode", "continuous", "--limit", "25%", "--nice", "3", "--on-battery", "full")
        wait_until(lambda: worker.alive_status().get("hashrate", 0) > 0, 30, "a hash rate")
        status = worker.alive_status()
        assert (status["share"], status["blocks"], status["stale"]) == (0.25, 0, 0)
        wrong = node.worker("--limit", "200%")
        assert wrong.process.wait(END_SECONDS) == USAGE  # as of `moneyer worker`
        assert "1% to 100%" in wrong.errors()
