"""A node as processes: how it starts, what stops it from starting, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from moneyer.node.config import Config
from moneyer.node.server import NodeRefused, check_config, take_port
from tests.kit.nodes import place_coin
from tests.kit.running import RunningNode, answers, launch, log_of, rich_coin, running
from tests.kit.system.ports import free_port
from tests.kit.system.process_tree import children_of, is_gone
from tests.kit.waiting import END_SECONDS, wait_until


def ended(config: Config) -> tuple[int, str]:
    """Start a node that is to refuse; its exit status and what it said."""
    process = launch(config)
    try:
        return process.wait(END_SECONDS), log_of(config).read_text("utf-8")
    finally:
        process.kill()


def refused(config: Config, words: str) -> None:
    status, said = ended(config)
    assert status == 1
    assert words in said
    assert "Traceback" not in said


def test_a_node_says_in_one_line_what_it_is(fresh: RunningNode) -> None:
    said = fresh.log
    assert said.count("\n") == 1
    for word in ("Easy Coin", "EASY", "height 0", fresh.url, str(fresh.config.data), "open (development)"):
        assert word in said


def test_a_node_of_ones_own_says_where_its_token_is(guarded: RunningNode) -> None:
    assert f"token in {guarded.config.token_file}" in guarded.log
    assert guarded.token not in guarded.log


def test_a_second_node_on_a_folder_is_refused(fresh: RunningNode) -> None:
    status, said = ended(Config(data=fresh.config.data, port=free_port(), development=True))
    assert status == 1
    assert f"another node runs on {fresh.config.data}" in said
    assert fresh.get("/healthz").status == 200


def test_a_taken_port_is_a_sentence(node: RunningNode, tmp_path: Path) -> None:
    place_coin(tmp_path / "other", rich_coin())
    refused(Config(data=tmp_path / "other", port=node.port, development=True), f"port {node.port} is taken")


@pytest.mark.parametrize(
    ("host", "words"), [("203.0.113.7", "no address of this machine"), ("no such host", "no address")]
)
def test_an_address_that_is_not_this_machines_is_a_sentence(host: str, words: str) -> None:
    with pytest.raises(NodeRefused, match=words):
        take_port(host, free_port())


def test_a_port_that_a_node_left_a_moment_ago_is_free() -> None:
    port = free_port()  # one that the system gives to nobody else meanwhile
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()
    take_port("127.0.0.1", port).close()


def test_of_nodes_that_start_in_one_instant_on_one_port_one_gets_it(tmp_path: Path) -> None:
    for number in range(4):
        port = free_port()
        configs = [Config(data=tmp_path / f"{number}{name}", port=port, development=True) for name in "abc"]
        for config in configs:
            place_coin(config.data, rich_coin())
        processes = [launch(config) for config in configs]
        try:
            wait_until(lambda: sum(each.poll() is None for each in processes) == 1, 30, "all but one to end")  # noqa: B023
            wait_until(lambda: answers(port), 30, "the one to answer")  # noqa: B023
            for config, process in zip(configs, processes, strict=True):
                if process.poll() is not None:
                    assert process.returncode == 1
                    assert f"port {port} is taken" in log_of(config).read_text("utf-8")
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(END_SECONDS)


def test_a_development_network_is_for_loopback_only(tmp_path: Path) -> None:
    with pytest.raises(NodeRefused, match="loopback only"):
        check_config(Config(data=tmp_path, host="0.0.0.0", development=True))
    check_config(Config(data=tmp_path, host="::1", development=True))


def test_a_folder_without_a_coin_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(Config(data=tmp_path / "empty", port=free_port(), development=True), "coin.toml is missing")
    refused(Config(data=tmp_path / "nowhere", port=free_port(), development=True), "cannot be used")


def test_a_coin_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    place_coin(tmp_path / "node", rich_coin())
    (tmp_path / "node" / "coin.toml").write_text("name = 7")
    refused(Config(data=tmp_path / "node", port=free_port(), development=True), "coin: ")


def everyone(node: RunningNode) -> list[int]:
    return [node.process.pid, *children_of(node.process.pid)]


def wait_until_gone(pids: list[int], seconds: float) -> None:
    wait_until(lambda: all(is_gone(pid) for pid in pids), seconds, "every process to end")


def hold_open(node: RunningNode) -> list[socket.socket]:
    """Connections that idle, that are in the middle of a head, of a body, and of a request that takes its time."""
    half = [
        b"",
        b"GET /v1/sta",
        b"POST /v1/mine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nContent-Type: application/json\r\n\r\n{",
        b"GET /mine_block HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    sockets = []
    for request in half:
        sock = socket.create_connection(("127.0.0.1", node.port))
        sock.sendall(request)
        sockets.append(sock)
    return sockets


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process_whatever_is_open(tmp_path: Path, sign: int) -> None:
    with running(tmp_path / "node") as node:
        pids = everyone(node)
        assert len(pids) == 2
        open_ones = hold_open(node)
        node.process.send_signal(sign)
        wait_until_gone(pids[1:], 10)
        assert node.process.wait(END_SECONDS) == 0
        for sock in open_ones:
            sock.close()
        assert not answers(node.port)


def test_nothing_serves_on_when_the_main_process_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        pids = everyone(node)
        os.kill(pids[0], signal.SIGKILL)
        node.process.wait(END_SECONDS)
        wait_until_gone(pids, 10)
        assert not answers(node.port)


def test_the_main_process_does_not_stay_when_its_server_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        os.kill(everyone(node)[1], signal.SIGKILL)
        assert node.process.wait(END_SECONDS) == 1
        assert "the node has ended" in node.log


def test_no_variable_of_the_environment_passes_for_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_SEC_FETCH_SITE", "cross-site")
    monkeypatch.setenv("CONTENT_LENGTH", "7")
    with running(tmp_path / "node") as node:
        assert node.get("/v1/status").status == 200
        assert node.post("/replace_chain").status == 200


def test_a_node_ends_with_its_launcher(tmp_path: Path) -> None:
    place_coin(tmp_path / "node", rich_coin())
    config = Config(data=tmp_path / "node", port=free_port(), development=True)
    launcher = (
        "import time\nfrom pathlib import Path\nfrom node.config import Config\nfrom tests.kit.running import launch\n"
        f"config = Config(data=Path({str(config.data)!r}), port={config.port}, development=True)\n"
        "print(launch(config).pid, flush=True)\n"
        "time.sleep(600)"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2]
    )
    assert started.stdout is not None
    main = int(started.stdout.readline())
    try:
        wait_until(lambda: answers(config.port), 20, "the node to answer")
        pids = [main, *children_of(main)]
        assert len(pids) == 2
        started.kill()
        started.wait()
        wait_until_gone(pids, 10)
    finally:
        started.kill()
        started.stdout.close()
        for pid in (main, *children_of(main)) if not is_gone(main) else ():
            os.kill(pid, signal.SIGKILL)


def test_a_node_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        for _ in range(3):
            node.extend()
        before, coin = node.state(), node.coin
        os.kill(everyone(node)[1], signal.SIGKILL)
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait(END_SECONDS)
    with running(tmp_path / "node", coin) as node:
        assert node.state() == before
        assert node.get("/is_valid").json["valid"] is True


def open_files(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return found


def is_at_the_lock(process: subprocess.Popen[bytes], config: Config) -> bool:
    """Whether a node that starts waits for its folder's lock, or has given up."""
    return process.poll() is not None or str(config.node_lock) in open_files(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what another process has open")
def test_a_successor_waits_for_one_that_is_just_dying(tmp_path: Path) -> None:
    """It waits for three seconds. Where this machine is held up for longer, another pair of nodes is tried."""
    numbers = count()

    def waits() -> bool:
        with running(tmp_path / f"node{next(numbers)}") as node:
            successor = Config(data=node.config.data, port=free_port(), development=True, min_fee=0)
            process = launch(successor)
            try:
                wait_until(lambda: is_at_the_lock(process, successor), 20, "the successor to wait")
                node.process.send_signal(signal.SIGTERM)
                wait_until(lambda: answers(successor.port) or process.poll() is not None, 20, "the successor")
                return process.poll() is None
            finally:
                process.terminate()
                process.wait(END_SECONDS)

    wait_until(waits, 60, "the successor to answer")


def test_readers_are_answered_while_others_wait(fresh: RunningNode) -> None:
    waiting = hold_open(fresh)
    try:
        assert fresh.get("/v1/status").status == 200
    finally:
        for sock in waiting:
            sock.close()
