"""Run `moneyer` as a person does: as a process."""

from __future__ import annotations

import os
import pty
import resource
import select
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import REPOSITORY

MONEYER = [sys.executable, "-m", "node.cli.main"]


def environment(**changes: str) -> dict[str, str]:
    """This process's own, without what would change a command's options, and a narrow, colourless terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MONEYER_", "HONCHO_"))}
    # No test sends anything into the network it happens to run on.
    settings = {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "100", "MONEYER_NO_DISCOVERY": "1"}
    return {**kept, **settings, **changes}


def moneyer(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    typed: str | None = None,
    first: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One command, to its end; `typed` is its standard input, and no terminal; `first` runs in its process before."""
    return subprocess.run(
        [*MONEYER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env=environment(**(env or {})),
        check=False,
        input=typed or "",
        preexec_fn=first,
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
    """A command on a terminal: for each (words to wait for, line to type). Its exit status, and all that was shown."""
    command, variables = [*MONEYER, *map(str, arguments)], environment(TERM="xterm", **(env or {}))
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - another process, which must ask for nothing that a thread of this one may hold
        if cwd is not None:
            os.chdir(cwd)
        os.execve(command[0], command, variables)
    shown = ""
    try:
        for words, line in answers:
            shown = _until(terminal, shown, words)
            os.write(terminal, f"{line}\n".encode())
            shown += "\x00"  # the same words may be asked for again
        while part := _read(terminal):
            shown += part
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.replace("\x00", "")


def _until(terminal: int, shown: str, words: str) -> str:
    while words not in shown.rpartition("\x00")[2]:
        part = _read(terminal)
        assert part, f"it ended before it said {words!r}: {shown}"
        shown += part
    return shown


def _read(terminal: int) -> str:
    ready, _, _ = select.select([terminal], [], [], 60)
    assert ready, "a minute of silence"
    try:
        part = os.read(terminal, 65_536)
        while part[-1:] >= b"\x80" and not _is_whole(part):
            part += os.read(terminal, 1)
        return part.decode()
    except OSError:  # EIO: the last process that had it open has ended
        return ""


def _is_whole(part: bytes) -> bool:
    """Whether it does not end within a letter."""
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


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
