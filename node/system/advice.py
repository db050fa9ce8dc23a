"""Advice that works when it is typed: paths as a shell takes them, how the node of a data folder is started, and how
`moneyer` itself is written where it need not be on the PATH (`make run`)."""

from __future__ import annotations

import json
import re
import shlex
import sys
from functools import cache
from pathlib import Path
from typing import Final

from ..config import has_plan

NODE_FOLDER: Final = re.compile(r"node[1-9][0-9]*", re.ASCII)
"""The names of the data folders of a network's nodes."""
_MAX_WALLET: Final = 2**20
"""Bytes of a wallet file."""


_ADVISED: Final = re.compile(r"(`|^[\w ]*:? {2,})moneyer(?= [a-z\[-])", re.MULTILINE)
"""`moneyer` in backticks, or in a line that gives nothing but a command (`Next:  moneyer up`)."""


def typed(path: Path | str) -> str:
    """A path as it is typed in a shell, in quotes where it has spaces or the like."""
    return shlex.quote(str(path))


def start_node(data: Path) -> str:
    """The command that starts the node of a data folder: its network's, where `moneyer up` made one of it."""
    for folder in (data, data.parent):
        if has_plan(folder):
            return f"moneyer net up --data {typed(folder)}"
    for folder in (data, data.parent) if NODE_FOLDER.fullmatch(data.absolute().name) else (data,):
        processes = _processes(folder)
        if processes is not None or (folder / "node1").is_dir():
            manual = " --manual" if " --manual" in (processes or "") else ""
            return f"moneyer up --data {typed(folder)}{manual}"
    return f"moneyer node --data {typed(data)}{' --dev' if _is_development(data) else ''}"


def has_workers(data: Path) -> bool:
    """Whether the node of a data folder was started with its worker, by `moneyer up`."""
    return any(_processes(folder) is not None for folder in (data, data.parent))


def _processes(network: Path) -> str | None:
    """The Procfile that `moneyer up` last wrote there; None where it never did."""
    try:
        return (network / "Procfile").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _is_development(data: Path) -> bool:
    """Whether the folder's wallet is one whose keys are published, so that its node is started with `--dev`."""
    try:
        with (data / "wallet.json").open("rb") as file:
            wallet = json.loads(file.read(_MAX_WALLET))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(wallet, dict) and wallet.get("development") is True


@cache
def moneyer() -> str:
    """The words that start this very installation: `moneyer` where the shell finds it, else its path."""
    import shutil  # for this alone, and it loads much

    script = Path(sys.executable).parent / "moneyer"
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -P -m moneyer"
    found = shutil.which("moneyer")
    if found is not None and Path(found).resolve() == script.resolve():
        return "moneyer"
    try:
        return shlex.quote(str(script.relative_to(Path.cwd())))
    except (ValueError, OSError):
        return shlex.quote(str(script))


def as_typed(sentence: str) -> str:
    """The text, with the commands that it advises written so that they work in another terminal."""
    return _ADVISED.sub(lambda found: found[1] + moneyer(), sentence)
