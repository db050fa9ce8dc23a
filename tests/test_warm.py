"""What tests start as a fork is what `subprocess` would have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.kit.commands import MONEYER, environment
from tests.kit.running import running
from tests.kit.system import warm


def test_a_command_has_the_streams_folder_and_environment_that_it_is_given(tmp_path: Path) -> None:
    for arguments in (["--version"], ["status", "--data", "nowhere"], ["stat"], ["wallet", "list", "--help"]):
        forked, started = (
            each(
                [*MONEYER, *arguments],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env=environment(COLUMNS="70"),
                timeout=60,
                check=False,
            )
            for each in (warm.run, subprocess.run)
        )
        assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_a_node_is_a_child_of_the_test_and_tells_by_which_signal_it_ended(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with running(tmp_path / "node") as node:
            assert psutil.Process(node.process.pid).ppid() == os.getpid()
            assert node.stop(signal.SIGKILL) == -signal.SIGKILL
            assert (tmp_path / "node" / "chain.db").stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def test_what_no_fork_gives_is_started_as_usual() -> None:
    done = warm.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n")
    done = warm.run([*MONEYER, "--version"], capture_output=True, env=environment(PYTHONIOENCODING="utf-16"))
    assert "moneyer" in done.stdout.decode("utf-16")
