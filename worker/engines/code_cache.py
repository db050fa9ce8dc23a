"""A cache of compiled code in files. Code that is read is run, so only files that this user alone can write count."""

from __future__ import annotations

import logging
import os
import stat
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

log = logging.getLogger("moneyer.worker")

_DIGEST = 32
_MAX_SIZE = 4 << 20
"""Bytes; an engine has some tens of thousands."""


def of_this_user() -> Path | None:
    """The folder that all workers of a person share: `MONEYER_CACHE`, else the system's own for caches.

    None where it cannot be made or written, or others can write into it.
    """
    try:
        folder = _named()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        log.debug("compiled code is kept in the data folder: %s", error)
        return None
    is_own = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return folder if is_own and os.access(folder, os.W_OK | os.X_OK) else None


def _named() -> Path:
    if named := os.environ.get("MONEYER_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/moneyer"
    system = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG Base Directory Specification asks to ignore a relative path: it would be another folder in each place.
    return (Path(system) if Path(system).is_absolute() else Path.home() / ".cache") / "moneyer"


class CodeCache:
    """One piece of code in `folder`; its file is named by `fingerprint`, which covers all that the code depends on.

    The file holds a SHA-256 over fingerprint and code, then the code.
    """

    def __init__(self, folder: Path, name: str, fingerprint: bytes) -> None:
        self._fingerprint = sha256(b"moneyer engine 1\0" + fingerprint).digest()
        self.file = folder / f"{name}-{self._fingerprint[:12].hex()}.code"

    def read(self) -> bytes | None:
        """The code; None where there is none, or where the file is damaged or others can write it."""
        try:
            data = self._read_file()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.debug("%s is not used: %s", self.file, error)
            return None
        digest, code = data[:_DIGEST], data[_DIGEST:]
        if digest != self._digest(code):
            log.warning("%s is damaged and is made again", self.file)
            return None
        return code

    def write(self, code: bytes) -> None:
        """Store the code, whole or not at all. Where the folder cannot be written, it is compiled again next time."""
        new = self.file.with_suffix(f".{os.getpid()}.new")
        try:
            self.file.parent.mkdir(mode=0o700, exist_ok=True)
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(self._digest(code) + code)
            new.replace(self.file)
        except OSError as error:
            log.debug("compiled code cannot be kept: %s", error)
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _digest(self, code: bytes) -> bytes:
        return sha256(self._fingerprint + code).digest()

    def _read_file(self) -> bytes:
        # Without O_NONBLOCK, opening a pipe would wait for its writer.
        descriptor = os.open(self.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
            if not own:
                raise PermissionError("it belongs to, or is open to, somebody else")
            if status.st_size > _MAX_SIZE:
                raise OSError("it is too large")
            return stream.read(_MAX_SIZE + 1)
