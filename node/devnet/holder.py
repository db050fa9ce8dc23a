"""The token of a data folder, shown only to the process that holds the folder's node lock.

Another program may listen at the port where a node was a moment ago, or will be. The holder of the lock writes into the
lock file where it listens, and a random name of this start. A client reads that before it connects and again after it,
while the lock is still held: if both are equal, the holder has listened there all the while, so the connection is to
the node and to nothing else.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import NODE_LOCK

_MAX_LOCK = 1_000
"""Bytes of a lock file's content."""
_WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - compared, not bound


def holder_of(folder: Path) -> dict[str, Any] | None:
    """What the node that runs on a data folder wrote into its lock; None where none does, or it could write nothing."""
    from ..system.locks import is_held

    lock = folder / NODE_LOCK
    try:
        if not is_held(lock):
            return None
        with lock.open("rb") as file:
            said = json.loads(file.read(_MAX_LOCK))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and _lives(said.get("pid")) else None


def _lives(pid: object) -> bool:
    """Whether a process lives. One that has just taken the lock has not yet replaced what the last holder wrote."""
    if not isinstance(pid, int) or pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


@dataclass(frozen=True, slots=True)
class FolderToken:
    """The token of a data folder, as a `client.transport.Credential`."""

    folder: Path

    def look(self) -> object:
        """What the holder of the lock says now."""
        return holder_of(self.folder)

    def token(self, seen: object, sock: socket.socket) -> str | None:
        """The token, if the holder still says what was `seen` and the socket is connected to it."""
        from ..system.api_token import read_token

        holder = holder_of(self.folder)
        if holder is None or holder != seen or "start" not in holder or not _listens_at(holder, sock):
            return None
        try:
            return read_token(self.folder / "api.token")
        except OSError:
            return None


def _listens_at(holder: dict[str, Any], sock: socket.socket) -> bool:
    """Whether a socket is connected to the address where the holder listens (a wildcard: to this machine)."""
    host, port = sock.getpeername()[:2]
    if port != holder.get("port"):
        return False
    bound = holder.get("host")
    return bool(host == bound or (bound == _WILDCARDS.get(sock.family) and host == sock.getsockname()[0]))
