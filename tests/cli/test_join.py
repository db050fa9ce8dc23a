"""`moneyer join`: two data folders that know each other by URL only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moneyer.node.devnet.coinfiles import read_coin
from moneyer.node.system.text import is_visible
from moneyer.node.wallet.keystore import open_wallet
from tests.kit.commands import asked, moneyer, no_room, refusal, start
from tests.kit.mining.workers import mining
from tests.kit.running import SECRET, answers, own_coin, own_node
from tests.kit.system.ports import free_port
from tests.kit.waiting import END_SECONDS, wait_until

pytestmark = pytest.mark.timeout(180)


def test_a_friend_joins_by_url_and_gets_a_coin(tmp_path: Path) -> None:
    with own_node(tmp_path / "mine") as node, mining(tmp_path / "mine"):
        friends = tmp_path / "friends"
        joined = asked("join", node.url, "--data", friends, env=SECRET)
        assert joined["chain_id"] == node.coin.chain_id[::-1].hex()
        assert joined["coin"] == json.loads(json.dumps(node.coin.as_json()))
        address = joined["accounts"]["miner"]
        assert open_wallet(friends / "wallet.json").locked
        port = free_port()
        process = start("node", "--data", friends, "--port", str(port))
        try:
            wait_until(lambda: answers(port), 30, "the friend's node")
            moneyer("send", "alice", address, "2.5", "--wait", "--data", tmp_path / "mine")
            wait_until(lambda: _balance(friends) == 2_500_000, 30, "the coins in the friend's folder")
            peers = asked("peers", "--data", friends)["peers"]
            assert [each["url"] for each in peers] == [node.url], "remembered from the join: nobody named it again"
        finally:
            process.terminate()
            process.communicate(timeout=END_SECONDS)


def _balance(folder: Path) -> int:
    return int(asked("balance", "miner", "--data", folder)["balance"])


def test_join_says_what_comes_next_or_starts_the_node(tmp_path: Path) -> None:
    with own_node(tmp_path / "mine") as node:
        done = moneyer("join", node.url, cwd=tmp_path, env=SECRET)
        assert done.returncode == 0, done.stderr
        assert "moneyer node --data easy-coin" in done.stdout
        assert "time between blocks" in done.stdout
        assert read_coin(tmp_path / "easy-coin" / "coin.toml") == node.coin
        wallet = (tmp_path / "easy-coin" / "wallet.json").read_bytes()

        port = free_port()
        process = start("join", node.url, "--data", tmp_path / "easy-coin", "--start", "--port", str(port), **SECRET)
        try:
            wait_until(lambda: answers(port), 30, "the node that join started")
            again = refusal(moneyer("join", node.url, "--data", tmp_path / "easy-coin"))
            assert "runs already" in again
            assert "moneyer peers --add" in again
        finally:
            process.terminate()
            process.communicate(timeout=END_SECONDS)
        assert (tmp_path / "easy-coin" / "wallet.json").read_bytes() == wallet


EVIL = "Evil\x1b]0;OWNED\x07\x1b[2J\n\u202e\u200b"


def test_a_coin_whose_name_would_command_the_terminal_is_shown_escaped(tmp_path: Path) -> None:
    with own_node(tmp_path / "evil", own_coin(name=EVIL)) as node:
        port = free_port()
        process = start("join", node.url, "--data", tmp_path / "mine", "--start", "--port", str(port), **SECRET)
        try:
            wait_until(lambda: answers(port), 30, "the node that join started")
        finally:
            process.terminate()
            said, complaints = process.communicate(timeout=END_SECONDS)
        for text in (said, complaints, node.log):
            assert is_visible(text.replace("\n", ""))
        escaped = r"Evil\x1b]0;OWNED\x07\x1b[2J\n\u202e\u200b (EASY)"
        assert said.count(escaped) == 2, "join itself, and the node at its start"

        status = moneyer("status", "--node", node.url)
        assert r"Evil\x1b]0;OWNED\x07" in status.stdout
        assert is_visible(status.stdout.replace("\n", ""))
        status = moneyer("status", "--node", node.url, "--json")
        assert is_visible(status.stdout.replace("\n", ""))
        assert json.loads(status.stdout)["coin"]["name"] == EVIL


def test_a_folder_of_another_coin_is_refused_and_both_are_named(tmp_path: Path) -> None:
    with own_node(tmp_path / "mine") as node:
        with own_node(tmp_path / "lake", own_coin(name="Lake Coin", symbol="LAKE", hrp="lake")):
            pass
        said = refusal(moneyer("join", node.url, "--data", tmp_path / "lake"))
        assert "Lake Coin (LAKE, chain " in said
        assert "Easy Coin (EASY, chain " in said
        assert read_coin(tmp_path / "lake" / "coin.toml").name == "Lake Coin"


def test_a_node_of_another_coin_started_as_a_peer_says_which_coin_each_runs(tmp_path: Path) -> None:
    with own_node(tmp_path / "mine") as node, own_node(tmp_path / "lake", own_coin(symbol="LAKE", hrp="lake")) as lake:
        said = refusal(moneyer("peers", "--add", node.url, "--data", lake.config.data))
        assert "its coin is EASY (chain " in said
        assert "this node's is LAKE" in said


def test_without_a_url_it_says_what_to_give() -> None:
    assert "say which node to join, such as `moneyer join http://" in refusal(moneyer("join"), 2)


def test_nobody_there_leaves_nothing(tmp_path: Path) -> None:
    said = refusal(moneyer("join", f"http://127.0.0.1:{free_port()}", "--data", tmp_path / "x", env=SECRET))
    assert "no node answers" in said
    assert not (tmp_path / "x").exists()


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with own_node(tmp_path / "mine") as node:
        said = refusal(moneyer("join", node.url, "--data", tmp_path / "x", env=SECRET, first=no_room))
        assert "too large" in said.lower()
        assert not (tmp_path / "x" / "coin.toml").exists()
