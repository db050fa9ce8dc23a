"""How many nodes this machine bears: by its free memory, processes and files, and what one node takes of each.

Before anything starts a node counts as what one took when it was measured (`bench/bench_net.py`); while a large network
starts, as what its first nodes take here.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...core.errors import MoneyerError

NODE_BYTES: Final = 45_000_000
"""Memory of one node more (PSS of its two processes, one of twenty), measured by bench/bench_net.py."""
SHARED_BYTES: Final = 200_000_000
"""What all nodes share, and the worker."""
NODE_THREADS: Final = 30
"""Processes and threads of one node with four links, and of the worker for it; measured."""
NODE_FILES: Final = 3
"""Descriptors that the supervisor has for each node: its lines, its log, and one while it starts."""
_OTHER_FILES: Final = 64


class TooManyNodes(MoneyerError):
    """A graph has more nodes than this machine bears."""

    code = "too_many_nodes"


@dataclass(frozen=True, slots=True)
class Bound:
    """How many nodes one thing of this machine allows."""

    nodes: int
    why: str
    """What there is, and what a node takes of it."""


def check_capacity(nodes: int) -> None:
    """Raises TooManyNodes with the figure, where the machine does not bear so many."""
    bound = min(bounds(), key=lambda each: each.nodes, default=None)
    if bound is not None and nodes > bound.nodes:
        raise TooManyNodes(
            f"this machine bears about {bound.nodes:,} nodes now ({bound.why}), and the graph has {nodes:,}: take a "
            "smaller one, or try all the same with --force",
            expected=bound.nodes,
            found=nodes,
        )


def bounds() -> list[Bound]:
    """Every bound that this system tells."""
    found = []
    free = free_memory()
    if free is not None:
        each = NODE_BYTES / 1e6
        found.append(
            Bound(
                max(0, (free - SHARED_BYTES) // NODE_BYTES),
                f"{free / 1e9:.1f} GB of memory are free, and a node takes {each:.0f} MB",
            )
        )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY:
        found.append(
            Bound(
                max(0, (files - _OTHER_FILES) // NODE_FILES),
                f"a process may have {files:,} files open, and its supervisor has {NODE_FILES} for each node",
            )
        )
    most = [each for each in (_user_limit(), *map(_number, _THREAD_LIMITS)) if each is not None]
    if most:
        found.append(
            Bound(
                min(most) // NODE_THREADS,
                f"there may be {min(most):,} processes and threads, and a node has {NODE_THREADS}",
            )
        )
    return found


def check_rest(rest: int, first: Sequence[int]) -> None:
    """Raises TooManyNodes where there is no memory for `rest` more nodes like those that run as these processes."""
    each, free = memory_of(first), free_memory()
    if each is None or free is None or rest * each <= free:
        return
    most = len(first) + free // each
    raise TooManyNodes(
        f"this machine bears about {most:,} nodes now ({free / 1e9:.1f} GB of memory are free, and a node takes "
        f"{each / 1e6:.0f} MB, measured on the first {len(first)}), and the graph has {len(first) + rest:,}: take a "
        "smaller one, or try all the same with --force",
        expected=most,
        found=len(first) + rest,
    )


def memory_of(processes: Sequence[int]) -> int | None:
    """Bytes (PSS) that one of these processes takes on average with its own children; None where nobody tells that."""
    try:
        return sum(_pss(each) for pid in processes for each in (pid, *_children(pid))) // len(processes)
    except (OSError, ValueError, StopIteration, ZeroDivisionError):
        return None


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii", "replace").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text("ascii").split()]


_THREAD_LIMITS: Final = (
    Path("/proc/sys/kernel/threads-max"),
    Path("/proc/sys/kernel/pid_max"),
    Path("/sys/fs/cgroup/pids.max"),
)


def _user_limit() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def free_memory() -> int | None:
    """Bytes that processes can still have: of the system, and of this container where it is bounded."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
    except (OSError, ValueError, IndexError):
        pass
    limit, used = _number(Path("/sys/fs/cgroup/memory.max")), _number(Path("/sys/fs/cgroup/memory.current"))
    if limit is not None and used is not None:
        found.append(max(0, limit - used))
    return min(found, default=None)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
