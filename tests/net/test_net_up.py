"""A network from a graph as a person uses it: one small network is started once, and most checks are made on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from moneyer.node.config import NETWORK_FILE, NETWORK_LOCK
from moneyer.node.devnet.net import building
from moneyer.node.devnet.net.begin import begin
from moneyer.node.devnet.net.control import Control, ControlRefused, NotRunning
from moneyer.node.network_file import NetPlan, PlannedEdge, PlannedNode, plan_json, read_plan
from tests.kit.commands import MONEYER, asked, moneyer, open_to_others, refusal
from tests.kit.net.launchers import BUSY, START, Launcher
from tests.kit.system.ports import free_ports
from tests.kit.waiting import END_SECONDS, wait_until

pytestmark = pytest.mark.timeout(300)


def status(url: str) -> dict[str, Any]:
    """A node's status; empty while it does not run."""
    try:
        answer: dict[str, Any] = requests.get(f"{url}/v1/status", timeout=60).json()
    except requests.RequestException:
        return {}
    return answer


def of_folder(data: Path) -> list[int]:
    """The processes that have a network's folder in their command line."""
    found = []
    for each in psutil.process_iter(["pid", "cmdline", "status"]):
        words = each.info["cmdline"] or []
        if each.info["status"] != psutil.STATUS_ZOMBIE and any(str(data) in word for word in words):
            found.append(each.info["pid"])
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a network that runs: 1-2-3, where 3 does not mine."""
    folder = tmp_path_factory.mktemp("net") / "my line"
    graph = folder.with_name("line.edges")
    graph.write_text("1 2\n2 3\n3 miner=false\n")
    before = os.umask(0)
    try:
        done = moneyer("net", "up", "--graph", graph, "--port", str(free_ports(3)), "--data", folder, "--detach",
                       "--block-time", "1")  # fmt: skip
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    folder.with_name("screen").write_text(done.stdout)
    try:
        yield folder
    finally:
        moneyer("net", "down", "--data", folder)
        wait_until(lambda: not of_folder(folder), BUSY, "the end of its processes")


@pytest.fixture
def plan(data: Path) -> NetPlan:
    return read_plan(data)


def states(data: Path) -> dict[str, str]:
    return {name: each["state"] for name, each in Control.find(data).status()["nodes"].items()}


def test_it_is_there_when_the_command_ends_and_shows_page_nodes_and_what_to_try(data: Path, plan: NetPlan) -> None:
    assert set(states(data).values()) == {"up"}
    screen = data.with_name("screen").read_text()
    urls = [node.url for node in plan.nodes]
    assert screen.split("\n")[1].endswith(f"{urls[0]}/")
    assert f"  2   {urls[1]}   beside 1, 3\n" in screen
    assert f"  3   {urls[2]}   beside 2 · does not mine\n" in screen
    assert f"`moneyer net down --data '{data}'` ends it" in screen
    assert open_to_others(data) == []


def test_it_is_drawn_as_it_stands_and_its_page_is_named(data: Path, plan: NetPlan, tmp_path: Path) -> None:
    picture = tmp_path / "net.svg"
    assert moneyer("net", "draw", picture, "--data", data).stdout == f"line.edges is drawn in {picture}\n"
    drawn = picture.read_text("utf-8")
    assert "tip A: block" in drawn
    assert drawn.count("<path ") == 3  # two miners, and what the sign means
    assert asked("net", "draw", "--live", "--data", data) == {"url": f"{plan.nodes[0].url}/network"}
    assert len(requests.get(f"{plan.nodes[1].url}/v1/network/graph", timeout=60).json()["nodes"]) == 3


def test_a_network_that_does_not_run_is_drawn_too(tmp_path: Path) -> None:
    a, b = (
        PlannedNode(name, port, tmp_path / name, True, 1.0, None, manual=False) for name, port in (("a", 1), ("b", 2))
    )
    stopped = NetPlan(tmp_path, "two.dot", (a, b), (PlannedEdge("a", "b", is_cut=True),))
    (tmp_path / NETWORK_FILE).write_bytes(plan_json(stopped))
    picture = tmp_path / "two.PNG"
    assert asked("net", "draw", picture, "--data", tmp_path) == {"file": str(picture)}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "net up" in refusal(moneyer("net", "draw", "--live", "--data", tmp_path))
    assert "must end with .svg or .png" in refusal(moneyer("net", "draw", "x.txt", "--data", tmp_path), 2)
    assert "or say --live" in refusal(moneyer("net", "draw", "--data", tmp_path), 2)


def test_nodes_are_linked_as_the_graph_says_and_agree_on_blocks(plan: NetPlan) -> None:
    def linked() -> bool:
        return all(
            {
                peer["url"]
                for peer in requests.get(f"{node.url}/v1/peers", timeout=60).json()["peers"]
                if peer["state"] == "connected"
            }
            == {plan.node(name).url for name in plan.neighbours(node.name)}
            for node in plan.nodes
        )

    wait_until(linked, START, "the links of the graph")
    height = 2 + status(plan.nodes[2].url)["height"]

    def agree() -> bool:
        seen = [status(node.url) for node in plan.nodes]
        return min(each["height"] for each in seen) >= height and len({each["tip"] for each in seen}) == 1

    wait_until(agree, START, "two blocks more, and one tip")
    assert status(plan.nodes[0].url)["worker"]["alive"]
    assert not status(plan.nodes[2].url)["worker"]["alive"]


def test_nodes_are_stopped_killed_and_started_singly(data: Path, plan: NetPlan) -> None:
    url = plan.node("3").url
    assert moneyer("net", "stop", "3", "--data", data).stdout == "node 3 is stopped\n"
    assert status(url) == {}
    assert states(data) == {"1": "up", "2": "up", "3": "stopped"}
    assert asked("net", "start", "3", "--data", data) == {"nodes": [{"node": "3", "state": "up"}]}
    assert status(url)["height"] >= 0
    assert moneyer("net", "kill", "3", "2", "--data", data).stdout == "node 3 is killed\nnode 2 is killed\n"
    assert states(data) == {"1": "up", "2": "killed", "3": "killed"}
    assert moneyer("net", "start", "2", "3", "--data", data / "1").stdout == "node 2 is up\nnode 3 is up\n"


def test_what_cannot_be_done_is_said(data: Path) -> None:
    assert "there is no node 9; there are 1, 2, 3" in refusal(moneyer("net", "stop", "9", "--data", data))
    assert "node 1 is up already" in refusal(moneyer("net", "start", "1", "--data", data))
    control = Control.find(data)
    control.stop("1")
    for what in (control.stop, control.kill):
        with pytest.raises(ControlRefused, match="node 1 does not run: it is stopped") as refused:
            what("1")
        assert refused.value.details["reason"] == "node_down"
    control.start("1")
    for wrong in ({"do": "dance"}, {"do": "start", "node": 1}, {"do": "start", "node": "x" * 5_000}):
        with pytest.raises((ControlRefused, NotRunning)):
            control.ask(wrong)


def test_connections_that_ask_nothing_keep_nobody_from_the_supervisor(data: Path) -> None:
    control = Control.find(data)
    with ExitStack() as stack:
        for _ in range(100):
            idle = stack.enter_context(socket.socket(socket.AF_UNIX))
            idle.connect(control.socket_path)
        assert set(control.status()["nodes"]) == {"1", "2", "3"}


def test_a_node_that_ends_by_itself_is_shown_and_can_be_started(data: Path) -> None:
    control = Control.find(data)
    os.kill(control.status()["nodes"]["2"]["pid"], signal.SIGKILL)
    wait_until(lambda: states(data)["2"] == "died", START, "the end of node 2")
    assert control.status()["nodes"]["2"]["exit"] == -signal.SIGKILL
    assert states(data) == {"1": "up", "2": "died", "3": "up"}
    assert control.start("2") == {"node": "2", "state": "up"}


def test_a_node_that_cannot_start_says_why_and_the_others_go_on(data: Path, plan: NetPlan) -> None:
    control = Control.find(data)
    control.stop("3")
    coin = plan.node("3").folder / "coin.toml"
    kept = coin.read_bytes()
    coin.write_bytes(b"nonsense")
    try:
        with pytest.raises(ControlRefused, match=r"node 3 has ended by itself .*coin\.toml") as refused:
            control.start("3")
        assert refused.value.details["reason"] == "node_died"
        assert states(data) == {"1": "up", "2": "up", "3": "died"}
    finally:
        coin.write_bytes(kept)
    control.start("3")


def test_a_worker_that_is_killed_is_started_again_until_it_is_given_up(data: Path) -> None:
    control = Control.find(data)

    def worker() -> dict[str, Any]:
        found: dict[str, Any] = control.status()["worker"]
        return found

    killed: int | None = worker()["pid"]

    def replaced() -> bool:
        return worker()["pid"] not in (None, killed) or "given up" in (worker()["said"] or "")

    while killed is not None:
        os.kill(killed, signal.SIGKILL)
        wait_until(replaced, START, "another worker, or none")
        killed = worker()["pid"]
    assert "the worker has ended; `" in moneyer("net", "status", "--data", data).stdout
    assert moneyer("net", "start", "worker", "--data", data).stdout == "the worker is starting\n"
    assert "the worker runs already" in refusal(moneyer("net", "start", "worker", "--data", data))
    wait_until(lambda: worker()["state"] == "up", START, "the worker")


def test_log_shows_what_a_node_said(data: Path, plan: NetPlan) -> None:
    assert plan.node("1").url in moneyer("net", "log", "1", "--lines", "10000", "--data", data).stdout
    assert len(asked("net", "log", "worker", "--lines", "1", "--data", data)["lines"]) == 1
    assert "there is no node" in refusal(moneyer("net", "log", "4", "--data", data))


def test_a_running_network_is_found_by_other_commands(data: Path, plan: NetPlan) -> None:
    assert plan.nodes[0].url in moneyer("status", "--data", data).stdout
    assert plan.nodes[1].url in moneyer("status", cwd=plan.nodes[1].folder).stdout
    assert "holds a network from a graph" in refusal(moneyer("up", "--data", data))


def test_a_second_up_is_refused(data: Path, tmp_path: Path) -> None:
    assert "a network runs on" in refusal(moneyer("net", "up", "--data", data))
    port = read_plan(data).nodes[0].port
    other = moneyer("net", "up", "--graph", "line:3", "--port", str(port), "--data", tmp_path / "other")
    assert f"ports {port}, {port + 1}, {port + 2} are taken" in refusal(other)


def test_it_is_found_from_any_folder(data: Path, tmp_path: Path) -> None:
    """Last: it ends the network, and goes on with it."""
    state = {"MONEYER_STATE": str(tmp_path / "state"), "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    assert moneyer("net", "down", cwd=data).returncode == 0
    assert of_folder(data) == []
    assert "no network runs on" in refusal(moneyer("net", "down", "--data", data))
    heights = "moneyer net up --graph ring:6"
    assert heights in refusal(moneyer("net", "stop", "1", env=state))
    assert "holds another network (line.edges, 3 nodes)" in refusal(
        moneyer("net", "up", "--graph", "ring:3", "--data", data, "--detach")
    )
    done = moneyer("net", "up", "--data", data, "--detach", "--no-mining", env=state)
    assert done.returncode == 0, done.stderr
    assert "`moneyer net down` ends it" in done.stdout
    assert read_plan(data).is_mining is False
    assert moneyer("net", "stop", "1", env=state).returncode == 0
    assert moneyer("status", env=state).returncode == 0


def test_in_the_foreground_it_goes_on_until_ctrl_c_and_its_launcher_may_be_killed(tmp_path: Path) -> None:
    folder = tmp_path / "pair"
    command = [*MONEYER, "net", "up", "--graph", "line:2", "--port", str(free_ports(2)), "--data", str(folder)]
    with Launcher(command, tmp_path) as launcher:
        wait_until(lambda: "Ctrl-C stops all" in launcher.output(), START, "the screen")
        killed = launcher.named(str(folder / "1"))
        assert killed
        killed[0].kill()
        wait_until(lambda: "1      | it has ended by itself" in launcher.output(), START, "a line of the end")
        launcher.processes()
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(8 + BUSY)
        assert launcher.popen.returncode == 0
        assert "Traceback" not in launcher.output()
    with Launcher([*MONEYER, "net", "up"], folder) as launcher:
        wait_until(lambda: len(launcher.named("node --data")) == 4, START, "two processes a node")
        launcher.popen.kill()
        launcher.wait_all_ended(BUSY)


def test_honcho_runs_the_plain_case_by_the_procfile(tmp_path: Path) -> None:
    options = ["--graph", "line:2", "--port", str(free_ports(2)), "--data", str(tmp_path / "net")]
    far = tmp_path / ("t" * 100)  # too long a path for a socket
    far.mkdir()
    begun = begin(options, environment={"TMPDIR": str(far)})
    plan = begun.control.data
    begun.process.stdin.close()  # type: ignore[union-attr]
    begun.process.wait(END_SECONDS)
    assert of_folder(plan) == []
    with Launcher([sys.executable, "-m", "honcho", "start", "-f", plan / "Procfile"], tmp_path) as launcher:
        nodes = read_plan(plan).nodes
        wait_until(lambda: all(status(node.url).get("worker", {}).get("alive") for node in nodes), START, "all nodes")
        assert "is running already" in refusal(moneyer("net", "up", "--data", plan))
        launcher.processes()
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(8 + BUSY)


def test_a_supervisor_that_was_killed_leaves_nothing_that_the_next_one_minds(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / NETWORK_LOCK).write_text(json.dumps({"pid": 1, "socket": str(tmp_path / "moneyer-net-x" / "control")}))
    with pytest.raises(NotRunning, match="moneyer net up"):
        Control.find(folder)
    building.hold_folder(folder).release()


def test_a_lock_that_was_written_by_hand_takes_nothing_away(tmp_path: Path) -> None:
    kept = tmp_path / "moneyer-net-photos" / "control"
    kept.parent.mkdir()
    kept.write_text("no socket")
    lock = tmp_path / NETWORK_LOCK
    lock.write_text(json.dumps({"pid": 1, "socket": str(kept)}))
    building.hold_folder(tmp_path).release()
    assert kept.read_text() == "no socket"

    lock.unlink()
    os.mkfifo(lock)
    building.hold_folder(tmp_path).release()  # and it does not wait for somebody to write into it
