"""`moneyer mine`, and what `send --wait` says where nobody mines by itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.kit.commands import asked, moneyer, refusal, start
from tests.kit.mining.workers import mining
from tests.kit.running import own_node
from tests.kit.waiting import END_SECONDS, wait_until

pytestmark = pytest.mark.timeout(180)


def test_blocks_are_mined_for_whom_one_names(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with own_node(data) as node:
        said = refusal(moneyer("mine", "--data", data))
        assert "no worker mines" in said
        assert f"moneyer worker --data {data}" in said
        with mining(data, "demand"):
            wait_until(lambda: node.get("/v1/mining").json["worker"]["alive"], 60, "the worker")
            done = moneyer("mine", "3", "--to", "bob", "--data", data)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            assert "mined block 3 (" in done.stdout
            assert node.height == 3
            assert node.get("/v1/blocks/2").json["miner"] == asked("balance", "bob", "--data", data)["address"]
            job = asked("mine", "--data", data)
            assert (job["state"], job["mined"]) == ("done", 1)


def test_a_worker_that_was_started_with_its_node_is_waited_for(tmp_path: Path) -> None:
    """As in README's lines for CI: the node answers before its worker lives."""
    data = tmp_path / "data"
    with own_node(data):
        (data / "Procfile").write_text("worker1: moneyer worker\n")  # as `moneyer up` writes it
        mine = start("mine", "--data", data)
        send = start("send", "alice", "bob", "1", "--wait", "--data", data)
        with mining(data, "instant"):
            assert mine.communicate(timeout=60)[1] == ""
            said, trouble = send.communicate(timeout=60)
    assert (mine.returncode, send.returncode, trouble) == (0, 0, "")
    assert "in block" in said
    assert "nobody mines" not in said


@pytest.mark.parametrize("number", ["0", "-1", "many", "100001"])
def test_a_number_of_blocks_that_is_none_is_refused(tmp_path: Path, number: str) -> None:
    refusal(moneyer("mine", "--", number, cwd=tmp_path), status=2)


def test_send_says_at_once_that_nobody_mines_and_what_to_type(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with own_node(data) as node:
        process = start("send", "alice", "bob", "1", "--wait", "--data", data)
        lines: list[str] = []
        assert process.stdout is not None
        out = process.stdout
        reader = threading.Thread(target=lambda: lines.extend(iter(out.readline, "")))
        reader.start()
        wait_until(lambda: any("nobody mines: no worker runs" in line for line in lines), 60, "the reason")
        process.terminate()
        process.wait(END_SECONDS)
        reader.join(END_SECONDS)
        with mining(data, "demand"):
            wait_until(lambda: node.get("/v1/mining").json["worker"]["alive"], 60, "the worker")
            process = start("send", "alice", "bob", "1", "--wait", "--data", data)
            assert process.stdout is not None
            for line in process.stdout:
                if "nobody mines until asked (mode demand)" in line:
                    break
            else:
                pytest.fail("it ended without a word of who mines")
            assert f"`moneyer mine --data {data}`" in line
            assert moneyer("mine", "--data", data).returncode == 0
            rest = process.stdout.read()
            assert process.wait(60) == 0
            assert "1 confirmation" in rest
