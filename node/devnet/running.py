"""The register of a person's nodes that run on this machine, so that a command in any folder finds them.

`moneyer node` writes one small file a data folder, named by a hash of the folder's path and holding that path, and
`moneyer net up` one for its network. Whether something really runs there is not in the register: the lock that a node
or a supervisor holds on its folder (`node.lock`, `network.lock`) says so. An entry whose folder is gone is removed by
the next reader.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..config import NETWORK_LOCK, NODE_LOCK, has_plan
from ..system.advice import NODE_FOLDER
from ..system.files import write_whole
from ..system.locks import is_held

_MAX_ENTRIES: Final = 500
"""Entries that are read."""
_MAX_PATH: Final = 4_096
"""Bytes of a path, as PATH_MAX of Linux."""


def register_folder() -> Path:
    """Where the register lies: `MONEYER_STATE`, else the person's own folder for what programs remember."""
    if named := os.environ.get("MONEYER_STATE"):
        return Path(named) / "running"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/moneyer/running"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "moneyer/running"


def register(data: Path) -> None:
    """Enter a data folder whose node is about to run. A register that cannot be written is no error."""
    path = str(data.absolute())
    with suppress(OSError, RuntimeError, ValueError):  # no home folder, no room, a read-only disk
        folder = register_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
        write_whole(folder / name, os.fsencode(path), mode=0o600, durable=False)


def running_networks() -> list[Path]:
    """The folders of the networks (or single nodes) that run now, each once, by path."""
    found: set[Path] = set()
    with suppress(OSError, RuntimeError):
        for entry in sorted(register_folder().iterdir())[:_MAX_ENTRIES]:
            data = _data_of(entry)
            if data is None:
                continue
            if not data.is_dir():
                entry.unlink(missing_ok=True)
            elif is_running(data) or is_held_by_supervisor(data):
                found.add(network_of(data))
    return sorted(found)


def is_running(data: Path) -> bool:
    """Whether a node runs on a data folder, also where it could not say at which URL."""
    try:
        return is_held(data / NODE_LOCK)
    except OSError:
        return False


def is_held_by_supervisor(data: Path) -> bool:
    """Whether `moneyer net up` runs on a network's folder; its nodes may be stopped."""
    try:
        return is_held(data / NETWORK_LOCK)
    except OSError:
        return False


def network_of(data: Path) -> Path:
    """The folder that `moneyer up` or `moneyer net up` was given, of the data folder of one of its nodes; else the data
    folder itself."""
    parent = data.parent
    if has_plan(parent):
        return parent
    is_of_network = (parent / "coin.toml").is_file() or (parent / "node1").is_dir()
    return parent if NODE_FOLDER.fullmatch(data.name) and is_of_network else data


def _data_of(entry: Path) -> Path | None:
    try:
        with entry.open("rb") as file:
            path = Path(os.fsdecode(file.read(_MAX_PATH)))
    except (OSError, ValueError):
        return None
    return path if path.is_absolute() else None
