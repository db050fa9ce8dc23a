"""Run `moneyer` as a person does: as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

MONEYER = [sys.executable, "-m", "node.cli.main"]


def environment(**changes: str) -> dict[str, str]:
    """This process's own, without what would change a command's options, and a narrow, colourless terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MONEYER_", "HONCHO_"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100", **changes}


def moneyer(
    *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*MONEYER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env=environment(**(env or {})),
        check=False,
    )


def refusal(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """What a command that was refused said on stderr: one sentence, and no traceback."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert not done.stdout
    if status == 1:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr
