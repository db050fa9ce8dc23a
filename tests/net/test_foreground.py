"""Ctrl-C of `make run`: the network ends, and make has nothing to complain of."""

from __future__ import annotations

import os
import pty
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.system.terminals import shown_on

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]

_OF_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR"}
TOOL = REPOSITORY / "tools" / "foreground.py"
ENDS_WITH_130 = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # else it may come before anybody waits for it
print('READY', flush=True)
signal.sigwait({signal.SIGINT})
sys.exit(130)
"""
KILLED = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print('READY', flush=True); signal.pause()"


def made(folder: Path, recipe: str, key: str | None) -> tuple[int, str]:
    """`make run` on a terminal, where `key` is pressed once READY was shown: its status, and all that was shown."""
    (folder / "Makefile").write_text(f"run:\n\t@{recipe}\n")
    make = shutil.which("make") or ""
    # As a person's make, and not one below the `make test` that may have started this.
    variables = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        os.chdir(folder)
        os.execve(make, [make, "run"], variables)
    shown = ""
    for part in shown_on(terminal):
        shown += part
        if key is not None and "READY" in shown:
            os.write(terminal, key.encode())
            key = None
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


@pytest.mark.parametrize("program", [ENDS_WITH_130, KILLED], ids=["status 130", "by the signal"])
def test_a_ctrl_c_ends_make_with_0_and_without_a_word(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    status, shown = made(tmp_path, f"exec {sys.executable} {TOOL} {sys.executable} program.py", "\x03")
    assert (status, re.sub(r"\s|\^C", "", shown)) == (0, "READY")


def test_make_sees_a_failure_as_before(tmp_path: Path) -> None:
    status, shown = made(tmp_path, f"exec {sys.executable} {TOOL} sh -c 'exit 3'", None)
    assert status == 2
    assert "Error 3" in shown


def test_the_network_of_make_run_is_started_so() -> None:
    recipe = (REPOSITORY / "Makefile").read_text().partition("\nrun:")[2].partition("\n\n")[0]
    assert "tools/foreground.py" in recipe
