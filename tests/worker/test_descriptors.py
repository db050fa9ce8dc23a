"""Where a process gets too few file descriptors, a sentence says so, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.chains import easy_coin
from tests.kit.mining.stratum import Stratum
from tests.kit.mining.workers import HOPELESS, NodeFolder
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

_START = "import resource, runpy, sys; n = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))"
"""Runs the command line with so many descriptors."""


def refused(limit: int, *words: str) -> str:
    """What a command says that ends with status 1, its descriptors limited when all of its modules are loaded."""
    loaded = (
        "from moneyer.node.cli import main; import moneyer.node.cli.commands.run; "
        "import moneyer.worker.supervisor, moneyer.worker.stratum.start"
    )
    code = f"{loaded}; {_START}; main.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(limit), *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("limit", [12, 20, 26])
def test_a_worker_and_a_stratum_server_without_descriptors_say_what_they_need(tmp_path: Path, limit: int) -> None:
    with NodeFolder(tmp_path / "node", easy_coin()) as node:
        data = str(node.config.data)
        assert "the worker needs" in refused(limit, "worker", "--data", data)
        said = refused(limit, "stratum", "--data", data, "--port", str(free_port()))
        assert "the stratum server needs" in said
        assert "ulimit -n" in said


def test_a_server_that_has_no_descriptor_left_for_a_miner_says_so_and_serves_the_others(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", easy_coin(pow_limit=HOPELESS)) as node, ExitStack() as stack:
        server = Stratum(node.config.data)
        stack.callback(server.kill)
        server.wait_ready()
        first = stack.enter_context(server.started())
        used = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        subprocess.run(["prlimit", f"--nofile={used + 3}:{used + 3}", "--pid", str(server.process.pid)], check=True)
        for _ in range(8):
            stack.enter_context(server.miner())
        wait_until(lambda: "no file descriptor is left" in server.log, 30, "the line about it")
        assert first.call("mining.ping", []) is True
        assert "Traceback" not in server.log
