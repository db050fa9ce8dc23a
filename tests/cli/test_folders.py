"""The one rule by which commands find the data folder and the node that are meant."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.node.devnet import running as register
from tests.kit.chains import easy_coin
from tests.kit.commands import moneyer, refusal
from tests.kit.running import RunningNode, own_coin, own_node, running

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of somebody with a home of their own: no network but this test's."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("MONEYER_STATE", str(home / "state"))
    return {"HOME": str(home), "MONEYER_STATE": str(home / "state")}


def asked(folder: Path, person: dict[str, str], *arguments: str) -> dict[str, object]:
    """What `moneyer status` (with more arguments) says of the node that it finds from `folder`."""
    done = moneyer("status", "--json", *arguments, cwd=folder, env=person)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def network(stack: ExitStack, folder: Path, nodes: int = 1) -> list[RunningNode]:
    """A network as `moneyer up` lays it, each node registered as `moneyer node` does."""
    coin = easy_coin()
    started = []
    for number in range(1, nodes + 1):
        data = folder / f"node{number}"
        started.append(stack.enter_context(running(data, coin)))
        (folder / "coin.toml").write_bytes((data / "coin.toml").read_bytes())
        register.register(data)
    return started


def test_the_only_network_that_runs_is_found_from_any_folder(tmp_path: Path, person: dict[str, str]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with ExitStack() as stack:
        (node,) = network(stack, tmp_path / "class")
        assert asked(elsewhere, person)["chain_id"] == node.get("/v1/status").json["chain_id"]
        done = moneyer("wallet", "list", cwd=elsewhere, env=person)
        assert "alice" in done.stdout or "miner" in done.stdout
        for command in (["verify"], ["db", "check"], ["db", "backup", "copy.db"]):
            done = moneyer(*command, cwd=elsewhere, env=person)
            assert done.returncode == 0, (command, done.stderr)
        assert (elsewhere / "copy.db").is_file()
    said = refusal(moneyer("verify", cwd=elsewhere, env=person))
    assert "--data DIR" in said


def test_where_several_run_the_command_asks_which_and_names_them(tmp_path: Path, person: dict[str, str]) -> None:
    with ExitStack() as stack:
        (one,) = network(stack, tmp_path / "one")
        (two,) = network(stack, tmp_path / "two words")
        done = moneyer("balance", "alice", cwd=tmp_path, env=person)
        assert done.returncode == 1
        assert f"--data {tmp_path / 'one'}" in done.stderr
        assert f"--data '{tmp_path / 'two words'}'" in done.stderr
        assert "Traceback" not in done.stderr
        # The URL of a node says which, so does a folder.
        for node in (one, two):
            assert asked(tmp_path, person, "--node", node.url)["chain_id"] == node.get("/v1/status").json["chain_id"]
            folder = str(node.config.data.parent)
            assert asked(tmp_path, person, "--data", folder)["chain_id"] == node.get("/v1/status").json["chain_id"]


def test_the_network_of_make_run_is_found_before_another(tmp_path: Path, person: dict[str, str]) -> None:
    with ExitStack() as stack:
        (ours,) = network(stack, tmp_path / "checkout" / "data")
        network(stack, tmp_path / "other")
        assert asked(tmp_path / "checkout", person)["tip"] == ours.get("/v1/status").json["tip"]


def test_the_folder_one_stands_in_goes_first(tmp_path: Path, person: dict[str, str]) -> None:
    with ExitStack() as stack:
        mine = stack.enter_context(own_node(tmp_path / "mine", own_coin()))
        network(stack, tmp_path / "other")
        assert asked(tmp_path / "mine", person)["tip"] == mine.get("/v1/status").json["tip"]


def test_a_network_stands_for_its_first_node_that_runs(tmp_path: Path, person: dict[str, str]) -> None:
    folder = tmp_path / "net"
    with ExitStack() as stack:
        first, second = network(stack, folder, nodes=2)
        assert moneyer("peers", "--data", folder, env=person).returncode == 0
        assert f'"{second.url}' not in json.dumps(asked(folder, person))
        first.stop()
        shown = moneyer("status", "--data", folder, env=person).stdout
        assert second.url in shown


def test_a_register_that_cannot_be_written_is_no_reason_not_to_run(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    register.register(data)  # MONEYER_STATE is /dev/null here
    assert register.running_networks() == []


def test_an_entry_whose_folder_is_gone_is_taken_away(tmp_path: Path, person: dict[str, str]) -> None:
    data = tmp_path / "gone"
    data.mkdir()
    register.register(data)
    assert len(list(register.register_folder().iterdir())) == 1
    data.rmdir()
    assert register.running_networks() == []
    assert not list(register.register_folder().iterdir())


def test_what_is_no_entry_of_the_register_is_passed_over(tmp_path: Path, person: dict[str, str]) -> None:
    folder = register.register_folder()
    folder.mkdir(parents=True)
    (folder / "relative").write_text("data")
    (folder / "nul").write_bytes(b"/tmp/\0x")
    (folder / "folder").mkdir()
    assert register.running_networks() == []


def test_a_node_is_started_in_this_folder_or_where_it_is_told(tmp_path: Path, person: dict[str, str]) -> None:
    said = refusal(moneyer("node", cwd=tmp_path, env=person), status=2)
    assert "--data DIR" in said
