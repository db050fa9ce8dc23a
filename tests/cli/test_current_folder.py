"""What lies in the folder that a command is started in is data, and no program of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.commands import environment
from tests.kit.net.launchers import Launcher
from tests.kit.running import answers, own_node
from tests.kit.system.ports import free_port, free_ports
from tests.kit.waiting import END_SECONDS, wait_until

pytestmark = pytest.mark.timeout(300)

MONEYER = Path(sys.executable).with_name("moneyer")
MODULES = ("moneyer", "moneyer.node.cli.main", "moneyer.worker")
OURS = ("node", "worker", "migrations")
TRAPS = (*OURS, "pickle", "json", "click", "socket", "selectors", "honcho", "sitecustomize", "threading", "logging")


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder of files that take the names of modules, and leave a trace when they are run."""
    for name in TRAPS:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / name)!r} + '.ran', 'w')\nraise SystemExit(77)\n")
    return tmp_path


def traces(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.ran")]


def outside() -> dict[str, str]:
    """The environment of a person with an installed `moneyer`."""
    return {name: value for name, value in environment().items() if not name.startswith("PYTHON")}


def test_the_traps_would_run(trapped: Path) -> None:
    subprocess.run([sys.executable, "-c", "import pickle"], cwd=trapped, env=outside(), timeout=60, check=False)
    assert "pickle.ran" in traces(trapped)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_is_run_imports_nothing_that_lies_there(trapped: Path, module: str) -> None:
    order = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(order, cwd=trapped, env=outside(), capture_output=True, text=True, timeout=60, check=False)
    assert traces(trapped) == []
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_module_runs_from_the_folder_that_it_lies_in(module: str) -> None:
    order = [sys.executable, "-S", "-m", module, "--help"]  # -S: nothing is installed
    done = subprocess.run(order, cwd=REPOSITORY, env=outside(), capture_output=True, text=True, timeout=60, check=False)
    assert "No module named 'click'" in done.stderr  # ours were found


def test_a_bench_starts_its_processes_from_where_it_is_installed(trapped: Path) -> None:
    order = [str(MONEYER), "bench", "mine", "--seconds", "0.1", "--processes", "1"]
    done = subprocess.run(order, cwd=trapped, env=outside(), capture_output=True, text=True, timeout=240, check=False)
    assert traces(trapped) == []
    assert done.returncode == 0, done.stderr


def test_a_network_with_its_nodes_workers_and_hashing_processes_does_too(trapped: Path) -> None:
    port = free_ports(1)
    options = ["--nodes", "1", "--port", str(port), "--data", "net", "--mode", "continuous"]
    with Launcher([MONEYER, "up", *options], trapped, PYTHONPATH="") as launcher:
        wait_until(lambda: "block 1 " in launcher.output() or launcher.popen.poll() is not None, 120, "a block")
        assert traces(trapped) == []
        assert launcher.popen.poll() is None, launcher.output()


def test_a_node_that_join_starts_does_too(trapped: Path) -> None:
    port = free_port()
    with own_node(trapped / "mine") as node:
        order = ["join", node.url, "--data", "friend", "--start", "--port", str(port), "--open", "--no-discovery"]
        process = subprocess.Popen(
            [MONEYER, *order], cwd=trapped, env=outside(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            wait_until(lambda: answers(port) or process.poll() is not None, 60, "the node that join started")
            assert traces(trapped) == []
            assert process.poll() is None, process.communicate()
        finally:
            process.terminate()
            process.communicate(timeout=END_SECONDS)
