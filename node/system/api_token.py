"""The file `api.token`: the token that a program sends to a node to spend, mine or manage it."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from pathlib import Path

from .files import write_whole

_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}", re.ASCII)
_MAX_TOKEN_FILE = 1_000
"""Bytes that are read of it."""


class TokenFile:
    """The token of a running node, read again when its file changes, so that a renewed one counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._look()  # before the file is read: a change meanwhile is seen at the next use
        self._token = ensure_token(path)

    @property
    def current(self) -> str:
        """The token that counts now."""
        stamp = self._look()
        if stamp is not None and stamp != self._stamp:
            self._token, self._stamp = read_token(self._path) or self._token, stamp
        return self._token

    def _look(self) -> tuple[int, int] | None:
        try:
            seen = self._path.stat()
        except OSError:
            return None  # removed under a running node: the old token still counts
        return seen.st_mtime_ns, seen.st_ino


def read_token(path: Path) -> str | None:
    """The token at `path`; None where there is none. Raises OSError."""
    try:
        with path.open("rb") as file:
            held = file.read(_MAX_TOKEN_FILE).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    return held if _TOKEN.fullmatch(held) else None


def ensure_token(path: Path) -> str:
    """The token at `path`, made at the first start; mode 0600 whatever the umask. Raises OSError."""
    if not path.exists():
        with suppress(FileExistsError):  # another process was first
            return _make_token(path, replace=False)
    held = read_token(path)
    if held is None:
        return renew_token(path)
    path.chmod(0o600)
    return held


def renew_token(path: Path) -> str:
    """A new token in place of the one at `path`, in one step. Raises OSError."""
    return _make_token(path, replace=True)


def _make_token(path: Path, *, replace: bool) -> str:
    token = secrets.token_urlsafe(32)
    write_whole(path, f"{token}\n".encode(), mode=0o600, replace=replace)
    return token
