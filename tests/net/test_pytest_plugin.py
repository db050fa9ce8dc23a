"""The fixtures of pytest as another project uses them: the example of the docs, and what goes wrong in a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY
from tests.kit.commands import environment
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

(PLUGIN,) = entry_points(group="pytest11", name="moneyer")
EXAMPLE = REPOSITORY / "docs" / "examples" / "pytest"

FAULTS = """
def test_a_network_may_be_left_torn(moneyer_network):
    net = moneyer_network(graph="line:2")
    net.cut("1", "2")
    net.mine("1")
    net.kill("2")

def test_the_next_test_finds_it_whole(moneyer_network):
    net = moneyer_network(graph="line:2")
    assert [node.height for node in net] == [0, 0]
    assert [edge["state"] for edge in net.status()["edges"]] == ["linked"]

def test_two_of_a_kind_are_two(moneyer_network):
    one, other = moneyer_network(graph="line:2"), moneyer_network(graph="line:2")
    one.mine("1")
    assert other["1"].height == 0
    other.down()

def test_a_test_that_fails_shows_what_its_nodes_said(moneyer_node):
    moneyer_node.mine()
    moneyer_node.kill()
    moneyer_node.start()
    assert moneyer_node.name == "somebody else"

def test_somebody_presses_ctrl_c(moneyer_node):
    raise KeyboardInterrupt
"""

KILLED = """
import os, signal

def test_the_process_is_killed(moneyer_network):
    moneyer_network(graph="complete:1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where networks are made; its path is short, as that of a socket has to be."""
    with tempfile.TemporaryDirectory(prefix="moneyer-pp-") as made:
        yield Path(made)


def session(project: Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    """`pytest` in another project's folder, with this plugin alone: others take seconds to load."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", PLUGIN.value, "-v"],
        cwd=project,
        env=environment(TMPDIR=str(temporary), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def running_in(folder: Path) -> list[list[str]]:
    """The processes whose words name a folder."""
    found = (each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"]))
    return [words for words in found if any(str(folder) in word for word in words)]


def test_the_example_runs_and_nothing_stays_of_it_whatever_its_tests_do(tmp_path: Path, temporary: Path) -> None:
    for file in EXAMPLE.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "test_zfaults.py").write_text(FAULTS)
    done = session(tmp_path, temporary)
    shown = done.stdout
    assert done.returncode == pytest.ExitCode.INTERRUPTED, shown + done.stderr
    outcomes = re.findall(r"^\S+::(\w+) (PASSED|FAILED|ERROR)", shown, re.MULTILINE)
    failed = [name for name, outcome in outcomes if outcome != "PASSED"]
    assert failed == ["test_a_test_that_fails_shows_what_its_nodes_said"], shown
    assert len(outcomes) == shown_tests(tmp_path) - 1
    assert re.search(r"^-+ moneyer: node 1 -+\nDevelopment Coin .* height 1 ", shown, re.MULTILINE), shown
    assert list(temporary.iterdir()) == []
    assert running_in(temporary) == []


def shown_tests(project: Path) -> int:
    return sum(file.read_text().count("\ndef test_") for file in project.glob("test_*.py"))


def test_a_session_that_is_killed_leaves_no_process_and_the_next_one_removes_its_folder(
    tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "test_killed.py").write_text(KILLED)
    assert session(tmp_path, temporary).returncode == -9
    wait_until(lambda: running_in(temporary) == [], 30, "the end of its processes")
    (left,) = temporary.glob("moneyer-network-*")
    os.utime(left, (0, 0))
    code = "from moneyer.node.devnet.live import launcher; launcher._sweep()"
    subprocess.run([sys.executable, "-c", code], env=environment(TMPDIR=str(temporary)), check=True, timeout=60)
    assert list(temporary.glob("moneyer-network-*")) == []


def test_a_session_that_does_not_use_it_loads_nothing_of_it() -> None:
    code = "import sys, moneyer.pytest_plugin; print([name for name in sys.modules if name.startswith('moneyer.node')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
