"""`moneyer up` with a coin of one's own, with ports that move, and the lines that it prints."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest
import requests

from moneyer.node.devnet.addresses import free_ports, join_line
from moneyer.node.devnet.coinfiles import read_coin
from moneyer.node.devnet.devcoin import ALICE, development_coin, is_development
from moneyer.node.wallet.derive import development_keys
from tests.kit.commands import MONEYER, asked, browser_that_notes, moneyer, no_room, refusal
from tests.kit.net.launchers import BUSY, START, Launcher
from tests.kit.system.ports import free_ports as first_free
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

SECRET = {"MONEYER_PASSPHRASE": "sand"}


def new_coin(folder: Path, *options: str) -> Path:
    """The data folder of a coin of one's own that is quick to mine."""
    done = moneyer(
        "new", "Beach Coin", "--premine", "anna=100", "--pow-limit", "2000ffff", *options, cwd=folder, env=SECRET
    )
    assert done.returncode == 0, done.stderr
    return folder / "beach-coin"


def wait_for(launcher: Launcher, words: str) -> str:
    def shown() -> str:
        assert launcher.popen.poll() is None, launcher.output()
        return launcher.output() if words in launcher.output() else ""

    return wait_until(shown, START, words)


def linked(url: str) -> bool:
    """Whether a node has a peer."""
    peers = requests.get(f"{url}/v1/peers", timeout=60).json()["peers"]
    return any(peer["state"] == "connected" for peer in peers)


def test_a_coin_of_ones_own_is_up_mines_by_itself_and_confirms_what_is_sent(tmp_path: Path) -> None:
    data = new_coin(tmp_path, "--block-time", "5")
    first = first_free(2)
    options = ["--data", str(data), "--nodes", "2", "--port", str(first), "--mode", "interval:1", "--open"]
    with Launcher([*MONEYER, "up", *options], tmp_path, BROWSER=browser_that_notes(tmp_path)) as launcher:
        screen = wait_for(launcher, "Ctrl-C stops all")
        assert screen.lstrip().startswith(f"The page:  http://127.0.0.1:{first}/")
        assert f"`moneyer open --data {data.name}` signs in" in screen
        assert "Beach Coin (BEACH) is up: 2 nodes" in screen
        assert "the wallet is encrypted" in screen
        wait_until(lambda: (tmp_path / "opened").exists(), START, "the page to be opened")
        assert (tmp_path / "opened").read_text("utf-8").startswith(f"http://127.0.0.1:{first}/signin#")
        assert re.search(r"anna +100 BEACH   beach1", screen)
        assert f"moneyer send anna miner 1 --wait --data {data.name}" in screen
        wait_until(lambda: linked(f"http://127.0.0.1:{first}"), START, "the link with node 2")
        sent = asked("send", "anna", "miner", "1", "--wait", "--data", data, env=SECRET)
        assert (sent["peers"], sent["seen_by"]) == (1, 1)
        assert sent["height"] >= 1
        behind = wait_for(launcher, "1 transfer ").partition("Ctrl-C stops all")[2].splitlines()[1:]
        lines = [line for line in behind if line]
        # Two miners that find a block at once make two branches for a moment; then some blocks are told again.
        told = [line for line in lines if "reorganized from height" not in line]
        since = max((at for at, line in enumerate(lines) if line not in told), default=-1) + 1
        heights = [int(line.split("  block ")[1].split()[0]) for line in lines[since:]]
        assert heights == sorted(set(heights)), "a line a block"
        assert all("  block " in line for line in told), "and nothing else"
        assert all("BEACH to miner" in line for line in told), "every reward is the owner's"
        launcher.popen.send_signal(signal.SIGINT)
        launcher.wait_all_ended(5 + BUSY)
        assert launcher.popen.returncode == 0
        assert "Traceback" not in launcher.output()
    assert asked("verify", "--data", data)["height"] >= sent["height"], "node 1 lives in the coin's own folder"


@pytest.mark.parametrize(("options", "mode"), [([], "interval 30"), (["--mode", "interval:1"], "interval 1")])
def test_it_mines_at_the_coins_own_block_time_unless_told_else(tmp_path: Path, options: list[str], mode: str) -> None:
    data, first = new_coin(tmp_path, "--block-time", "30"), first_free(1)
    up = [*MONEYER, "up", "--data", str(data), "--nodes", "1", "--port", str(first), *options]
    with Launcher(up, tmp_path) as launcher:
        wait_for(launcher, "Ctrl-C stops all")
        url = f"http://127.0.0.1:{first}/v1/mining"
        wait_until(lambda: requests.get(url, timeout=30).json()["mode"] == mode, START, mode)


def test_the_rewards_of_a_network_that_mines_at_intervals_go_to_all_of_its_nodes_by_chance(tmp_path: Path) -> None:
    first = first_free(3)
    data = tmp_path / "net"
    up = [*MONEYER, "up", "--data", str(data), "--port", str(first), "--mode", "interval:1"]
    with Launcher(up, tmp_path) as launcher:
        wait_for(launcher, "Ctrl-C stops all")

        def finders() -> set[str]:
            blocks = requests.get(f"http://127.0.0.1:{first}/v1/blocks?limit=500", timeout=30).json()["blocks"]
            return {each["miner"] for each in blocks if each["height"] > 0}

        # That one of three equals finds none of 100 blocks has a chance of 10^-17.
        wait_until(lambda: len(finders()) == 3, 200, "a block of each node")


def test_ports_move_to_free_ones_when_asked(tmp_path: Path) -> None:
    data, first = new_coin(tmp_path), first_free(3)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        assert "--any-port" in refusal(moneyer("up", "--nodes", "1", "--port", str(first), "--data", data))
        options = ["--data", str(data), "--nodes", "1", "--port", str(first), "--any-port", "--mode", "demand"]
        with Launcher([*MONEYER, "up", *options], tmp_path) as launcher:
            screen = wait_for(launcher, "Ctrl-C stops all")
            assert f"127.0.0.1:{first} " not in screen
            status = asked("status", "--data", data)
            assert status["coin"]["name"] == "Beach Coin"
            launcher.popen.send_signal(signal.SIGTERM)
            launcher.wait_all_ended(5 + BUSY)


def test_a_coin_file_is_enough(tmp_path: Path) -> None:
    data = new_coin(tmp_path)
    copy = tmp_path / "theirs" / "beach.toml"
    copy.parent.mkdir()
    copy.write_bytes((data / "coin.toml").read_bytes())
    options = ["--coin", str(copy), "--data", str(tmp_path / "net"), "--nodes", "1", "--port", str(first_free(1))]
    with Launcher([*MONEYER, "up", *options, "--mode", "demand"], tmp_path) as launcher:
        screen = wait_for(launcher, "Ctrl-C stops all")
        assert "the wallet is open: `moneyer wallet passphrase" in screen
        assert read_coin(tmp_path / "net" / "coin.toml") == read_coin(copy)


def test_with_lan_the_line_to_join_is_shown(tmp_path: Path) -> None:
    data, port = new_coin(tmp_path), first_free(1)
    options = ["--data", str(data), "--nodes", "1", "--port", str(port), "--lan", "--mode", "demand"]
    with Launcher([*MONEYER, "up", *options], tmp_path) as launcher:
        screen = wait_for(launcher, "Ctrl-C stops all")
        line = join_line("0.0.0.0", port)
        assert (line or "this machine has no network") in screen


def test_a_wrong_passphrase_is_the_reason_that_is_given(tmp_path: Path) -> None:
    data = new_coin(tmp_path)
    mud = {"MONEYER_PASSPHRASE": "mud"}
    ports = ("--nodes", "1", "--port", str(first_free(1)))
    for command, status in ((("up", *ports), 1), (("node", *ports[2:]), 1)):
        done = moneyer(*command, "--data", data, env=mud)
        assert done.returncode == status
        assert "the passphrase is wrong, or the wallet file is damaged" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_development_network_stays_on_this_machine(tmp_path: Path) -> None:
    said = refusal(moneyer("up", "--lan", "--data", tmp_path / "net"))
    assert "make a coin of your own" in said
    assert not (tmp_path / "net").exists()


def test_a_mode_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    said = refusal(moneyer("up", "--mode", "sometimes", "--data", tmp_path / "net"), 2)
    assert 'there is no mining mode "sometimes"' in said


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    said = refusal(moneyer("up", "--any-port", "--data", tmp_path / "net", first=no_room))
    assert "too large" in said.lower()


def test_a_development_coin_is_known_by_its_published_keys(tmp_path: Path) -> None:
    assert development_keys()["alice"].public_key.hex() == ALICE
    assert is_development(development_coin(1_800_000_000))
    assert not is_development(read_coin(new_coin(tmp_path) / "coin.toml"))


def test_free_ports_pass_over_what_is_taken() -> None:
    first = first_free(4)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + 1))
        other.listen()
        assert free_ports(first, 2) == [first, first + 2]
    assert free_ports(65_535, 5) in ([65_535], [])


def test_a_join_line_is_for_who_can_reach_the_node() -> None:
    assert [join_line(host, 5001) for host in ("127.0.0.1", "127.9.9.9", "localhost")] == [None] * 3
    assert join_line("192.168.1.20", 5001) == "moneyer join http://192.168.1.20:5001"
    assert join_line("fd00::1", 5001) == "moneyer join http://[fd00::1]:5001"
