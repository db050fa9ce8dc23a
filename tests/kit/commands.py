"""Run `moneyer` as a person does: as a process."""

from __future__ import annotations

import atexit
import json
import os
import resource
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY
from tests.kit.system import warm
from tests.kit.system.terminals import shown_on

NOWHERE = Path(tempfile.mkdtemp(prefix="moneyer-nowhere-"))
"""Where a command runs unless a test says where: no data folder is there, whatever the checkout holds."""
atexit.register(shutil.rmtree, NOWHERE, ignore_errors=True)
MONEYER = [sys.executable, "-m", "moneyer"]


def environment(**changes: str) -> dict[str, str]:
    """This process's own, without what would change a command's options, and a narrow, colourless terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MONEYER_", "HONCHO_"))}
    # No test sends anything into the network it happens to run on.
    settings = {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "100", "MONEYER_NO_DISCOVERY": "1"}
    settings["MONEYER_STATE"] = os.environ["MONEYER_STATE"]  # where no other test's node is found
    settings["MONEYER_CACHE"] = os.environ["MONEYER_CACHE"]
    return {**kept, **settings, **changes}


def moneyer(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    typed: str | None = None,
    first: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One command, to its end; `typed` is its standard input, and no terminal; `first` runs in its process before."""
    return warm.run(
        [*MONEYER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd or NOWHERE,
        env=environment(**(env or {})),
        check=False,
        input=typed or "",
        preexec_fn=first,
    )


def asked(*arguments: str | Path, env: dict[str, str] | None = None, typed: str | None = None) -> Any:
    """The JSON that a command prints."""
    done = moneyer(*arguments, "--json", env=env, typed=typed)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def browser_that_notes(folder: Path) -> str:
    """A value of `BROWSER`: a program that writes what it is to open into the file `opened` of `folder`."""
    program = folder / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {shlex.quote(str(folder / "opened"))}\n')
    program.chmod(0o700)
    return f"{program} %s"


def start(*arguments: str | Path, **env: str) -> subprocess.Popen[str]:
    """A command that goes on meanwhile."""
    return warm.Popen(
        [*MONEYER, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(**env),
    )


def refusal(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """What a command that was refused said on stderr: one sentence, and no traceback."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert not done.stdout
    if status == 1:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def talk(
    arguments: list[str | Path],
    answers: list[tuple[str, str]],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> tuple[int, str]:
    """A command on a terminal: for each (words to wait for, line to type). Its exit status, and all that was shown.

    The terminal is so wide that no sentence is broken, unless `env` says otherwise.
    """
    terminal, theirs = os.openpty()
    process = warm.Popen(
        [*MONEYER, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd or NOWHERE,
        env=environment(**{"TERM": "xterm", "COLUMNS": "250", **(env or {})}),
        terminal=True,
    )
    os.close(theirs)
    shown, parts = "", shown_on(terminal)
    try:
        for words, line in answers:
            shown = _until(shown, parts, words)
            os.write(terminal, f"{line}\n".encode())
            shown += "\x00"  # the same words may be asked for again
        shown += "".join(parts)
    finally:
        os.close(terminal)
        status = process.wait()
    return status, shown.replace("\x00", "")


def _until(shown: str, parts: Iterator[str], words: str) -> str:
    while words not in shown.rpartition("\x00")[2]:
        part = next(parts, "")
        assert part, f"it ended before it said {words!r}: {shown}"
        shown += part
    return shown


def no_room() -> None:
    """For `preexec_fn`: no file can grow from here on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def open_to_others(folder: Path) -> list[str]:
    """Files below a data folder that somebody else could read or write, but for those that are made to be passed on."""
    found = []
    for path in folder.rglob("*"):
        try:
            kind = path.lstat().st_mode
        except FileNotFoundError:  # it has its own name by now, or was for a moment only
            continue
        # A log of the Stratum server is a test's own.
        public = path.name == "coin.toml" or path.match("stratum-*.log")
        if (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)) and kind & 0o077 and not public:
            found.append(f"{path.relative_to(folder)} {stat.S_IMODE(kind):o}")
    return found
