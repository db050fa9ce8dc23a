"""What README shows is what nodes answer."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from moneyer.node.devnet.addresses import is_free
from tests.kit.commands import environment, moneyer
from tests.kit.mining.workers import mining
from tests.kit.net.launchers import Network
from tests.kit.running import own_coin, own_node
from tests.kit.system.ports import free_port
from tools import journey, transcript

pytestmark = pytest.mark.timeout(180)

CHANGING = [
    (r"[0-9a-f]{10}…", "HASH"),
    (r"dev1[a-z0-9]{6}…", "ADDRESS"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+00:00|Z)", "TIME"),
    (r'("proof": )\d+', r"\1NONCE"),
]


JOURNEY = [
    (r"\bbeach1[02-9ac-hj-np-z]{59}\b", "ADDRESS"),
    (r"\bbeach1[02-9ac-hj-np-z]{5,}…", "ADDRESS…"),
    (r"\b[0-9a-f]{12,16}(…|\b)", "HASH"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"(in block |TIME +|height )\d+", r"\1HEIGHT"),
    (r"waiting for a block …", ""),
]


def without_what_changes(answer: str) -> str:
    """An answer without its line breaks too: where they are may hang on the length of a nonce."""
    for pattern, word in CHANGING:
        answer = re.sub(pattern, word, answer)
    return "".join(answer.split())


def test_the_walk_through_of_readme_is_what_nodes_answer(tmp_path: Path) -> None:
    text = transcript.README.read_text("utf-8")
    network = Network(tmp_path)
    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        seen: set[str] = set()
        for command, shown in zip(transcript.commands(text), transcript.answers(text), strict=True):
            found = transcript.run(command, network.first_port, seen)
            assert without_what_changes(found) == without_what_changes(shown), command


def test_the_commands_about_assets_work_one_after_the_other(tmp_path: Path) -> None:
    text = transcript.README.read_text("utf-8").partition("## Assets on it")[2].partition("## ")[0]
    issue, send = re.findall(r"`moneyer ([^`]+)`", text)
    data = tmp_path / "data"
    own = {"anna": "alice", "ben": "bob"}  # the names that the wallet has here
    with own_node(data, own_coin(rules=2)), mining(data):
        for command, says in ((issue, "1 confirmation\n"), (send, "accepted: 3 TICKET ")):
            done = moneyer(*(own.get(word, word) for word in shlex.split(command)), "--data", data)
            assert done.returncode == 0, (command, done.stderr)
            assert says in done.stdout, "an asset can be sent once it is in a block"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: apt install curl")
def test_the_lines_for_ci_work_in_a_plain_shell(tmp_path: Path) -> None:
    text = transcript.README.read_text("utf-8").partition("## In a test, or in CI")[2]
    lines = re.findall(r"^\$ (.+)$", text.partition("```console")[2].partition("```")[0], re.MULTILINE)
    port = free_port()
    script = "\n".join(lines).replace(":5001", f":{port}")
    env = environment(MONEYER_UP_PORT=str(port))
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr, (tmp_path / "up.log").read_text())
    assert "in block 1 (" in done.stdout
    assert "1 confirmation" in done.stdout
    assert not done.stderr
    assert is_free(port), "up was ended by its id, and the shell waited for it"
    assert not (tmp_path / "chain").exists()


@pytest.mark.slow
def test_the_way_from_pipx_install_to_a_coin_sent_is_what_readme_says(tmp_path: Path) -> None:
    with journey.journey(tmp_path) as taken:
        found = taken.text()
    shown = journey.shown(journey.README.read_text("utf-8"))
    for pattern, word in JOURNEY:
        found, shown = re.sub(pattern, word, found), re.sub(pattern, word, shown)
    assert found.split() == shown.split()
