"""What a network's processes print, in `logs/NAME.log` of its folder: bounded, one older file each."""

from __future__ import annotations

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

FOLDER: Final = "logs"
MAX_BYTES: Final = 1_000_000
"""Of a file; then it becomes `NAME.log.1`, in place of the one before."""


class NodeLogs:
    """Writes lines. A disk that is full loses lines and ends nothing."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._files: dict[str, tuple[FileIO, int]] = {}

    @property
    def descriptors(self) -> list[int]:
        return [file.fileno() for file, _ in self._files.values()]

    def write(self, name: str, line: bytes) -> None:
        with suppress(OSError):
            file, size = self._files.get(name) or self._open(name)
            if size + len(line) + 1 > MAX_BYTES and size:
                file.close()
                path = log_path(self._data, name)
                path.replace(older_log(path))
                file, size = self._open(name)
            file.write(line + b"\n")
            self._files[name] = file, size + len(line) + 1

    def close(self) -> None:
        for file, _ in self._files.values():
            with suppress(OSError):
                file.close()
        self._files.clear()

    def _open(self, name: str) -> tuple[FileIO, int]:
        path = log_path(self._data, name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        file = os.fdopen(handle, "ab", buffering=0)
        self._files[name] = file, file.tell()
        return self._files[name]


def log_path(data: Path, name: str) -> Path:
    """Where the lines of a node, or of `worker`, are kept."""
    return data / FOLDER / f"{name}.log"


def older_log(path: Path) -> Path:
    """The file before a log's newest."""
    return path.with_name(f"{path.name}.1")


def last_lines(data: Path, name: str, count: int) -> list[str]:
    """The last lines of a node, or of `worker`, the oldest first; none where it has said nothing."""
    lines: list[str] = []
    path = log_path(data, name)
    for file in (older_log(path), path):
        with suppress(OSError):
            lines += file.read_bytes().decode("utf-8", "replace").splitlines()
    return lines[-count:]
