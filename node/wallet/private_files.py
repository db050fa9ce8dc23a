"""Reads and writes files that hold secrets: mode 0600 whatever the umask, bounded in size, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ..system.files import sweep, write_whole
from .errors import WalletBusy, WalletExists, WalletMissing, WalletUnreadable

_PATIENCE = 10.0
"""Seconds to wait for another process's write, which takes milliseconds."""
_PRIVATE = 0o600


def read_private(path: Path, limit: int) -> bytes:
    """All of a regular file of at most `limit` bytes. Raises WalletMissing, WalletUnreadable, OSError."""
    try:
        # O_NONBLOCK: opening a pipe that stands in the file's place must not wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise WalletMissing(f"there is no wallet at {path}", path=str(path)) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # `fdopen` would name a folder by its descriptor's number
        os.close(handle)
        raise WalletUnreadable(f"{path} is no regular file", path=str(path))
    with os.fdopen(handle, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise WalletUnreadable(
            f"{path} is too large for a wallet: is it another file?", path=str(path), expected=f"at most {limit} bytes"
        )
    return content


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder's writers: one at a time of all processes. Raises WalletBusy after 10 s."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise WalletBusy(f"another process has held {folder} for {_PATIENCE:.0f} s: is one stopped?")
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, content: bytes, *, replace: bool) -> None:
    """Put `content` at `path`: after a crash the old file or the new one. Raises WalletExists, OSError.

    The caller holds `locked(target(path).parent)`. With `replace` false an existing file stays as it is.
    """
    sweep(path)
    try:
        write_whole(path, content, mode=_PRIVATE, replace=replace)
    except FileExistsError:
        raise WalletExists(f"{path} exists and is not written over", path=str(path)) from None
