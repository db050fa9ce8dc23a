"""What looks at a node: blocks, transactions, peers, the token; and every command where no node runs."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.core.coinfile import coin_to_toml
from tests.kit.chains import key
from tests.kit.commands import MONEYER, asked, environment, moneyer, refusal, talk
from tests.kit.running import RunningNode, own_coin, own_node, write_wallet
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Three blocks high, the last with a transfer."""
    with own_node(tmp_path_factory.mktemp("look") / "data") as running:
        running.extend()
        running.extend()
        running.extend(transfers=[running.chain.transfer(key("alice"), key("bob"), 5, 1, b"hello")])
        yield running


def test_a_block_is_named_by_height_hash_or_tip(node: RunningNode) -> None:
    data = node.config.data
    by_height = asked("block", "3", "--data", data)
    assert by_height == asked("block", by_height["hash"], "--data", data) == asked("block", "tip", "--data", data)
    assert by_height == node.get("/v1/blocks/3").json
    shown = moneyer("block", "3", "--data", data).stdout
    assert by_height["hash"] in shown
    assert "hello" in shown
    assert "main chain, 1 confirmation)" in shown
    for wrong, words in (("4", "the tip is at 3"), ("x", "64 hex digits"), ("ab" * 32, "no block of that hash")):
        assert words in refusal(moneyer("block", wrong, "--data", data))


def test_a_transaction_is_named_by_its_txid(node: RunningNode) -> None:
    txid = node.get("/v1/blocks/3").json["transactions"][1]["txid"]
    found = asked("tx", txid, "--data", node.config.data)
    assert (found["memo"], found["height"]) == ("hello", 3)
    assert "alice" in moneyer("tx", txid, "--data", node.config.data).stdout
    assert "no transaction of that txid" in refusal(moneyer("tx", "ab" * 32, "--data", node.config.data))
    assert "is no txid" in refusal(moneyer("tx", "../peers", "--data", node.config.data), 2)


@pytest.mark.parametrize(
    "command", [("history", "alice"), ("balance",), ("wallet", "list"), ("block", "3"), ("tx", "TXID"), ("status",)]
)
def test_on_a_terminal_of_80_columns_no_line_is_longer(node: RunningNode, command: tuple[str, ...]) -> None:
    txid = node.get("/v1/blocks/3").json["transactions"][1]["txid"]
    words = [txid[:12] if word == "TXID" else word for word in command]
    status, shown = talk([*words, "--data", node.config.data], [], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert (status, "\x1b" in shown) == (0, False)
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    if command in [("balance",), ("wallet", "list")]:
        address = key("alice").address(node.coin)
        assert f"\n  {address}\r\n" in shown, "an address is never cut where it is to be copied"


def test_the_rest_is_in_the_apis_shape(node: RunningNode) -> None:
    for command, path in (("status", "/v1/status"), ("peers", "/v1/peers"), ("mempool", "/v1/mempool?limit=20")):
        assert asked(command, "--data", node.config.data).keys() == node.get(path).json.keys()
    assert "nothing waits" in moneyer("mempool", "--node", node.url).stdout
    assert "knows no other" in moneyer("peers", "--node", node.url).stdout


def test_peers_are_added_with_the_folders_token_only(node: RunningNode, tmp_path: Path) -> None:
    with own_node(tmp_path / "data", node.coin) as other:
        assert "api.token" in refusal(moneyer("peers", "--add", other.url, "--node", node.url, cwd=tmp_path))
        added = asked("peers", "--add", other.url, "--data", node.config.data)["peers"]
        assert [each["url"] for each in added] == [other.url]
        host = other.url.removeprefix("http://")
        assert asked("peers", "--remove", host, "--data", node.config.data) == {"peers": []}


def test_the_status_says_how_many_of_the_known_peers_are_connected(tmp_path: Path) -> None:
    coin = own_coin()
    with own_node(tmp_path / "one", coin, manual=False, discovery=False) as node:
        assert "peers       0 known\n" in moneyer("status", "--node", node.url).stdout
        with own_node(tmp_path / "two", coin) as other:
            asked("peers", "--add", other.url, "--data", node.config.data)
            assert "peers       1 of 1 connected\n" in moneyer("status", "--node", node.url).stdout
        wait_until(lambda: node.get("/v1/status").json["peers_connected"] == 0, 60, "the other's end to be seen")
        assert "peers       0 of 1 connected\n" in moneyer("status", "--node", node.url).stdout


def test_a_renewed_token_counts_at_once(tmp_path: Path) -> None:
    with own_node(tmp_path / "data") as node:
        old = moneyer("token", "--data", tmp_path / "data").stdout.strip()
        assert old == node.token
        job = {"blocks": 1}
        assert node.call("POST", "/v1/mine", job, {"Authorization": f"Bearer {old}"}).status == 202
        new = asked("token", "--renew", "--data", tmp_path / "data")["token"]
        assert new != old
        assert node.call("POST", "/v1/mine", job, {"Authorization": f"Bearer {old}"}).status == 401
        assert node.call("POST", "/v1/mine", job, {"Authorization": f"Bearer {new}"}).status == 202
        assert stat.S_IMODE(node.config.token_file.stat().st_mode) == 0o600
        assert new not in node.log


def test_an_answer_that_does_not_fit_on_the_disk_is_one_sentence(node: RunningNode) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*MONEYER, "status", "--node", node.url],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "moneyer: No space left on device\n")


def test_colours_are_for_a_terminal_that_wants_them(node: RunningNode) -> None:
    assert "\x1b" not in moneyer("status", "--node", node.url).stdout
    assert "\x1b[" in talk(["status", "--node", node.url], [])[1]
    assert "\x1b[" not in talk(["status", "--node", node.url], [], env={"NO_COLOR": "1"})[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    done = moneyer("completion", shell)
    assert (done.returncode, "_MONEYER_COMPLETE" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("variable", ["MONEYER_DATA", "MONEYER_VERIFY_DATA"])
def test_a_data_folder_may_be_named_by_the_environment(node: RunningNode, variable: str) -> None:
    done = moneyer("verify", "--json", env={variable: str(node.config.data)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["height"] == node.get("/v1/status").json["height"]


def test_the_shell_completes_commands_and_names(node: RunningNode) -> None:
    def completed(words: str) -> list[str]:
        env = {"_MONEYER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        done = moneyer(env={**env, "MONEYER_DATA": str(node.config.data)})
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert completed("moneyer bal") == ["balance"]
    assert completed("moneyer balance a") == ["alice"]
    assert completed("moneyer wallet ex") == ["export"]


LOOKING = [
    ("status",),
    ("peers",),
    ("mempool",),
    ("block", "1"),
    ("tx", "ab" * 32),
    ("balance",),
    ("balance", "alice"),
    ("history", "alice"),
    ("send", "alice", "bob", "1"),
    ("peers", "--add", "http://127.0.0.1:1"),
]


@pytest.mark.parametrize("command", LOOKING)
def test_with_no_node_running_every_command_says_how_to_start_one(command: tuple[str, ...], tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_wallet(data)
    (data / "coin.toml").write_text(coin_to_toml(own_coin()))
    said = refusal(moneyer(*command, "--data", data))
    assert f"the node of {data} does not run: start it with `moneyer node --data {data}`" in said
    url = f"http://127.0.0.1:{free_port()}"
    assert f"no node answers at {url}" in refusal(moneyer(*command, "--data", data, "--node", url))


def test_what_needs_no_node_works_without_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_wallet(data)
    (data / "coin.toml").write_text(coin_to_toml(own_coin()))
    assert [row["balance"] for row in asked("wallet", "list", "--data", data)["accounts"]] == [None] * 3
    assert len(asked("token", "--data", data)["token"]) > 30
