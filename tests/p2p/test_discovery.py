"""Nodes of one coin find each other on a local network, and no record makes them call elsewhere."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.config import Config
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.p2p.lan import Discovery, local_networks, read_record
from tests.kit.chains import easy_coin
from tests.kit.system.lan import Host, lan
from tests.kit.waiting import END_SECONDS, wait_until

BEACH = easy_coin(name="Beach Coin", symbol="BEACH")
OTHER = easy_coin(name="Ötherß Coin", symbol="OTH")
SOON = 40.0
HERE = [ip_interface("192.168.1.5/24"), ip_interface("172.17.0.1/16"), ip_interface("fd12::5/64")]
TEXT: dict[bytes, bytes | None] = {
    b"chain_id": b"0123456789abcdef",
    b"node_id": b"a" * 32,
    b"name": b"Beach Coin",
    b"symbol": b"BEACH",
    b"protocol": b"1",
}


@dataclass
class Network:
    hosts: list[Host]
    folder: Path

    def node(self, number: int, coin: Coin, *options: str, port: int = 5001, **env: str) -> subprocess.Popen[bytes]:
        data = self.folder / f"host{number}-{port}"
        data.mkdir()
        (data / "coin.toml").write_text(coin_to_toml(coin))
        host = () if "--host" in options else ("--host", "0.0.0.0")
        return self.hosts[number].start(
            self.folder / f"{data.name}.log", "node", "--data", data, "--port", str(port), *host, *options, **env
        )

    def log(self, number: int, port: int = 5001) -> str:
        return (self.folder / f"host{number}-{port}.log").read_text()

    def ask(self, number: int, *command: str, status: int = 0) -> Any:
        done = self.hosts[number].moneyer(*command, "--json")
        assert done.returncode == status, (done.stdout, done.stderr)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def answers(self, number: int, port: int = 5001) -> bool:
        asked = self.hosts[number].moneyer("status", "--json", "--node", f"http://127.0.0.1:{port}")
        return asked.returncode == 0

    def coins(self, number: int, *urls: str) -> list[Any]:
        """What `moneyer join` lists, once nodes at all these URLs are heard: on a busy machine one may be late."""

        def listed() -> list[Any]:
            coins: list[Any] = self.ask(number, "join")["coins"]
            return coins if {node["url"] for coin in coins for node in coin["nodes"]} >= set(urls) else []

        return wait_until(listed, SOON, f"nodes at {urls}")

    def peers(self, number: int) -> dict[str, str]:
        """URL and state of each."""
        rows = self.ask(number, "peers", "--node", "http://127.0.0.1:5001")["peers"]
        return {row["url"]: row["state"] for row in rows}


@contextmanager
def ended(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(END_SECONDS)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Three hosts; on the first two a node of one coin, on the third one of another."""
    with lan(3) as hosts:
        made = Network(hosts, tmp_path_factory.mktemp("lan"))
        nodes = [made.node(number, coin) for number, coin in enumerate((BEACH, BEACH, OTHER))]
        with ended(*nodes):
            for number in range(3):
                wait_until(lambda number=number: made.answers(number), SOON, f"node {number}")  # type: ignore[misc]
            yield made


def wait_for_each_other(network: Network) -> None:
    """Until both nodes of the one coin are connected."""
    other = {0: "http://10.77.0.2:5001", 1: "http://10.77.0.1:5001"}
    for number in (0, 1):
        wait_until(lambda number=number: network.peers(number) == {other[number]: "connected"}, SOON)  # type: ignore[misc]


def test_two_nodes_of_one_coin_find_each_other_without_an_address_typed(network: Network) -> None:
    wait_for_each_other(network)
    assert network.peers(2) == {}
    # It says so once it has told its name several times: the other may have heard it, and called, before that.
    wait_until(lambda: "discovery: known on the local network as BEACH-" in network.log(0), SOON, "its name in the log")


def test_join_without_a_url_lists_the_coins_that_are_found(network: Network) -> None:
    wait_for_each_other(network)
    coins = network.coins(2, *(f"http://10.77.0.{host}:5001" for host in (1, 2, 3)))
    assert [(coin["name"], coin["symbol"], coin["chain_id"], coin["height"]) for coin in coins] == [
        ("Beach Coin", "BEACH", show(BEACH.chain_id), 0),
        ("Ötherß Coin", "OTH", show(OTHER.chain_id), 0),
    ]
    assert [node["url"] for node in coins[0]["nodes"]] == ["http://10.77.0.1:5001", "http://10.77.0.2:5001"]
    assert [node["peers"] for node in coins[0]["nodes"]] == [1, 1]
    words = ("Beach Coin (BEACH)", "moneyer join http://10.77.0.3:5001")

    def are_shown() -> bool:  # one look lasts three seconds, and an answer may be later
        shown = network.hosts[0].moneyer("join").stdout
        return all(word in shown for word in words)

    wait_until(are_shown, SOON, "both coins to be shown")


def test_a_node_on_loopback_and_one_that_was_told_so_are_not_found(network: Network) -> None:
    hidden = [
        network.node(0, BEACH, "--host", "127.0.0.1", port=5002),
        network.node(0, BEACH, "--no-discovery", port=5003),
        network.node(0, BEACH, port=5004, MONEYER_NO_DISCOVERY="1"),
        network.node(0, BEACH, "--manual", port=5005),
    ]
    with ended(*hidden):
        for port in (5002, 5003, 5004, 5005):
            wait_until(lambda port=port: network.answers(0, port), SOON, f"the node on {port}")  # type: ignore[misc]
        wait_until(lambda: "discovery: known" in network.log(0, 5005), SOON, "the manual one to be known")
        # It is found, but searches for none: others come to it.
        wanted = {f"http://10.77.0.{host}:5001" for host in (1, 2, 3)} | {"http://10.77.0.1:5005"}
        found = {node["url"] for coin in network.coins(1, *wanted) for node in coin["nodes"]}
    assert found == wanted


def test_a_machine_without_a_network_says_so() -> None:
    with lan(1) as (host,):
        off = subprocess.run(["ip", "-n", host.space, "link", "delete", "eth0"], check=False)
        assert off.returncode == 0
        done = host.moneyer("join")
    assert done.returncode == 1
    assert "this machine is on no network" in done.stderr


def test_a_record_is_read() -> None:
    found = read_record(TEXT, ["192.168.1.20"], 5001, HERE)
    assert found is not None
    assert (found.url, found.chain_id, found.name) == ("http://192.168.1.20:5001", "0123456789abcdef", "Beach Coin")
    assert read_record({**TEXT, b"other": b"\xff" * 3, b"none": None}, ["192.168.1.20"], 5001, HERE) is None
    assert read_record({**TEXT, b"later": b"x", b"none": None}, ["192.168.1.20"], 5001, HERE) == found


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        (["fd12::9", "192.168.1.20", "8.8.8.8"], "http://192.168.1.20:5001"),
        (["172.17.0.1", "192.168.1.20"], "http://192.168.1.20:5001"),
        (["172.17.0.1"], "http://172.17.0.1:5001"),
        (["fd12::9"], "http://[fd12::9]:5001"),
        (["8.8.8.8"], None),
        (["127.0.0.1"], None),
        (["169.254.169.254"], None),
        (["fe80::1%eth0"], None),
        (["192.168.2.20"], None),
        (["nonsense"], None),
        ([], None),
    ],
)
def test_only_an_address_on_a_network_of_ours_is_called(addresses: list[str], url: str | None) -> None:
    found = read_record(TEXT, addresses, 5001, HERE)
    assert (found.url if found else None) == url


@pytest.mark.parametrize(
    "change",
    [
        {b"chain_id": b"XYZ"},
        {b"chain_id": None},
        {b"node_id": b"<script>"},
        {b"protocol": b"one"},
        {b"protocol": b"-1"},
        {b"name": b"\xff\xfe"},
        {b"name": b"x" * 250},
        {b"symbol": b"lower"},
    ],
)
def test_a_record_that_no_node_would_write_is_passed_over(change: dict[bytes, bytes | None]) -> None:
    assert read_record({**TEXT, **change}, ["192.168.1.20"], 5001, HERE) is None


@pytest.mark.parametrize("port", [None, 0, 65536])
def test_a_record_without_a_port_is_passed_over(port: int | None) -> None:
    assert read_record(TEXT, ["192.168.1.20"], port, HERE) is None


def test_loopback_is_no_local_network() -> None:
    assert not any(each.ip.is_loopback for each in local_networks())
    assert [str(each) for each in local_networks(["127.0.0.1"])] == ["127.0.0.1/8"]


@pytest.mark.parametrize("settings", [{}, {"discovery": True}, {"host": "0.0.0.0"}])
def test_discovery_is_off_unless_wanted_and_beyond_loopback(tmp_path: Path, settings: dict[str, Any]) -> None:
    discovery = Discovery(Config(tmp_path, **settings), BEACH, "a" * 32, None)
    discovery.start()
    assert not discovery.is_on
    discovery.stop()
