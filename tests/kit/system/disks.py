"""A file system of a few megabytes that a test can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.kit.waiting import wait_until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    with small_disk_at(tmp_path / "disk"):
        yield tmp_path / "disk"


@contextmanager
def small_disk_at(folder: Path, user: int = 0) -> Iterator[None]:
    """Meanwhile a new folder is a file system of its own, of a few megabytes. `user`: whose it is."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size=8m,uid={user},mode=700", "moneyer-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("needs mount: a disk of a few megabytes is filled")
    if done.returncode != 0:
        pytest.skip(f"needs root, to mount a disk of a few megabytes: {done.stderr.strip()}")
    try:
        yield
    finally:
        wait_until(lambda: _is_unmounted(folder), 20, f"nobody to use {folder}")


def _is_unmounted(folder: Path) -> bool:
    """Unmount it; False while a process that was ended has files there still."""
    return subprocess.run(["umount", str(folder)], timeout=60, check=False).returncode == 0


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Meanwhile another program has taken all the room that there was in the folder's file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    yield
    filler.unlink()
