"""The token of a data folder, shown only to the process that holds the folder's node lock.

Another program may listen where a node was a moment ago, or would be. The holder of the lock writes there where it
listens, and under which name (random, of this start). What is there before the connection is made and, the lock still
held, after it, is the same only if the holder has listened at that address all the while: so the connection is to it.
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
    """A holder that has only just taken the lock has not yet written over what the one before it said."""
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
    """`node.client.transport.Credential` of a data folder."""

    folder: Path

    def look(self) -> object:
        return holder_of(self.folder)

    def token(self, seen: object, sock: socket.socket) -> str | None:
        from ..system.api_token import read_token

        holder = holder_of(self.folder)
        if holder is None or holder != seen or "start" not in holder or not _listens_at(holder, sock):
            return None
        try:
            return read_token(self.folder / "api.token")
        except OSError:
            return None


def _listens_at(holder: dict[str, Any], sock: socket.socket) -> bool:
    """Whether a socket is connected to where the holder listens; one that listens everywhere, on this machine."""
    host, port = sock.getpeername()[:2]
    if port != holder.get("port"):
        return False
    bound = holder.get("host")
    return bool(host == bound or (bound == _WILDCARDS.get(sock.family) and host == sock.getsockname()[0]))
