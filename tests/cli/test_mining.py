"""`moneyer mining`, `moneyer bench mine` and `moneyer stratum`, as processes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from moneyer.node.cli.output import activity
from moneyer.node.store.opening.made import mark
from moneyer.worker.reports import shown_rate
from tests.api.test_mining import worker
from tests.kit.commands import MONEYER, environment, moneyer, refusal
from tests.kit.running import RunningNode, rich_coin, running
from tests.kit.system import warm
from tests.kit.waiting import wait_until


@pytest.mark.parametrize("command", [("worker", "--engine", "hashlib"), ("stratum",)])
def test_whose_node_is_not_there_says_what_it_waits_for(tmp_path: Path, command: tuple[str, ...]) -> None:
    with warm.Popen(
        [*MONEYER, *command, "--data", str(tmp_path / "beach")],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(),
    ) as process:
        assert process.stderr is not None
        try:
            assert f"waiting for the node of {tmp_path / 'beach'} to start" in process.stderr.readline()
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize("command", [("worker", "--engine", "hashlib"), ("stratum",)])
def test_whose_chain_has_moved_to_a_server_asks_for_its_url(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Whether or not a node runs on the folder: the file that still lies there is older."""
    coin = rich_coin()
    with running(tmp_path / "node", coin) as node:
        mark(node.config, coin, "postgresql://moneyer@db.example/beach")
        said = refusal(moneyer(*command, "--data", node.config.data))
        assert "is in postgresql://moneyer@db.example/beach" in said
        assert "MONEYER_NODE_DATABASE" in said
        again = f"moneyer {command[0]} --data {node.config.data} --database postgresql://moneyer@db.example/beach"
        assert f"`{again}`" in said
        assert "moneyer node" not in said


def test_a_nodes_mode_is_shown_and_switched(tmp_path: Path) -> None:
    with running(tmp_path / "node", rich_coin(pow_limit=0x1F7FFFFF)) as node, worker(node):
        shown = moneyer("mining", "--node", node.url)
        assert shown.returncode == 0, shown.stderr
        assert "demand" in shown.stdout
        switched = moneyer("mining", "continuous", "--node", node.url, "--json")
        assert json.loads(switched.stdout)["mode"] == "continuous"
        wait_until(lambda: node.get("/v1/status").json["height"] > 0, 30, "a block")
        for typed, mode in (("Instant", "instant"), ("INTERVAL 5", "interval 5")):
            assert moneyer("mining", typed, "--node", node.url).returncode == 0
            assert node.get("/v1/mining").json["mode"] == mode
        said = refusal(moneyer("mining", "sometimes", "--node", node.url), 2)
        assert 'there is no mining mode "sometimes"' in said


def test_all_nodes_of_a_network_are_switched_at_once(tmp_path: Path) -> None:
    coin = rich_coin()
    network = tmp_path / "network"
    network.mkdir()

    def modes(*nodes: RunningNode) -> list[str]:
        return [node.get("/v1/mining").json["mode"] for node in nodes]

    with running(network / "node1", coin) as first, running(network / "node2", coin, development=False) as second:
        done = moneyer("mining", "interval:7", "--all", "--data", network)
        assert done.returncode == 0, done.stderr
        assert modes(first, second) == ["interval 7", "interval 7"]
        assert first.url in done.stdout
        assert second.url in done.stdout
        inside = moneyer("mining", "demand", "--all", cwd=network / "node2")
        assert inside.returncode == 0, inside.stderr
        assert modes(first, second) == ["demand", "demand"]
    assert "no node" in refusal(moneyer("mining", "demand", "--all", "--data", network))


def test_a_guarded_node_is_switched_by_who_has_its_folder_only(tmp_path: Path) -> None:
    with running(tmp_path / "node", development=False) as node:
        assert refusal(moneyer("mining", "continuous", "--node", node.url, cwd=tmp_path))
        assert moneyer("mining", "continuous", "--data", tmp_path / "node").returncode == 0
        assert node.get("/v1/mining").json["mode"] == "continuous"


def test_stratum_and_all_together_with_one_node_are_usage_errors(tmp_path: Path) -> None:
    assert refusal(moneyer("mining", "demand", "--all", "--node", "http://127.0.0.1:1"), 2)
    assert refusal(moneyer("stratum", "--data", tmp_path, "--port", "0"), 2)
    assert refusal(moneyer("stratum", "--data", tmp_path, "--difficulty", "0"), 2)


@pytest.mark.slow
def test_the_bench_shows_every_engine_with_its_self_test() -> None:
    done = moneyer("bench", "mine", "--seconds", "0.1", "--processes", "1", "--json")
    assert done.returncode == 0, done.stderr
    engines = {row["engine"]: row for row in json.loads(done.stdout)["engines"]}
    assert engines["hashlib"]["self_test"] == "passed"
    assert engines["hashlib"]["one_core"] > 0


def test_what_a_worker_does_is_said_before_its_hash_rate_is_known() -> None:
    assert activity({"hashrate": 2e6, "searching": True}, shown_rate) == "2 MH/s"
    assert activity({"hashrate": 0, "searching": True}, shown_rate) == "searching"
    assert activity({"hashrate": 0, "searching": False}, shown_rate) == "waiting for work"
