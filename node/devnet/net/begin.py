"""Starts a network's supervisor in the background, as a process of its own: `moneyer net up` with `--child`.

The child answers on stdout in one line of JSON when its nodes do; what it refuses stands on stderr, as of any command.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import IO, Any, Final

from ...config import NO_DATABASE
from ...core.errors import MoneyerError
from .control import Control

PATIENCE: Final = 3_600.0
"""Seconds until a network that is not ready is given up: thousands of nodes start in so much. The supervisor itself
waits for no node that makes it wait for long."""
_MAX_SAID: Final = 10_000


class NotStarted(MoneyerError):
    """A network's supervisor has refused to start, and said why."""

    code = "network_not_started"


@dataclass(frozen=True, slots=True)
class Begun:
    """A network that runs in the background."""

    process: subprocess.Popen[bytes]
    """The supervisor. Unless it is detached, it ends when its stdin is closed, and so with this process."""
    control: Control
    not_up: dict[str, str]
    """The nodes that have ended while they started, or have not answered yet: name -> a sentence."""


def begin(
    options: Sequence[str],
    *,
    is_detached: bool = False,
    patience: float = PATIENCE,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Begun:
    """Run `moneyer net up` with these options in the background; returns when every node answers (or has ended).

    `is_detached`: it goes on when this process ends. `environment`: variables of it beside this process's own. Raises
    NotStarted with the supervisor's own sentence.
    """
    words = [
        sys.executable,
        "-P",
        "-m",
        "moneyer",
        "net",
        "up",
        *options,
        "--child",
        "detached" if is_detached else "attached",
    ]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL if is_detached else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Each node of a network has a file of its own.
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment, **NO_DATABASE},
    )
    assert process.stdout is not None  # noqa: S101 - a pipe, as asked
    assert process.stderr is not None  # noqa: S101
    is_ready = False
    try:
        said = _first_line(process.stdout, patience)
        if said is None:
            raise NotStarted(_why(process, patience))
        is_ready = True
    finally:
        process.stdout.close()
        if not is_ready:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
        process.stderr.close()
    return Begun(process, Control(Path(said["data"]), said["socket"], process.pid), said["not_up"])


def _first_line(stream: IO[bytes], patience: float) -> dict[str, Any] | None:
    """What the child says when it is ready; None where it ends before, or does not say it in time."""
    held, ends_at = b"", monotonic() + patience
    while b"\n" not in held and len(held) < 10 * _MAX_SAID:
        if not select.select([stream], [], [], max(0.0, ends_at - monotonic()))[0]:
            return None
        part = os.read(stream.fileno(), _MAX_SAID)
        if not part:
            return None
        held += part
    try:
        said = json.loads(held)
    except ValueError:
        return None
    return said if isinstance(said, dict) and "socket" in said else None


def _why(process: subprocess.Popen[bytes], patience: float) -> str:
    assert process.stderr is not None  # noqa: S101 - a pipe, as asked
    if process.poll() is None:
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            return f"the network was not ready within {patience:.0f} s, and was ended"
    os.set_blocking(process.stderr.fileno(), False)
    said = (process.stderr.read(_MAX_SAID) or b"").decode("utf-8", "replace").strip()
    return said.splitlines()[-1].removeprefix("moneyer: ") if said else "the network ended and said nothing"
