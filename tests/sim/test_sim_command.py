"""`moneyer sim`: what it prints, and what it refuses."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from moneyer.node.devnet.graph.graph import BadGraph
from moneyer.node.devnet.sim.chances import BadScenario, Chance, latency_of, shares_of, weights_of
from moneyer.node.devnet.sim.scenario import Scenario
from moneyer.node.devnet.sim.simulate import simulate
from moneyer.node.devnet.sim.sweeps import run_here, runs_of
from moneyer.node.devnet.sim.topology import build_topology, shape_text
from moneyer.node.system.forking import IS_FORKED
from tests.kit.commands import asked, moneyer, start
from tests.kit.waiting import wait_until

SMALL = Scenario(nodes=8, graph="ring", blocks=40)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nodes": "0"}, "nodes must be a whole number from 1"),
        ({"nodes": "-1"}, "nodes must be a whole number"),
        ({"block_time": "nan"}, "block_time must be a whole number"),
        ({"attacker": "nan"}, "attacker must be a number from 0 to 0.99"),
        ({"validation_ms": "inf"}, "validation_ms must be a number"),
        ({"blocks": "1e3"}, "blocks must be a whole number"),
        ({"latency": "constant:-1ms"}, "must be a number from 0 to"),
        ({"latency": "constant:80"}, "is no time such as 80ms"),
        ({"latency": "uniform:9ms:1ms"}, "the first time must be the shorter one"),
        ({"latency": "gamma:3ms"}, "latency must be constant:80ms"),
        ({"hashrate": "nan"}, "hashrate is equal, pareto"),
        ({"swing": "2@4"}, "swing must be such as 2x@500"),
        ({"swing": "0x@4"}, "the factor in swing"),
        ({"strategy": "greedy"}, "strategy must be double-spend or selfish"),
        ({"block_time": "1", "retarget": "true"}, "block_time must be at least 2"),
        ({"retarget": "yes"}, "retarget must be true or false"),
        ({"colour": "red"}, "is nothing that a simulation has"),
        ({"nodes": "1", "attacker": "0.5"}, "an attacker needs somebody to attack"),
    ],
)
def test_a_bad_scenario_is_refused_in_a_sentence(changes: dict[str, str], said: str) -> None:
    with pytest.raises(BadScenario) as caught:
        Scenario().with_texts(changes)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ("random", "say how many links"),
        ("random:x", "it is written random:20:4"),
        ("rinq:4", "is no shape: did you mean ring? The shapes are ring:6,"),
        ("wheel:4", "is no shape. The shapes are ring:6,"),
        ("star:0", "it has at least 1 node"),
    ],
)
def test_a_bad_graph_is_refused_in_a_sentence(graph: str, said: str) -> None:
    with pytest.raises((BadScenario, BadGraph)) as caught:
        build_topology(replace(SMALL, graph=graph))
    assert said in caught.value.message


def test_too_many_nodes_are_refused_with_what_this_machine_holds() -> None:
    with pytest.raises(BadScenario, match=r"1,000,000,000 nodes .* [\d,.]+ GB .* that holds some [\d,]+ nodes"):
        build_topology(Scenario(nodes=10**9))
    with pytest.raises(BadScenario, match="GB"):
        build_topology(Scenario(nodes=10**6, graph="complete"))


def test_a_shape_takes_its_number_of_nodes_from_the_scenario() -> None:
    assert shape_text("random:8", 100) == "random:100:8"
    assert shape_text("random:20:4", 100) == "random:20:4"
    assert shape_text("ring", 7) == "ring:7"
    assert shape_text("grid", 12) == "grid:3x4"
    assert shape_text("./ring", 7) == "./ring"


def test_latencies_have_the_mean_or_the_median_that_is_asked_for() -> None:
    chance = Chance(1, "test")

    def drawn(text: str) -> list[int]:
        draw = latency_of(text)
        return sorted(draw(chance) for _ in range(4000))

    assert drawn("constant:1.5s") == [1_500_000] * 4000
    assert drawn("lognormal:80ms")[2000] == pytest.approx(80_000, rel=0.05)
    assert sum(drawn("exponential:80ms")) / 4000 == pytest.approx(80_000, rel=0.07)
    between = drawn("uniform:10ms:20ms")
    assert between[0] >= 10_000
    assert between[-1] <= 20_000
    assert between[2000] == pytest.approx(15_000, rel=0.05)


def test_shares_of_the_hash_rate_sum_to_one() -> None:
    for text in ("equal", "pareto", "pareto:2", "5,3,2"):
        assert math.fsum(shares_of(weights_of(text)(10, Chance(1, "test")))) == pytest.approx(1)
    assert shares_of(weights_of("5,3,2")(4, Chance(1, "test"))) == [0.5, 0.3, 0.2, 0]


def test_a_sweep_is_every_combination_and_the_same_in_processes() -> None:
    runs = runs_of(SMALL, ["block_time=2,5", "latency=constant:80ms,constant:300ms"])
    assert [tuple(run.changes.values()) for run in runs] == [
        ("2", "constant:80ms"),
        ("2", "constant:300ms"),
        ("5", "constant:80ms"),
        ("5", "constant:300ms"),
    ]
    scenarios = [run.scenario for run in runs]
    assert dict(run_here(scenarios, 2)) == dict(enumerate(map(simulate, scenarios)))


@pytest.mark.parametrize("sweep", ["block_time", "block_time=", "block_time=1,,2", "colour=red", "nodes=0"])
def test_a_bad_sweep_is_refused(sweep: str) -> None:
    with pytest.raises(BadScenario):
        runs_of(SMALL, [sweep])


def test_a_sweep_is_not_endless_and_names_each_field_once() -> None:
    many = ",".join(map(str, range(1, 102)))
    with pytest.raises(BadScenario, match="10,201 runs"):
        runs_of(SMALL, [f"nodes={many}", f"seed={many}"])
    with pytest.raises(BadScenario, match="swept twice"):
        runs_of(SMALL, ["nodes=1", "nodes=2"])


def test_an_error_in_a_process_of_a_sweep_is_told_and_ends_the_others() -> None:
    bad = replace(SMALL, graph="random:8")  # of 8 nodes none can have 8 others
    with pytest.raises(BadGraph):
        list(run_here([bad, SMALL, SMALL, bad], 2))


def test_the_command_prints_tables_and_what_it_leaves_out() -> None:
    done = moneyer("sim", "--nodes", "8", "--graph", "ring", "--blocks", "40", "--attacker", "0.3")
    assert done.returncode == 0, done.stderr
    for said in ("stale", "reaches", "double spend", "Rosenfeld", "Left out:\n  Proof of work"):
        assert said in done.stdout


def test_the_command_prints_json_of_each_run() -> None:
    found = asked("sim", "--nodes", "8", "--graph", "ring", "--blocks", "40", "--sweep", "seed=1,2")
    assert [row["changes"] for row in found] == [{"seed": "1"}, {"seed": "2"}]
    assert found[0]["scenario"]["nodes"] == 8
    assert 0 <= found[0]["stale_rate"] < 1
    assert len(found[0]["levels"]) == 4


def test_the_command_refuses_a_bad_option_in_a_sentence() -> None:
    done = moneyer("sim", "--latency", "soon")
    assert done.returncode == 2
    assert "latency must be constant:80ms" in done.stderr


def test_a_sweep_and_a_single_run_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots take matplotlib: pip install 'moneyer[plots]'")
    swept, single = tmp_path / "swept.svg", tmp_path / "single.png"
    words = ("sim", "--nodes", "8", "--graph", "ring", "--blocks", "60")
    asked(*words, "--sweep", "attacker=0.2,0.3", "--sweep", "latency=constant:80ms,constant:500ms", "--plot", swept)
    asked(*words, "--swing", "2x@30", "--hashrate", "4,2,1,1", "--plot", single)
    assert b"<svg" in swept.read_bytes()[:1000]
    assert single.read_bytes().startswith(b"\x89PNG")
    refused = moneyer(*words, "--plot", tmp_path / "plot.jpeg")
    assert "plot must end in .svg, .png, .pdf" in refused.stderr
    assert refused.returncode == 2


def two_children(process: psutil.Process) -> list[psutil.Process]:
    """The two that simulate; none before both are there."""
    children = process.children()
    return children if len(children) == 2 else []


def test_ctrl_c_ends_a_sweep_and_all_its_processes() -> None:
    running = start("sim", "--nodes", "300", "--blocks", "20000", "--sweep", "seed=1,2,3", "--processes", "2")
    process = psutil.Process(running.pid)
    children = wait_until(lambda: two_children(process))
    process.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    assert said.strip() == "moneyer: stopped"
    psutil.wait_procs(children, timeout=120)
    assert not [each for each in children if each.is_running()]


@pytest.mark.skipif(not IS_FORKED, reason="processes are forked on Linux alone")
def test_ctrl_c_counts_also_while_a_process_is_forked() -> None:
    """What Python does around a fork drops exceptions: one that came just then was lost, and the sweep went on."""
    program = """
import os, signal, sys
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
from moneyer.node.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
    words = ("sim", "--nodes", "300", "--blocks", "20000", "--sweep", "seed=1,2", "--processes", "2")
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip() == "moneyer: stopped"


def test_a_killed_sweep_leaves_no_process() -> None:
    running = start("sim", "--nodes", "300", "--blocks", "20000", "--sweep", "seed=1,2", "--processes", "2")
    process = psutil.Process(running.pid)
    children = wait_until(lambda: two_children(process))
    running.kill()
    running.communicate(timeout=120)
    gone, alive = psutil.wait_procs(children, timeout=120)
    assert len(gone) == 2
    assert not alive
