"""Sweeps by Dask's scheduler, for real: a scheduler and a worker on loopback, as on any number of machines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from moneyer.node.devnet.sim.chances import BadScenario
from moneyer.node.devnet.sim.cluster import NoCluster, run_on_cluster
from moneyer.node.devnet.sim.scenario import Scenario
from moneyer.node.devnet.sim.simulate import simulate
from tests.kit.commands import asked, environment
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

pytest.importorskip("distributed", reason="sweeps on many machines take Dask: pip install 'moneyer[cluster]'")

SMALL = Scenario(nodes=8, graph="ring", blocks=40)
SCENARIOS = [replace(SMALL, seed=seed) for seed in range(4)]
LOOPBACK = ("--host", "tcp://127.0.0.1", "--no-dashboard")


def start_module(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a scheduler with one worker."""
    folder = tmp_path_factory.mktemp("dask")
    told = folder / "scheduler.json"
    scheduler = ["distributed.cli.dask_scheduler", *LOOPBACK, "--port", "0", "--scheduler-file", str(told)]
    started = [start_module(folder, *scheduler)]
    try:
        wait_until(lambda: told.exists() and told.read_text("utf-8"))
        address = str(json.loads(told.read_text("utf-8"))["address"])
        worker = ["distributed.cli.dask_worker", address, *LOOPBACK, "--no-nanny", "--nthreads", "1"]
        worker += ["--local-directory", str(folder)]
        started.append(start_module(folder, *worker))
        yield address.removeprefix("tcp://")
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def test_a_sweep_has_the_same_findings_on_a_cluster(scheduler: str) -> None:
    assert dict(run_on_cluster(SCENARIOS, scheduler, 1)) == dict(enumerate(map(simulate, SCENARIOS)))


def test_an_error_of_a_worker_is_told_as_it_is_here(scheduler: str) -> None:
    with pytest.raises(BadScenario, match="hashrate names 9 miners"):
        list(run_on_cluster([replace(SMALL, hashrate="1,1,1,1,1,1,1,1,1"), *SCENARIOS], scheduler, 1))


def test_the_command_starts_workers_of_this_machine_and_ends_them() -> None:
    words = ("sim", "--nodes", "8", "--graph", "ring", "--blocks", "40", "--sweep", "seed=1,2")
    assert asked(*words, "--workers", "auto", "--processes", "1") == asked(*words)


def test_no_scheduler_and_no_address_are_told() -> None:
    with pytest.raises(NoCluster, match=r"no Dask scheduler answers at 127\.0\.0\.1"):
        list(run_on_cluster(SCENARIOS, f"127.0.0.1:{free_port()}", 1))
    with pytest.raises(BadScenario, match="workers must be HOST:PORT"):
        list(run_on_cluster(SCENARIOS, "somewhere", 1))
