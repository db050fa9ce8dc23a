"""`moneyer up` as a person uses it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.kit.commands import MONEYER, moneyer, open_to_others, refusal
from tests.kit.net.launchers import BUSY, START, Launcher, Network
from tests.kit.system.ports import free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


class Up(Network):
    """A network that `moneyer up` makes: its own Procfile, in its data folder."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        super().__init__(folder, nodes)
        self.nodes = nodes
        self.data = folder / "my coin"
        self.mode = "demand"
        self.options: list[str] = []

    def start(self) -> Launcher:
        options = ["--nodes", str(self.nodes), "--port", str(self.first_port), "--data", str(self.data)]
        return Launcher([*MONEYER, "up", *options, "--mode", self.mode, *self.options], self.folder)


@contextlib.contextmanager
def open_umask() -> Iterator[None]:
    """What is started in here makes files open to all, where it does not say otherwise."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def wait_for_screen(launcher: Launcher) -> str:
    def shown() -> str:
        assert launcher.popen.poll() is None, launcher.output()
        return launcher.output() if "Ctrl-C stops all" in launcher.output() else ""

    return wait_until(shown, START, "the screen")


def test_up_shows_nodes_accounts_folder_and_what_to_try_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    network = Up(tmp_path)
    with open_umask(), network.start() as launcher:
        screen = wait_for_screen(launcher)
        for url in network.urls:
            assert url in screen
        for name in ("alice", "bob", "carol", "dave", "erin"):
            assert f"{name} " in screen
        assert screen.count("1000 DEV   dev1") == 5
        assert str(network.data) in screen
        for line in ("moneyer send alice bob 2.5 --wait --data ", "moneyer balance --data ", "curl http"):
            assert f"\n  {line}" in screen
        network.wait_until_up(launcher)
        block = network.get(1, "/mine_block")
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(5 + BUSY)
        assert launcher.popen.returncode == 0
        assert "Traceback" not in launcher.output()
    assert open_to_others(network.data) == []
    assert network.data.stat().st_mode & 0o077 == 0
    with network.start() as launcher:
        wait_until(lambda: launcher.output().count("Ctrl-C stops all") == 2, START, "the second screen")
        assert network.get(1, f"/v1/blocks/{block['hash']}")["height"] == 1


def test_the_procfile_of_up_can_be_used_by_hand(tmp_path: Path) -> None:
    network = Up(tmp_path, nodes=1)
    with network.start() as launcher:
        wait_for_screen(launcher)
        launcher.popen.send_signal(signal.SIGTERM)
        launcher.wait_all_ended(5 + BUSY)
    network.folder = network.data
    with network.honcho() as launcher:
        network.wait_until_up(launcher)


def test_when_up_is_killed_every_process_ends(tmp_path: Path) -> None:
    network = Up(tmp_path)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        assert len(launcher.processes()) >= 7
        launcher.popen.kill()
        launcher.wait_all_ended(2 + BUSY)


def test_a_ctrl_c_while_it_starts_ends_it_cleanly(tmp_path: Path) -> None:
    network = Up(tmp_path)
    with network.start() as launcher:
        wait_until(lambda: len(psutil.Process(launcher.popen.pid).children()) >= 1, 30, "a first child")
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(10)
        assert "Traceback" not in launcher.output()


def test_a_process_that_ends_takes_the_network_with_it_and_is_named(tmp_path: Path) -> None:
    network = Up(tmp_path)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        data = str(network.data / "node2")
        victim = min((each for each in launcher.named(data) if "node --data" in " ".join(each.cmdline())), key=_age)
        victim.kill()
        launcher.wait_all_ended(10)
        assert launcher.popen.returncode == 1
        assert "moneyer: node2 ended by itself" in launcher.output()


def _age(process: psutil.Process) -> float:
    return float(process.create_time())


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    first = free_ports(3)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + 1))
        other.listen()
        said = refusal(moneyer("up", "--port", str(first), "--data", tmp_path / "net"))
    assert f"port {first + 1} is taken by another program" in said
    assert "--port" in said
    assert not (tmp_path / "net").exists()


def test_ports_beyond_the_last_are_wrong_use(tmp_path: Path) -> None:
    assert "65535" in refusal(moneyer("up", "--port", "65534", "--data", tmp_path / "net"), 2)


def test_a_folder_with_another_coin_is_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "net"
    data.mkdir()
    (data / "coin.toml").write_text("name = 3")
    said = refusal(moneyer("up", "--port", str(free_ports(3)), "--data", data))
    assert "coin.toml" in said


def test_one_network_runs_once(tmp_path: Path) -> None:
    network = Up(tmp_path, nodes=1)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        said = refusal(moneyer("up", "--nodes", "1", "--port", str(free_ports(1)), "--data", network.data))
        assert "running already" in said


def test_a_second_node_on_a_data_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    network = Up(tmp_path, nodes=1)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        node = network.data / "node1"
        said = refusal(moneyer("node", "--dev", "--data", node, "--port", str(free_ports(1))))
        assert str(node) in said
        assert network.get(1, "/mine_block")["index"] == 2


def test_status_shows_a_node_as_a_table_and_as_the_api_has_it(tmp_path: Path) -> None:
    network = Up(tmp_path, nodes=1)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        table = dict(
            line.split(maxsplit=1) for line in moneyer("status", "--node", network.urls[0]).stdout.splitlines()
        )
        assert (table["coin"], table["height"], table["issued"]) == ("Development Coin (DEV)", "0", "1005000 DEV")
        shown = json.loads(moneyer("status", "--json", env={"MONEYER_STATUS_NODE": network.urls[0]}).stdout)
        assert shown["tip"] == table["tip"] == network.get(1, "/v1/status")["tip"]


def test_a_node_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    network = Up(tmp_path, nodes=1)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        said = refusal(moneyer("node", "--dev", "--data", tmp_path / "other", "--port", str(network.first_port)))
        assert str(network.first_port) in said
        assert network.get(1, "/v1/status")["height"] == 0


def test_a_worker_that_is_killed_is_started_again_and_the_network_goes_on(tmp_path: Path) -> None:
    network = Up(tmp_path)
    with network.start() as launcher:
        network.wait_until_up(launcher)
        wait_for_screen(launcher)  # what processes say before it is held back, and not shown when all is well

        def worker(*, other_than: int = 0) -> int:
            """Its process id, as its lock file says it a moment after it is held."""
            with contextlib.suppress(ValueError):
                pid: int = json.loads((network.data / "node2" / "worker.lock").read_bytes())["pid"]
                return pid if pid != other_than else 0
            return 0

        first = wait_until(worker, START, "what the lock file says")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: worker(other_than=first), START, "another worker")
        network.wait_until_up(launcher)
        assert network.get(2, "/mine_block")["index"] == 2

        def said() -> list[str]:
            return [each for each in launcher.output().splitlines() if "it is started again" in each]

        (line,) = wait_until(said, START, "the line about it")  # printed by the launcher, which may come to it late
        assert "worker2" in line
        assert "was killed (SIGKILL)" in line
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(5 + BUSY)
        assert launcher.popen.returncode == 0
